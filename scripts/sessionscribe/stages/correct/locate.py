"""The words of a transcript, looked up by what they read, what is around them, and time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sessionscribe.artifacts.transcript import SpokenWord, Transcript
from sessionscribe.core.tokens import alike, atoms
from sessionscribe.core.units import milliseconds

WINDOW_S = 5.0  # how far from its time an edit's place is looked for
LONG_PAUSE_S = 60.0


@dataclass(frozen=True, order=True)
class Found:
    """A place; the smallest is the best: most of what is around it, then the nearest in time."""

    misses: int
    distance: float
    start: int
    stop: int


class Words:
    """The words of a transcript, in order, and where each piece of text (atom) is among them."""

    def __init__(self, transcript: Transcript) -> None:
        self.words: list[SpokenWord] = []
        self.language = transcript.language
        self.segments: list[int] = []
        self._atoms: list[str] = []
        self._word_of: list[int] = []
        self._first: list[int] = []
        for number, segment in enumerate(transcript.segments):
            for word in segment.words:
                self._first.append(len(self._atoms))
                for atom in atoms(word.text):
                    self._atoms.append(alike(atom))
                    self._word_of.append(len(self.words))
                self.words.append(word)
                self.segments.append(number)
        self._first.append(len(self._atoms))
        found: dict[str, list[tuple[int, int]]] = {}
        for place, atom in enumerate(self._atoms):
            start = milliseconds(self.words[self._word_of[place]].start)
            found.setdefault(atom, []).append((start, place))
        self._index = {atom: sorted(places) for atom, places in found.items()}

    def __len__(self) -> int:
        return len(self.words)

    def text(self, start: int, stop: int) -> list[str]:
        """Return the atoms of a range of words, as they are written."""
        return [atom for word in self.words[start:stop] for atom in atoms(word.text)]

    def around(self, start: int, stop: int, count: int) -> tuple[list[str], list[str]]:
        """Return up to ``count`` atoms before and after a range of words, as they are written."""
        before = self.text(max(0, start - count), start)[-count:]
        return before, self.text(stop, min(len(self), stop + count))[:count]

    def find(
        self,
        pattern: Sequence[str],
        before: Sequence[str],
        after: Sequence[str],
        time_s: float | None,
        *,
        ends: bool = False,
    ) -> Found | None:
        """Return the best place of ``pattern``, or of the gap that is between ``before`` and ``after``.

        Args:
            pattern: atoms as ``alike`` has them; they begin and end with whole words.
            before: those before the place; the last is next to it. A gap needs both neighbours as given.
            after: those after it.
            time_s: where it begins, at most ``WINDOW_S`` away.
            ends: it is the time at which it ends.
        """
        around = len(before) + len(after)
        # The more words the pattern itself has, the less it needs of what is around it.
        needed = max(0, (around + 2) // 3 - max(0, len(pattern) - 1)) if pattern else 0
        # The word before a pause may begin long before the time at which something is added in it.
        within_s = WINDOW_S if pattern and not ends else LONG_PAUSE_S
        fitting = []
        for place in self._places(pattern, before, after, time_s, within_s):
            found = self._judged(place, len(pattern), before, after)
            if found and around - found.misses >= needed:
                distance = round(self._distance(found.start, found.stop, time_s, ends=ends), 3)
                if distance <= WINDOW_S:
                    fitting.append(replace(found, distance=distance))
        return min(fitting, default=None)

    def all_of(self, pattern: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Yield the ranges of words that read ``pattern``, from left to right, none overlapping."""
        until = 0
        for _, place in sorted(self._index.get(pattern[0], ()), key=lambda found: found[1]):
            found = self._judged(place, len(pattern), (), ()) if self._reads(place, pattern) else None
            if found and found.start >= until:
                until = found.stop
                yield found.start, found.stop

    def _reads(self, place: int, pattern: Sequence[str]) -> bool:
        return self._atoms[place : place + len(pattern)] == list(pattern)

    def _places(
        self,
        pattern: Sequence[str],
        before: Sequence[str],
        after: Sequence[str],
        time_s: float | None,
        within_s: float,
    ) -> Iterator[int]:
        if pattern:
            yield from (p for p in self._near(pattern[0], time_s, within_s) if self._reads(p, pattern))
        elif before:
            for place in self._near(before[-1], time_s, within_s):
                if not after or self._reads(place + 1, after[:1]):
                    yield place + 1
        elif after:
            yield from self._near(after[0], time_s, within_s)
        elif time_s is not None:  # only the time is known: before the word that begins next
            later = [(word.start, n) for n, word in enumerate(self.words) if word.start >= time_s]
            yield self._first[min(later)[1]] if later else len(self._atoms)

    def _near(self, atom: str, time_s: float | None, within_s: float) -> list[int]:
        places = self._index.get(atom, [])
        if time_s is not None:
            first = bisect_left(places, (milliseconds(time_s) - milliseconds(within_s), -1))
            last = bisect_right(places, (milliseconds(time_s) + milliseconds(within_s), len(self._atoms)))
            places = places[first:last]
        return [place for _, place in places]

    def _judged(self, place: int, length: int, before: Sequence[str], after: Sequence[str]) -> Found | None:
        """Return how well a place fits; nothing if it cuts a word."""
        end = place + length
        start = self._word_of[place] if place < len(self._atoms) else len(self)
        stop = self._word_of[end - 1] + 1 if length else start
        if self._first[start] != place or (length and self._first[stop] != end):
            return None
        hits = sum(
            place >= number and self._atoms[place - number] == atom
            for number, atom in enumerate(reversed(before), 1)
        )
        following = self._atoms[end : end + len(after)]
        hits += sum(atom == other for atom, other in zip(after, following, strict=False))
        return Found(len(before) + len(after) - hits, 0.0, start, stop)

    def _distance(self, start: int, stop: int, time_s: float | None, *, ends: bool) -> float:
        """Return how far a range of words, or the gap before ``start``, is from a time."""
        if time_s is None:
            return 0.0
        if start < stop:
            return abs((self.words[stop - 1].end if ends else self.words[start].start) - time_s)
        edges = [self.words[start - 1].end] if start else [0.0]
        edges.append(self.words[start].start if start < len(self) else max(edges[0], time_s))
        return max(0.0, min(edges) - time_s, time_s - max(edges))

    def between(self, start_s: float, end_s: float, speaker: str | None) -> list[int]:
        """Return the words with their middle in a stretch; those of ``speaker`` if there are any."""
        found = [n for n, word in enumerate(self.words) if has_middle(start_s, end_s, word)]
        own = [n for n in found if speaker and self.words[n].speaker == speaker]
        return own or found


def has_middle(start_s: float, end_s: float, word: SpokenWord) -> bool:
    """Return whether the middle of a word lies in a stretch, its ends included."""
    twice = milliseconds(word.start) + milliseconds(word.end)
    return 2 * milliseconds(start_s) <= twice <= 2 * milliseconds(end_s)
