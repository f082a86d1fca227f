"""From a transcript to subtitle cues: what stands on the screen, how long, in which lines.

A cue never holds two speakers. It is at most as long as the settings allow, in lines, characters and seconds,
and ends, where it can, with a sentence, a clause or before a pause. Its times are those of its words; where
people talk at once, a cue ends when the next one begins, so that cues never overlap.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sessionscribe.artifacts import SpokenSegment, Transcript
from sessionscribe.config import Export
from sessionscribe.text import CLAUSE_END, SENTENCE_END, ends_with, one_line, spaced

PAUSE_MS = 300  # a pause from which it is a good place to end a cue
EARLIEST = 0.4  # share of the longest possible cue that a cue fills at least when it ends at a good place


@dataclass(frozen=True)
class Cue:
    """One subtitle; times in milliseconds of the session."""

    start: int
    end: int
    speaker: str | None
    lines: tuple[str, ...]


@dataclass(frozen=True)
class _Token:
    """A word, or a piece of one that is longer than a line; ``space`` says whether one belongs before it."""

    text: str
    start: int
    end: int
    space: bool


def milliseconds(time_s: float) -> int:
    """Return seconds as whole milliseconds."""
    return round(time_s * 1000)


def cues(transcript: Transcript, options: Export, *, label_in_text: bool) -> list[Cue]:
    """Return the cues of a transcript in time order.

    Args:
        transcript: what was said.
        options: the longest line, the most lines and the longest cue.
        label_in_text: the speaker stands in the first line (``Anna: …``). A label of up to half a line counts
            towards its length; a longer one gets a line of its own above the others.
    """
    found: list[Cue] = []
    for segment in transcript.segments:
        label = f"{one_line(segment.speaker)}:" if label_in_text and segment.speaker else ""
        if len(label) <= options.max_line_chars // 2:
            found += _cues_of(segment, options, transcript.language, label)
        else:
            for cue in _cues_of(segment, options, transcript.language, ""):
                found.append(replace(cue, lines=(label, *cue.lines)))
    return _apart(found)


def _cues_of(segment: SpokenSegment, options: Export, language: str, label: str) -> Iterator[Cue]:
    rest = list(_tokens(segment, options.max_line_chars - len(label) - bool(label), language))
    while rest:
        count = _count(rest, options, label)
        taken, rest = rest[:count], rest[count:]
        start = taken[0].start
        end = min(max(token.end for token in taken), start + milliseconds(options.max_cue_s))
        lines = tuple(_wrapped(taken, options, label, balanced=True))
        yield Cue(start=start, end=end, speaker=segment.speaker, lines=lines)


def _tokens(segment: SpokenSegment, width: int, language: str) -> Iterator[_Token]:
    before = ""
    for word in segment.words:
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
            yield _Token(piece, since, until, number == 0 and spaced(before, text, language))
        before = text


def _pieces(text: str, width: int) -> Iterator[str]:
    """Cut ``text`` into pieces of at most ``width`` characters, letters kept with their marks."""
    while len(text) > width:
        cut = width
        while cut > 1 and (unicodedata.category(text[cut])[0] == "M" or "\u200d" in text[cut - 1 : cut + 1]):
            cut -= 1
        yield text[:cut]
        text = text[cut:]
    yield text


def _count(tokens: Sequence[_Token], options: Export, label: str) -> int:
    """Return how many of the tokens the next cue takes: at least one, all if they fit."""
    longest = 1
    while longest < len(tokens) and _fits(tokens[: longest + 1], options, label):
        longest += 1
    if longest == len(tokens):
        return longest
    sizes = [len(_text(tokens[:count])) for count in range(1, longest + 1)]
    least = EARLIEST * sizes[-1]
    places = [count for count in range(1, longest + 1) if sizes[count - 1] >= least]
    best = max(places, key=lambda count: (_goodness(tokens[count - 1], tokens[count]), count))
    if _goodness(tokens[best - 1], tokens[best]) == 0:
        # No good place: at least leave no word or two over for a cue of their own.
        most = len(_text(tokens)) - least
        return max((count for count in places if sizes[count - 1] <= most), default=best)
    return best


def _goodness(last: _Token, following: _Token) -> int:
    if ends_with(last.text, SENTENCE_END):
        return 3
    if ends_with(last.text, CLAUSE_END):
        return 2
    return int(following.start - last.end >= PAUSE_MS)


def _fits(tokens: Sequence[_Token], options: Export, label: str) -> bool:
    if tokens[-1].end - tokens[0].start > milliseconds(options.max_cue_s):
        return False
    return len(_wrapped(tokens, options, label, balanced=False)) <= options.max_lines


def _wrapped(tokens: Sequence[_Token], options: Export, label: str, *, balanced: bool) -> list[str]:
    """Return the tokens in lines; ``balanced`` makes the lines as even as the same number of lines allows."""
    lines = _filled(tokens, options.max_line_chars, label)
    if balanced and len(lines) > 1:
        narrowest = max(len(label), *(len(token.text) for token in tokens))
        for width in range(narrowest, options.max_line_chars):
            narrow = _filled(tokens, width, label)
            if len(narrow) == len(lines) and max(map(len, narrow)) <= width:
                return narrow
    return lines


def _filled(tokens: Sequence[_Token], width: int, label: str) -> list[str]:
    lines = [label] if label else []
    for token in tokens:
        space = " " if lines and (token.space or lines == [label]) else ""
        if lines and len(lines[-1]) + len(space) + len(token.text) <= width:
            lines[-1] += space + token.text
        else:
            lines.append(token.text)
    return lines


def _text(tokens: Sequence[_Token]) -> str:
    return "".join(f" {token.text}" if token.space else token.text for token in tokens).strip()


def _apart(found: Sequence[Cue]) -> list[Cue]:
    """Return the cues in time order, none overlapping the next, each at least a millisecond long."""
    result: list[Cue] = []
    for cue in sorted(found, key=lambda cue: (cue.start, cue.end)):
        start = cue.start
        if result:
            start = max(start, result[-1].start + 1)
            result[-1] = replace(result[-1], end=min(result[-1].end, start))
        result.append(replace(cue, start=start, end=max(cue.end, start + 1)))
    return result
