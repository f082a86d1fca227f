"""Formats of diarization and scoring tools: RTTM, UEM, CTM, STM.

The readers are our own: no library for STM and CTM is part of every set-up, and pyannote.database drops turns
and regions with wrong times, and supports neither comments nor a speaker called NA. Tests compare them.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.config.settings import Export
from sessionscribe.core.intervals import outside, united
from sessionscribe.core.text import one_line
from sessionscribe.core.units import SAMPLE_RATE, seconds
from sessionscribe.formats.utterances import (
    PlainTranscript,
    PlainWord,
    Region,
    SpeakerTurn,
    Utterance,
    invalid,
)

NOBODY = "<NA>"  # NIST's value for unknown fields
PAUSE_S = 1.0  # in CTM, which only has words: shortest pause between utterances
SHORTEST_S = 0.001  # scorers refuse empty intervals
_MARK_APART = re.compile(r" (?=[?!:;%»…]+$)|(?<=^[«¿¡-]) ")  # a space within a word, as in `va ?` and `50 %`
_IGNORED = "ignore_time_segment_in_scoring"
_STM_FIELDS, _CTM_FIELDS, _RTTM_FIELDS, _UEM_FIELDS = 5, 5, 8, 4


def rttm(transcript: Transcript, _: Export) -> str:
    """Return the turns, including overlaps."""
    uri = field(transcript.session)
    lines = []
    for turn in transcript.turns:
        duration = round(turn.end - turn.start, 3)
        if duration > 0:
            times = f"{turn.start:.3f} {duration:.3f}"
            lines.append(f"SPEAKER {uri} 1 {times} <NA> <NA> {field(turn.speaker)} <NA> <NA>\n")
    return "".join(lines)


def uem(transcript: Transcript, _: Export) -> str:
    """Return the regions with audio: the session without its gaps."""
    uri = field(transcript.session)
    whole = [(0, round(transcript.duration_s * SAMPLE_RATE))]
    heard = outside(whole, united((gap.start, gap.stop) for gap in transcript.gaps))
    return "".join(f"{uri} 1 {seconds(start):.3f} {seconds(stop):.3f}\n" for start, stop in heard)


def ctm(transcript: Transcript, _: Export) -> str:
    """Return words with times and probabilities, without speakers."""
    uri = field(transcript.session)
    words = [w for segment in transcript.segments for w in segment.words if one_line(w.text)]
    lines = []
    for word in sorted(words, key=lambda word: (word.start, word.end)):
        duration = max(word.end - word.start, SHORTEST_S)
        text = _MARK_APART.sub("", one_line(word.text)).replace(" ", "_")
        text = f"‹{text[1:]}" if text.startswith("<ALT") else text  # it would open alternatives
        lines.append(f"{uri} 1 {word.start:.3f} {duration:.3f} {text} {word.probability:.3f}\n")
    return "".join(lines)


def stm(transcript: Transcript, _: Export) -> str:
    """Return segments with times and speakers."""
    uri = field(transcript.session)
    lines = []
    for segment in sorted(transcript.segments, key=lambda segment: (segment.start, segment.end)):
        if text := one_line(segment.text):
            speaker = field(segment.speaker) if segment.speaker else NOBODY
            end = max(segment.end, segment.start + SHORTEST_S)
            # Text in angle brackets at the start would be taken for the segment's labels.
            text = f"‹{text[1:]}" if text.startswith("<") else text
            text = text.replace("{", "❴").replace("}", "❵")  # `{ a / b }` would be alternatives
            lines.append(f"{uri} 1 {speaker} {segment.start:.3f} {end:.3f} {text}\n")
    return "".join(lines)


def field(text: str) -> str:
    """Return ``text`` as a field of a format with fields separated by spaces; readers may unquote it."""
    return one_line(text).replace(" ", "_").replace('"', "'") or "_"


def _rows(path: Path, text: str, least: int, most: int) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith(";;"):
            continue
        row = line.split(maxsplit=most - 1)
        if len(row) < least:
            raise invalid(path, f"line {number} has {len(row)} fields instead of at least {least}")
        yield number, row


def _number(path: Path, line: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise invalid(path, f"line {line}: {text} is not a time in seconds")
    return value


def _stretch(path: Path, line: int, times: Sequence[str]) -> Region:
    start, end = (_number(path, line, time) for time in times)
    if end < start:
        raise invalid(path, f"line {line}: the end is before the start")
    return start, end


def read_stm(path: Path, text: str) -> list[PlainTranscript]:
    """Read STM: segments, and regions to ignore in scoring."""
    found: dict[str, tuple[list[Utterance], list[Region]]] = {}
    for line, row in _rows(path, text, _STM_FIELDS, _STM_FIELDS + 1):
        session, _, speaker, *times = row[:5]
        start, end = _stretch(path, line, times)
        words = re.sub(r"^<[^>]*>\s*", "", row[5]).strip() if len(row) > _STM_FIELDS else ""
        utterances, ignored = found.setdefault(session, ([], []))
        if words.lower() == _IGNORED:
            ignored.append((start, end))
        elif re.search(r"\{.*/.*\}", words):
            raise invalid(path, f"line {line}: alternatives {{a / b}} are not supported")
        else:
            utterances.append(Utterance(words, start, end, speaker))
    return [
        PlainTranscript(
            session,
            utterances=tuple(sorted(utterances, key=lambda u: u.start or 0.0)),
            ignored=tuple(ignored),
        )
        for session, (utterances, ignored) in found.items()
    ]


def read_ctm(path: Path, text: str) -> list[PlainTranscript]:
    """Read CTM: words, with a new utterance after each pause of ``PAUSE_S``."""
    found: dict[str, dict[str, list[PlainWord]]] = {}
    for line, row in _rows(path, text, _CTM_FIELDS, _CTM_FIELDS + 2):
        session, channel, *times, word = row[:5]
        if word.startswith("<ALT"):
            raise invalid(path, f"line {line}: alternatives are not supported")
        start, duration = (_number(path, line, time) for time in times)
        words = found.setdefault(session, {}).setdefault(channel, [])
        words.append(PlainWord(word, start, round(start + duration, 6)))
    return [
        PlainTranscript(session, utterances=_by_pauses(channels.values()))
        for session, channels in found.items()
    ]


def _by_pauses(channels: Iterable[list[PlainWord]]) -> tuple[Utterance, ...]:
    utterances = []
    for words in channels:
        groups: list[list[PlainWord]] = []
        for word in sorted(words, key=lambda w: w.start or 0.0):
            if groups and round((word.start or 0.0) - (groups[-1][-1].end or 0.0), 6) < PAUSE_S:
                groups[-1].append(word)
            else:
                groups.append([word])
        utterances += [
            Utterance(" ".join(w.text for w in group), group[0].start, group[-1].end, None, tuple(group))
            for group in groups
        ]
    return tuple(sorted(utterances, key=lambda u: u.start or 0.0))


def read_rttm(path: Path, text: str) -> list[PlainTranscript]:
    """Read RTTM: turns; an empty file means that nobody speaks."""
    if not text.strip():
        return [PlainTranscript(path.stem, turns=())]
    rows = list(_rows(path, text, 1, 10))
    if not {row[0] for _, row in rows} & {"SPEAKER", "SPKR-INFO"}:
        raise invalid(path, "has no line that begins with SPEAKER")
    found: dict[str, list[SpeakerTurn]] = {}
    for line, row in rows:
        if row[0] != "SPEAKER":
            continue
        if len(row) < _RTTM_FIELDS:
            raise invalid(path, f"line {line} has {len(row)} fields instead of at least {_RTTM_FIELDS}")
        start, duration = (_number(path, line, time) for time in row[3:5])
        found.setdefault(row[1], []).append(SpeakerTurn(start, start + duration, row[7]))
    return [PlainTranscript(session, turns=tuple(turns)) for session, turns in found.items()]


def read_uem(path: Path, text: str) -> list[PlainTranscript]:
    """Read UEM: the regions to score."""
    found: dict[str, list[Region]] = {}
    for line, row in _rows(path, text, _UEM_FIELDS, _UEM_FIELDS + 1):
        found.setdefault(row[0], []).append(_stretch(path, line, row[2:4]))
    return [PlainTranscript(session, scored=tuple(regions)) for session, regions in found.items()]
