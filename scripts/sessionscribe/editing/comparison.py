"""Compare an edited copy with the transcript that it was made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from sessionscribe.core.errors import UserError
from sessionscribe.core.tokens import alike, atoms, shown
from sessionscribe.editing.edited import EditToken
from sessionscribe.evaluation.diff import aligned
from sessionscribe.stages.correct.apply import Item, Overlaid

LEAST_COMMON = 0.5  # minimum share of words that a copy has in common with its transcript


@dataclass(frozen=True)
class Hunk:
    """Items ``[start, stop)`` of the transcript that the copy replaces with its tokens ``atoms``."""

    start: int
    stop: int
    atoms: tuple[int, ...]


class Comparison:
    """The comparison of a copy with its transcript.

    Attributes:
        intact: for each word that the copy has unchanged, the range of its tokens in the copy.
        speakers: the speaker of each of the copy's tokens; gaps are filled from the matching words.
        solid: whether the copy has an item of the transcript unchanged.

    Args:
        laid: the corrected transcript.
        copy: tokens of the edited copy.
        order: numbers of the transcript's words in the order of the copy's format; None: as they are.

    Raises:
        UserError: they have too little in common.
    """

    def __init__(self, laid: Overlaid, copy: Sequence[EditToken], order: Sequence[int] | None = None) -> None:
        self.items, self.copy = laid.items, copy
        self.words = [word for item in laid.items for word in item.words]
        self._item_of = [n for n, item in enumerate(laid.items) for _ in item.words]
        self._first = [0]
        for item in laid.items:
            self._first.append(self._first[-1] + len(item.words))
        self._order = [
            n for n in (range(len(self.words)) if order is None else order) if atoms(self.words[n].text)
        ]
        self.intact: dict[int, tuple[int, int]] = {}
        self.speakers = self._match(laid.transcript.session)
        self.solid = [self._is_solid(n, item) for n, item in enumerate(laid.items)]

    def _match(self, session: str) -> list[str | None]:
        own = [(atom, number) for number in self._order for atom in atoms(self.words[number].text)]
        codes, _ = aligned(
            [alike(shown(atom)) for atom, _ in own], [alike(shown(atom.text)) for atom in self.copy]
        )
        place = {i: j for equal, a, b in codes if equal for i, j in zip(a, b, strict=True)}
        if len(place) < LEAST_COMMON * min(len(own), max(1, len(self.copy))):
            what = f"has only {len(place)} of {len(own)} words in common with the copy"
            raise UserError(what, where=session, hint="Give an edited copy of an export of this session")
        spoken: list[str | None] = [None] * len(self.copy)
        for number, group in groupby(enumerate(own), key=lambda found: found[1][1]):
            pieces = [(place.get(position), atom) for position, (atom, _) in group]
            for j, _ in pieces:
                if j is not None:
                    spoken[j] = self.words[number].speaker
            first = pieces[0][0]
            if first is not None and all(
                j == first + k and shown(atom) == shown(self.copy[j].text)
                for k, (j, atom) in enumerate(pieces)
            ):
                self.intact[number] = (first, first + len(pieces))
        return _filled(self.copy, spoken)

    def _is_solid(self, number: int, item: Item) -> bool:
        """Return whether the copy has all words of an item, one after the other."""
        if item.edit is None and not atoms(item.words[0].text):
            return True
        places = [self.intact.get(n, (-1, -2)) for n in range(self._first[number], self._first[number + 1])]
        if not places or (-1, -2) in places or any(a[1] != b[0] for a, b in pairwise(places)):
            return False
        return item.edit is None or [word.speaker for word in item.words] == [
            self.speakers[first] for first, _ in places
        ]

    def speaker_of(self, number: int) -> str | None:
        """Return the copy's speaker of a one-word item that it has unchanged."""
        place = self.intact.get(self._first[number])
        return None if place is None else self.speakers[place[0]]

    def hunks(self) -> list[Hunk]:
        """Return the differences in words, in the transcript's order, without overlaps."""
        found: list[Hunk] = []
        for hunk in sorted(map(self._wider, self._stretches()), key=lambda hunk: (hunk.start, hunk.stop)):
            if found and hunk.start < found[-1].stop:
                last = found.pop()
                atoms = tuple(sorted({*last.atoms, *hunk.atoms}))
                found.append(Hunk(last.start, max(last.stop, hunk.stop), atoms))
            else:
                found.append(hunk)
        return found

    def _stretches(self) -> Iterator[Hunk]:
        changed: list[int] = []
        at, before = 0, -1
        for number in self._order:
            if not self.solid[self._item_of[number]]:
                changed.append(number)
                continue
            first, last = self.intact[number]
            yield from self._split(changed, tuple(range(at, first)), before, number)
            changed, at, before = [], last, number
        yield from self._split(changed, tuple(range(at, len(self.copy))), before, len(self.words))

    def _split(self, changed: Sequence[int], new: tuple[int, ...], before: int, after: int) -> Iterator[Hunk]:
        """Yield runs of changed words that are adjacent in the transcript, with the copy's words."""
        if not changed:
            if new:
                # Neighbours in subtitles may be apart in the transcript.
                goes_with_next = before < 0 or (
                    after < len(self.words)
                    and self._line(after) == self.copy[new[0]].line != self._line(before)
                )
                gap = after if goes_with_next else before + 1
                place = self._item_of[gap - 1] + 1 if gap else 0
                yield Hunk(place, place, new)
            return
        parts: list[list[int]] = []
        for number in changed:
            if parts and 0 <= self._item_of[number] - self._item_of[parts[-1][-1]] <= 1:
                parts[-1].append(number)
            else:
                parts.append([number])
        lines = [tuple(group) for _, group in groupby(new, key=lambda n: self.copy[n].line)]
        texts = lines if len(lines) == len(parts) else [new, *[()] * (len(parts) - 1)]
        for part, text in zip(parts, texts, strict=True):
            places = [self._item_of[number] for number in part]
            yield Hunk(min(places), max(places) + 1, text)

    def _line(self, number: int) -> int:
        return self.copy[self.intact[number][0]].line

    def _wider(self, hunk: Hunk) -> Hunk:
        """Extend a hunk over adjacent earlier additions: a place has at most one addition."""
        start, stop, new = hunk.start, hunk.stop, hunk.atoms
        while start and self._is_addition(start - 1):
            start -= 1
            new = (*self._atoms(start), *new)
        while stop < len(self.items) and self._is_addition(stop):
            new = (*new, *self._atoms(stop))
            stop += 1
        return Hunk(start, stop, new)

    def _is_addition(self, number: int) -> bool:
        item = self.items[number]
        return item.edit is not None and item.start == item.stop and self.solid[number]

    def _atoms(self, number: int) -> Iterator[int]:
        for n in range(self._first[number], self._first[number + 1]):
            yield from range(*self.intact[n])


def _filled(copy: Sequence[EditToken], spoken: Sequence[str | None]) -> list[str | None]:
    """Return each token's speaker: as written, else the matching word's, else a neighbour's in its line.

    A line without a speaker continues the line before if the same person spoke both.
    """
    result: list[str | None] = []
    for _, group in groupby(range(len(copy)), key=lambda n: copy[n].line):
        numbers = list(group)
        before, first = numbers[0] - 1, spoken[numbers[0]]
        follows = before >= 0 and first is not None and first == spoken[before]
        own = [
            copy[n].speaker or (result[before] if follows and spoken[n] == first else spoken[n])
            for n in numbers
        ]
        last = next((speaker for speaker in own if speaker), None)
        for speaker in own:
            last = speaker or last
            result.append(last)
    return result
