"""Compare two transcripts of a session word by word: same, changed, added, lost, by another speaker.

They are aligned with rapidfuzz's Levenshtein (40,000 words in a tenth of a second; difflib does not finish in
minutes). Differences of case, punctuation and typography are not changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np

from sessionscribe.core.errors import UserError
from sessionscribe.core.text import normalised
from sessionscribe.formats.utterances import PlainTranscript, PlainWord

Kind = Literal["same", "speaker", "changed"]
Code = tuple[bool, range, range]
"""Whether words are equal, and their ranges in both transcripts."""
MOVED_S = 0.5  # shortest shift of a word that counts as moved


@dataclass(frozen=True)
class Piece:
    """Neighbouring words: the same on both sides, the same by another speaker, or changed (maybe none)."""

    kind: Kind
    before: tuple[PlainWord, ...]
    after: tuple[PlainWord, ...]


@dataclass(frozen=True)
class Summary:
    """Numbers of words, and shifts in seconds (positive: later) of the same words."""

    before: int
    after: int
    same: int
    rewritten: int
    """Same words with different case, punctuation or typography."""
    changed: int
    added: int
    lost: int
    errors: int
    """Edit distance: the fewest changes, additions and losses."""
    other_speaker: int
    """Same words by another speaker, under the best mapping of speakers."""
    speakers_before: int
    speakers_after: int
    shift_median_s: float | None
    shift_p95_s: float | None
    shift_max_s: float | None
    moved: int

    @property
    def wer(self) -> float:
        """The word error rate of the second transcript, with the first as reference."""
        return self.errors / max(1, self.before)


@dataclass(frozen=True)
class Diff:
    """The difference of two transcripts; ``names`` maps the second's speakers to the first's."""

    session: str
    language: str
    pieces: tuple[Piece, ...]
    names: dict[str, str]
    summary: Summary


def same_session(
    before: Mapping[str, PlainTranscript], after: Mapping[str, PlainTranscript]
) -> tuple[PlainTranscript, PlainTranscript]:
    """Return the transcripts of the only session that both sides have.

    Raises:
        UserError: they have none or several in common.
    """
    if len(before) == len(after) == 1:
        return next(iter(before.values())), next(iter(after.values()))
    common = sorted(set(before) & set(after))
    if len(common) == 1:
        return before[common[0]], after[common[0]]
    what = f"have {len(common) or 'no'} sessions in common"
    where = f"A ({', '.join(before) or 'no session'}) and B ({', '.join(after) or 'no session'})"
    raise UserError(what, where=where, hint="Give the file or folder of one session for A and for B")


def diff(before: PlainTranscript, after: PlainTranscript) -> Diff:
    """Compare two transcripts of a session.

    Raises:
        UserError: one has no words (an RTTM).
    """
    for side in (before, after):
        if side.utterances is None:
            raise UserError("has no words to compare", where=side.session, hint="Give a transcript")
    old, new = before.words, after.words
    codes, distance = aligned(*([normalised(word.text) for word in words] for words in (old, new)))
    same = [(old[i], new[j]) for equal, a, b in codes if equal for i, j in zip(a, b, strict=True)]
    names = _names(same)
    told = before.has_speakers and after.has_speakers
    pieces: list[Piece] = []
    for equal, a, b in codes:
        parts = old[a.start : a.stop], new[b.start : b.stop]
        if equal and told:
            pieces += _by_speaker(*parts, names)
        else:
            pieces.append(Piece("same" if equal else "changed", *parts))
    return Diff(
        before.session,
        after.language or before.language or "",
        tuple(pieces),
        names,
        _summary(old, new, same, pieces, distance),
    )


def aligned(old: Sequence[str], new: Sequence[str]) -> tuple[list[Code], int]:
    """Return the alignment, alternately equal and different ranges, and the number of word errors.

    With the fewest edits, ``a b`` → ``b c`` are two changed words. So different ranges are aligned again by
    their longest common subsequence, in which ``b`` is the same.
    """
    from rapidfuzz.distance import Indel, Levenshtein  # noqa: PLC0415

    number: dict[str, int] = {}
    a, b = ([number.setdefault(word, len(number)) for word in words] for words in (old, new))
    found: list[Code] = []

    def add(equal: bool, mine: range, others: range) -> None:
        if found and found[-1][0] == equal:
            _, before, beside = found.pop()
            mine, others = range(before.start, mine.stop), range(beside.start, others.stop)
        found.append((equal, mine, others))

    errors = 0
    codes = Levenshtein.opcodes(a, b)
    for equal, group in groupby(codes, key=lambda code: code.tag == "equal"):
        stretch = list(group)
        first, last = stretch[0], stretch[-1]
        if equal:
            add(True, range(first.src_start, last.src_end), range(first.dest_start, last.dest_end))
            continue
        errors += sum(max(c.src_end - c.src_start, c.dest_end - c.dest_start) for c in stretch)
        i, j = first.src_start, first.dest_start
        for c in Indel.opcodes(a[i : last.src_end], b[j : last.dest_end]):
            mine, others = range(i + c.src_start, i + c.src_end), range(j + c.dest_start, j + c.dest_end)
            add(c.tag == "equal", mine, others)
    return found, errors


def _names(same: Sequence[tuple[PlainWord, PlainWord]]) -> dict[str, str]:
    """Return the mapping of the second side's speakers to the first's that most same words agree with."""
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415

    shared = Counter((a.speaker, b.speaker) for a, b in same if a.speaker and b.speaker)
    rows, columns = (sorted({pair[side] or "" for pair in shared}) for side in (0, 1))
    counts = np.array([[shared[row, column] for column in columns] for row in rows]).reshape(
        len(rows), len(columns)
    )
    chosen = zip(*linear_sum_assignment(counts, maximize=True), strict=True)
    return {columns[j]: rows[i] for i, j in chosen if counts[i, j]}


def _by_speaker(
    old: Sequence[PlainWord], new: Sequence[PlainWord], names: Mapping[str, str]
) -> Iterator[Piece]:
    def kind(pair: tuple[PlainWord, PlainWord]) -> Kind:
        a, b = pair
        return "same" if a.speaker == (names.get(b.speaker, b.speaker) if b.speaker else None) else "speaker"

    for which, group in groupby(zip(old, new, strict=True), key=kind):
        both = list(group)
        yield Piece(which, tuple(a for a, _ in both), tuple(b for _, b in both))


def _summary(
    old: Sequence[PlainWord],
    new: Sequence[PlainWord],
    same: Sequence[tuple[PlainWord, PlainWord]],
    pieces: Sequence[Piece],
    errors: int,
) -> Summary:
    sizes = [(len(p.before), len(p.after)) for p in pieces if p.kind == "changed"]
    shifts = np.array(
        [b.start - a.start for a, b in same if a.start is not None and b.start is not None], np.float64
    )
    some = len(shifts) > 0
    return Summary(
        before=len(old),
        after=len(new),
        same=len(same),
        rewritten=sum(a.text != b.text for a, b in same),
        changed=sum(min(size) for size in sizes),
        added=sum(max(0, after - before) for before, after in sizes),
        lost=sum(max(0, before - after) for before, after in sizes),
        errors=errors,
        other_speaker=sum(len(piece.before) for piece in pieces if piece.kind == "speaker"),
        speakers_before=len({word.speaker for word in old} - {None}),
        speakers_after=len({word.speaker for word in new} - {None}),
        shift_median_s=float(np.median(shifts)) if some else None,
        shift_p95_s=float(np.quantile(np.abs(shifts), 0.95)) if some else None,
        shift_max_s=float(np.abs(shifts).max()) if some else None,
        moved=int((np.abs(shifts).round(6) >= MOVED_S).sum()),
    )
