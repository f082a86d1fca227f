"""Divide a transcript into subtitle cues and lines.

A cue has one speaker, and at most as many lines, columns and seconds as the settings allow. If possible, it
ends with a sentence, with a clause or before a pause. It is shown from its first to its last word, and on
into a pause until it can be read. Cues never overlap: with simultaneous speech, a cue ends when the next one
begins, which waits until the first was shown for the time it was spoken, or for ``min_cue_s``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sessionscribe.artifacts.transcript import SpokenSegment, Transcript
from sessionscribe.config.settings import Export
from sessionscribe.core.text import CLAUSE_END, clusters, columns, ends_sentence, ends_with, one_line
from sessionscribe.core.units import milliseconds

PAUSE_MS = 300  # shortest pause that is a good end of a cue
EARLIEST = 0.4  # shortest cue with a good end, as a share of the longest possible cue


@dataclass(frozen=True)
class Piece:
    """A word in a line, with the space before it, and its number in the transcript; a label has none."""

    text: str
    start: int | None
    word: int | None = None


@dataclass(frozen=True)
class Cue:
    """One subtitle; times in milliseconds of the session."""

    start: int
    end: int
    speaker: str | None
    rows: tuple[tuple[Piece, ...], ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines as text."""
        return tuple(_row_text(row) for row in self.rows)


@dataclass(frozen=True)
class _Token:
    """A word, or a piece of a word longer than a line; ``space``: whether a space precedes it."""

    text: str
    start: int
    end: int
    space: bool
    word: int


def cues(transcript: Transcript, options: Export, *, label_in_text: bool) -> list[Cue]:
    """Return the cues of a transcript in order of time.

    Args:
        transcript: the transcript.
        options: the sizes of lines and cues.
        label_in_text: begin the first line with the speaker (``Anna: …``). A label longer than half a line
            gets a line of its own, which does not count.
    """
    found: list[Cue] = []
    first = 0
    for segment in transcript.segments:
        label = f"{one_line(segment.speaker)}:" if label_in_text and segment.speaker else ""
        if columns(label) <= options.max_line_chars // 2:
            found += _cues_of(segment, first, options, label)
        else:
            for cue in _cues_of(segment, first, options, ""):
                found.append(replace(cue, rows=((Piece(label, None),), *cue.rows)))
        first += len(segment.words)
    return _extended(
        _without_overlaps(found, milliseconds(options.min_cue_s)), options, transcript.duration_s
    )


def _cues_of(segment: SpokenSegment, first: int, options: Export, label: str) -> Iterator[Cue]:
    rest = list(_tokens(segment, first, options.max_line_chars - columns(label) - bool(label)))
    while rest:
        count = _count(rest, options, label)
        taken, rest = rest[:count], rest[count:]
        start = taken[0].start
        end = min(max(token.end for token in taken), start + milliseconds(options.max_cue_s))
        rows = tuple(tuple(row) for row in _wrapped(taken, options, label, balanced=True))
        yield Cue(start=start, end=end, speaker=segment.speaker, rows=rows)


def _tokens(segment: SpokenSegment, first: int, width: int) -> Iterator[_Token]:
    for place, word in enumerate(segment.words, first):
        text = one_line(word.text)
        if not text:
            continue
        pieces = list(_pieces(text, width))
        start, end = milliseconds(word.start), milliseconds(word.end)
        done = 0
        for number, piece in enumerate(pieces):
            since = start + (end - start) * done // len(text)
            done += len(piece)
            until = start + (end - start) * done // len(text)
            yield _Token(piece, since, until, number == 0 and word.space, place)


def _pieces(text: str, width: int) -> Iterator[str]:
    """Cut ``text`` into pieces of at most ``width`` columns, without separating letters and their marks."""
    piece = ""
    for cluster in clusters(text):
        if piece and columns(piece + cluster) > width:
            yield piece
            piece = ""
        piece += cluster
    yield piece


def _count(tokens: Sequence[_Token], options: Export, label: str) -> int:
    """Return the number of tokens of the next cue: at least one, and all if they fit."""
    longest = 1
    while longest < len(tokens) and _fits(tokens[: longest + 1], options, label):
        longest += 1
    if longest == len(tokens):
        return longest
    sizes = [columns(_text(tokens[:count])) for count in range(1, longest + 1)]
    least = EARLIEST * sizes[-1]
    places = [count for count in range(1, longest + 1) if sizes[count - 1] >= least]
    goodness = {count: _goodness(tokens[count - 1], tokens[count], options) for count in places}
    best = max(places, key=lambda count: (goodness[count], count))
    if goodness[best] == 0:
        # No good place: at least avoid a next cue of only one or two words.
        most = columns(_text(tokens)) - least
        return max((count for count in places if sizes[count - 1] <= most), default=best)
    return best


def _goodness(last: _Token, following: _Token, options: Export) -> int:
    if options.split_at == "length":
        return 0
    if ends_sentence(last.text):
        return 3
    if options.split_at == "clauses" and ends_with(last.text, CLAUSE_END):
        return 2
    return int(following.start - last.end >= PAUSE_MS)


def _fits(tokens: Sequence[_Token], options: Export, label: str) -> bool:
    if tokens[-1].end - tokens[0].start > milliseconds(options.max_cue_s):
        return False
    return len(_wrapped(tokens, options, label, balanced=False)) <= options.max_lines


def _wrapped(tokens: Sequence[_Token], options: Export, label: str, *, balanced: bool) -> list[list[Piece]]:
    """Return the tokens in lines; ``balanced`` makes the lines as even as possible without adding one."""
    rows = _filled(tokens, options.max_line_chars, label)
    if balanced and len(rows) > 1:
        narrowest = max(columns(label), *(columns(token.text) for token in tokens))
        for width in range(narrowest, options.max_line_chars):
            narrow = _filled(tokens, width, label)
            if len(narrow) == len(rows) and max(columns(_row_text(row)) for row in narrow) <= width:
                return narrow
    return rows


def _filled(tokens: Sequence[_Token], width: int, label: str) -> list[list[Piece]]:
    rows = [[Piece(label, None)]] if label else []
    taken = columns(label)
    for token in tokens:
        alone = bool(label) and len(rows) == 1 and len(rows[0]) == 1  # the label, so far
        space = " " if rows and (token.space or alone) else ""
        size = columns(token.text)
        if rows and taken + len(space) + size <= width:
            rows[-1].append(Piece(space + token.text, token.start, token.word))
            taken += len(space) + size
        else:
            rows.append([Piece(token.text, token.start, token.word)])
            taken = size
    return rows


def _row_text(row: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in row)


def _text(tokens: Sequence[_Token]) -> str:
    return "".join(f" {token.text}" if token.space else token.text for token in tokens).strip()


def _without_overlaps(found: Sequence[Cue], least: int) -> list[Cue]:
    """Return the cues in order of time, without overlaps.

    Each is shown as long as it was spoken or ``least`` milliseconds, whichever is shorter, but at least one
    millisecond; the next one waits for that.
    """
    result: list[Cue] = []
    ready = 0  # earliest end of the last cue
    for cue in sorted(found, key=lambda cue: (cue.start, cue.end)):
        start = max(cue.start, ready)
        if result:
            result[-1] = replace(result[-1], end=min(result[-1].end, start))
        ready = start + max(1, min(least, cue.end - cue.start))
        result.append(replace(cue, start=start, end=max(cue.end, ready)))
    return result


def _extended(found: Sequence[Cue], options: Export, duration_s: float) -> list[Cue]:
    """Extend cues into the pause after them until they can be read."""
    result = []
    for number, cue in enumerate(found):
        room = found[number + 1].start if number + 1 < len(found) else milliseconds(duration_s)
        wanted = options.min_cue_s
        if options.max_chars_per_s:
            wanted = max(wanted, sum(columns(line) for line in cue.lines) / options.max_chars_per_s)
        until = cue.start + milliseconds(min(wanted, options.max_cue_s))
        result.append(replace(cue, end=max(cue.end, min(until, room))))
    return result
