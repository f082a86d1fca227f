"""Find words in a transcript by their text, the words around them and their time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sessionscribe.artifacts.transcript import SpokenWord, Transcript
from sessionscribe.core.tokens import alike, atoms
from sessionscribe.core.units import milliseconds

WINDOW_S = 5.0
"""A match is at most this far from the time of its edit."""
LONG_PAUSE_S = 60.0
"""The word before a pause may begin this long before the time of an addition in the pause."""


@dataclass(frozen=True, order=True)
class Match:
    """Words ``[start, stop)`` that an edit may mean; the smallest match is the best.

    That is the one with the fewest differences in the surrounding words, then the nearest in time.
    """

    misses: int
    distance_s: float
    start: int
    stop: int


class Words:
    """The words of a transcript in order, with an index of their normalised tokens."""

    def __init__(self, transcript: Transcript) -> None:
        self.language = transcript.language
        spoken = [(word, n) for n, segment in enumerate(transcript.segments) for word in segment.words]
        self.words = [word for word, _ in spoken]
        self.segments = [segment for _, segment in spoken]
        self._tokens: list[str] = []
        self._word_of: list[int] = []  # token → word
        self._first: list[int] = []  # word → its first token
        index: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for number, word in enumerate(self.words):
            self._first.append(len(self._tokens))
            for token in tokens(word.text):
                index[token].append((milliseconds(word.start), len(self._tokens)))
                self._tokens.append(token)
                self._word_of.append(number)
        self._first.append(len(self._tokens))
        self._word_of.append(len(self.words))
        self._index = {token: sorted(places) for token, places in index.items()}

    def __len__(self) -> int:
        return len(self.words)

    def text(self, start: int, stop: int) -> list[str]:
        """Return the tokens of the words ``[start, stop)`` as written."""
        return [token for word in self.words[start:stop] for token in atoms(word.text)]

    def around(self, start: int, stop: int, count: int) -> tuple[list[str], list[str]]:
        """Return up to ``count`` tokens before and after the words ``[start, stop)``, as written."""
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
    ) -> Match | None:
        """Return the best match of ``pattern``, or of a gap between ``before`` and ``after``.

        Args:
            pattern: normalised tokens; a match consists of whole words. Empty for a gap.
            before: tokens in front of it; a gap follows the last one.
            after: tokens behind it; a gap precedes the first one.
            time_s: when it starts, within ``WINDOW_S``; None for any time.
            ends: whether ``time_s`` is when it ends.
        """
        around = len(before) + len(after)
        # A longer pattern needs fewer of its surrounding words.
        needed = max(0, (around + 2) // 3 - max(0, len(pattern) - 1)) if pattern else 0
        reach_s = WINDOW_S if pattern and not ends else LONG_PAUSE_S
        found = []
        for place in self._candidates(pattern, before, after, time_s, reach_s):
            if (own := self._words_at(place, len(pattern))) is None:
                continue
            misses = around - self._hits(place, place + len(pattern), before, after)
            distance_s = round(self._distance(*own, time_s, ends=ends), 3)
            if around - misses >= needed and distance_s <= WINDOW_S:
                found.append(Match(misses, distance_s, *own))
        return min(found, default=None)

    def all_of(self, pattern: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Yield all ranges of words that read ``pattern``, from left to right, without overlaps."""
        until = 0
        for place in sorted(place for _, place in self._index.get(pattern[0], ())):
            own = self._words_at(place, len(pattern)) if self._reads(place, pattern) else None
            if own and own[0] >= until:
                until = own[1]
                yield own

    def between(self, start_s: float, end_s: float, speaker: str | None) -> list[int]:
        """Return the words whose middle is in a span of time; only those of ``speaker`` if there are any."""
        found = [n for n, word in enumerate(self.words) if has_middle(start_s, end_s, word)]
        own = [n for n in found if speaker and self.words[n].speaker == speaker]
        return own or found

    def _reads(self, place: int, pattern: Sequence[str]) -> bool:
        return self._tokens[place : place + len(pattern)] == list(pattern)

    def _candidates(
        self,
        pattern: Sequence[str],
        before: Sequence[str],
        after: Sequence[str],
        time_s: float | None,
        reach_s: float,
    ) -> Iterator[int]:
        """Yield the tokens at which a match may start."""
        if pattern:
            yield from (p for p in self._near(pattern[0], time_s, reach_s) if self._reads(p, pattern))
        elif before:
            for place in self._near(before[-1], time_s, reach_s):
                if not after or self._reads(place + 1, after[:1]):
                    yield place + 1
        elif after:
            yield from self._near(after[0], time_s, reach_s)
        elif time_s is not None:  # before the next word
            later = [(word.start, n) for n, word in enumerate(self.words) if word.start >= time_s]
            yield self._first[min(later)[1]] if later else len(self._tokens)

    def _near(self, token: str, time_s: float | None, reach_s: float) -> list[int]:
        places = self._index.get(token, [])
        if time_s is not None:
            time, reach = milliseconds(time_s), milliseconds(reach_s)
            first = bisect_left(places, (time - reach, -1))
            places = places[first : bisect_right(places, (time + reach, len(self._tokens)))]
        return [place for _, place in places]

    def _words_at(self, place: int, length: int) -> tuple[int, int] | None:
        """Return the range of words that some tokens are; None if they begin or end within a word."""
        start, end = self._word_of[place], place + length
        stop = self._word_of[end - 1] + 1 if length else start
        whole = self._first[start] == place and (not length or self._first[stop] == end)
        return (start, stop) if whole else None

    def _hits(self, place: int, end: int, before: Sequence[str], after: Sequence[str]) -> int:
        """Return how many of the surrounding tokens are as expected."""
        left, right = self._tokens[max(0, place - len(before)) : place], self._tokens[end : end + len(after)]
        pairs = [
            *zip(reversed(before), reversed(left), strict=False),
            *zip(after, right, strict=False),
        ]
        return sum(expected == found for expected, found in pairs)

    def _distance(self, start: int, stop: int, time_s: float | None, *, ends: bool) -> float:
        """Return how far some words, or the gap before ``start``, are from a time, in seconds."""
        if time_s is None:
            return 0.0
        if start < stop:
            return abs((self.words[stop - 1].end if ends else self.words[start].start) - time_s)
        edges = [self.words[start - 1].end] if start else [0.0]
        edges.append(self.words[start].start if start < len(self) else max(edges[0], time_s))
        return max(0.0, min(edges) - time_s, time_s - max(edges))


def tokens(text: str) -> list[str]:
    """Return the tokens of a text, normalised for comparison."""
    return [alike(token) for token in atoms(text)]


def has_middle(start_s: float, end_s: float, word: SpokenWord) -> bool:
    """Return whether the middle of a word is in a span of time, including its ends."""
    twice = milliseconds(word.start) + milliseconds(word.end)
    return 2 * milliseconds(start_s) <= twice <= 2 * milliseconds(end_s)
