"""Read transcripts of any format: STM, CTM, RTTM, UEM, SegLST, SRT, VTT, plain text, our JSON and Whisper's.

Subtitles are read by pysubs2 and webvtt-py, JSON by pydantic. Lines of fields are read here: for STM and CTM
no library is there that every set-up has, and pyannote.database leaves out turns of RTTM and regions of UEM
whose times are wrong, and takes neither comments nor a speaker called NA. Tests compare ours with theirs.
"""

from __future__ import annotations

import html
import json
import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, BaseModel, Field, TypeAdapter, ValidationError

from sessionscribe.core.errors import UserError, visible
from sessionscribe.core.text import join_words, spaces_before, undirected
from sessionscribe.formats.utterances import (
    PlainTranscript,
    PlainWord,
    SpeakerTurn,
    Utterance,
    joined,
)

PAUSE_S = 1.0  # in CTM, which has words only: a pause from which a new utterance begins
_CLOCK = re.compile(r"^\s*[\[(]?(\d{1,3}:)?\d{1,2}:\d{2}(?:[.,]\d+)?[\])]?[ \t]+")
_LABEL = re.compile(r"^([^\s:][^:\n]{0,39}):(?:\s+|$)")
OWN_LABEL = re.compile(r"([^\s:][^:\n]{0,62}):(?:\s+|$)")  # in exports: a longer name MAXQDA takes for text
_MAXQDA = ".maxqda.txt"
_MAXQDA_TIME = re.compile(r"\s*#\d{1,3}:\d{2}:\d{2}-\d#\s*$")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?[ \t]+([^>]*)>")
STYLE_IN_SRT = re.compile(r"\{\\[^}]*\}")  # as pysubs2 has it; other braces are text
_TAG = re.compile(r"<[^>]*>")
_IGNORED = "ignore_time_segment_in_scoring"
_STM_FIELDS, _CTM_FIELDS, _RTTM_FIELDS, _UEM_FIELDS = 5, 5, 8, 4


def read(paths: Iterable[Path]) -> dict[str, PlainTranscript]:
    """Return what the files, and all known files in folders, say of each session.

    Raises:
        UserError: a path is missing, of an unknown format, broken, or two files say the same.
    """
    return joined(part for path in paths for file in files_of(path) for part in read_file(file))


def files_of(path: Path) -> list[Path]:
    """Return the file itself, or all files of known formats in a folder.

    Raises:
        UserError: there is nothing, or nothing known in the folder.
    """
    if not path.is_dir():
        return [path]
    found = [child for child in sorted(path.iterdir()) if child.suffix.lower() in READERS and child.is_file()]
    if not found:
        raise UserError("no file of a known format in this folder", where=path, hint=_KNOWN)
    return found


def read_file(path: Path) -> list[PlainTranscript]:
    """Return what a file says of each session that it names; one without names is called like the file.

    Raises:
        UserError: it is missing, of an unknown format, or broken.
    """
    reader = READERS.get(_MAXQDA if path.name.lower().endswith(_MAXQDA) else path.suffix.lower())
    if reader is None:
        if not path.exists():
            raise UserError("there is no such file", where=path, hint="Check the path")
        raise UserError(
            f"files ending in {visible(path.suffix) or 'nothing'} cannot be read", where=path, hint=_KNOWN
        )
    try:
        return reader(path, undirected(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError("there is no such file", where=path, hint="Check the path") from error
    except UnicodeDecodeError as error:
        raise UserError(f"is not UTF-8 text (byte {error.start})", where=path, hint="Convert it") from error
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=path, hint="Check the file") from error


def _broken(path: Path, what: str) -> UserError:
    """Return the error for a broken file; what it quotes of the file may hold anything."""
    return UserError(
        visible(what)[:200], where=path, hint=f"Correct it: it is read as {path.suffix.lstrip('.').upper()}"
    )


# --- lines of fields ---------------------------------------------------------------------------------------


def _rows(path: Path, text: str, least: int, most: int) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith(";;"):
            continue
        row = line.split(maxsplit=most - 1)
        if len(row) < least:
            raise _broken(path, f"line {number} has {len(row)} fields, at least {least} are needed")
        yield number, row


def _number(path: Path, line: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise _broken(path, f"line {line}: {text} is not a time in seconds")
    return value


def _stm(path: Path, text: str) -> list[PlainTranscript]:
    utterances: dict[str, list[Utterance]] = {}
    ignored: dict[str, list[tuple[float, float]]] = {}
    for line, row in _rows(path, text, _STM_FIELDS, _STM_FIELDS + 1):
        session, _, speaker, *times = row[:5]
        start, end = (_number(path, line, time) for time in times)
        if end < start:
            raise _broken(path, f"line {line}: ends before it begins")
        words = re.sub(r"^<[^>]*>\s*", "", row[5]) if len(row) > _STM_FIELDS else ""
        if words.strip().lower() == _IGNORED:
            ignored.setdefault(session, []).append((start, end))
            continue
        if re.search(r"\{.*/.*\}", words):
            raise _broken(path, f"line {line}: alternatives {{a / b}} are not understood")
        utterances.setdefault(session, []).append(Utterance(words.strip(), start, end, speaker))
    return [
        PlainTranscript(
            session,
            utterances=tuple(sorted(utterances.get(session, []), key=lambda u: u.start or 0.0)),
            ignored=tuple(ignored.get(session, [])),
        )
        for session in dict.fromkeys([*utterances, *ignored])
    ]


def _ctm(path: Path, text: str) -> list[PlainTranscript]:
    found: dict[str, dict[str, list[PlainWord]]] = {}
    for line, row in _rows(path, text, _CTM_FIELDS, _CTM_FIELDS + 2):
        session, channel, start_text, duration_text, word = row[:5]
        if word.startswith("<ALT"):
            raise _broken(path, f"line {line}: alternatives are not understood")
        start, duration = _number(path, line, start_text), _number(path, line, duration_text)
        words = found.setdefault(session, {}).setdefault(channel, [])
        words.append(PlainWord(word, start, round(start + duration, 6)))
    return [
        PlainTranscript(session, utterances=_by_pauses(words for words in channels.values()))
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


def _rttm(path: Path, text: str) -> list[PlainTranscript]:
    if not text.strip():
        return [PlainTranscript(path.stem, turns=())]
    rows = list(_rows(path, text, 1, 10))
    if not {row[0] for _, row in rows} & {"SPEAKER", "SPKR-INFO"}:
        raise _broken(path, "has no line that begins with SPEAKER")
    found: dict[str, list[SpeakerTurn]] = {}
    for line, row in rows:
        if row[0] != "SPEAKER":
            continue
        if len(row) < _RTTM_FIELDS:
            raise _broken(path, f"line {line} has {len(row)} fields, at least {_RTTM_FIELDS} are needed")
        start, duration = (_number(path, line, time) for time in row[3:5])
        found.setdefault(row[1], []).append(SpeakerTurn(start, start + duration, row[7]))
    return [PlainTranscript(session, turns=tuple(turns)) for session, turns in found.items()]


def _uem(path: Path, text: str) -> list[PlainTranscript]:
    found: dict[str, list[tuple[float, float]]] = {}
    for line, row in _rows(path, text, _UEM_FIELDS, _UEM_FIELDS + 1):
        start, end = (_number(path, line, time) for time in row[2:4])
        if end < start:
            raise _broken(path, f"line {line}: ends before it begins")
        found.setdefault(row[0], []).append((start, end))
    return [PlainTranscript(session, scored=tuple(regions)) for session, regions in found.items()]


# --- subtitles and plain text ------------------------------------------------------------------------------


def _srt(path: Path, text: str) -> list[PlainTranscript]:
    import pysubs2  # noqa: PLC0415

    cues = [
        (event.start / 1000, event.end / 1000, STYLE_IN_SRT.sub("", event.text).replace("\\N", "\n"))
        for event in pysubs2.SSAFile.from_string(text, format_="srt")
    ]
    if text.strip() and not cues:
        raise _broken(path, "has no cue")
    lines = _labelled([" ".join(said.split()) for *_, said in cues])
    return [
        PlainTranscript(
            path.stem,
            utterances=tuple(
                Utterance(said, start, end, speaker)
                for (start, end, _), (speaker, said) in zip(cues, lines, strict=True)
            ),
        )
    ]


def _vtt(path: Path, text: str) -> list[PlainTranscript]:
    import webvtt  # noqa: PLC0415
    from webvtt.errors import MalformedCaptionError, MalformedFileError  # noqa: PLC0415

    try:
        captions = webvtt.from_string(text, strict=True).captions
    except (MalformedFileError, MalformedCaptionError, ValueError) as error:
        raise _broken(path, f"is not valid ({error})") from error
    blocks = re.split(r"\n\s*\n", text.strip())[1:]
    if not captions and not all(block.startswith(("NOTE", "STYLE", "REGION")) for block in blocks):
        raise _broken(path, "has no cue")
    utterances = []
    for caption in captions:
        start, end = (t.in_milliseconds() / 1000 for t in (caption.start_time, caption.end_time))
        first, *voices = _VOICE.split(caption.raw_text)
        parts = [(None, first), *zip(voices[::2], voices[1::2], strict=True)]
        for voice, said in parts:
            words = " ".join(undirected(html.unescape(_TAG.sub("", said))).split())
            if words:
                name = undirected(html.unescape(voice)).strip() if voice else None
                utterances.append(Utterance(words, start, end, name or None))
    return [PlainTranscript(path.stem, utterances=tuple(utterances))]


def _txt(path: Path, text: str) -> list[PlainTranscript]:
    lines = [line for line in text.splitlines() if line.strip()]
    clocked = bool(lines) and all(_CLOCK.match(line) for line in lines)
    bare = [" ".join(_CLOCK.sub("", line).split()) for line in lines]
    return [
        PlainTranscript(
            path.stem,
            utterances=tuple(Utterance(said, speaker=who) for who, said in _labelled(bare, sure=clocked)),
        )
    ]


def maxqda_lines(text: str) -> list[str]:
    """Return the paragraphs of a MAXQDA export, ``Name: text``, without times.

    The number sign, which opens a time there, has a look-alike in it; in a name the colon has one, too.
    """
    return [_MAXQDA_TIME.sub("", line) for line in text.replace("＃", "#").splitlines() if line.strip()]


def _maxqda(path: Path, text: str) -> list[PlainTranscript]:
    utterances = []
    for line in maxqda_lines(text):
        match = OWN_LABEL.match(line)
        name = match[1].replace("꞉", ":") if match and match[1] != "?" else None
        utterances.append(Utterance(" ".join(line[match.end() if match else 0 :].split()), speaker=name))
    return [PlainTranscript(path.name[: -len(_MAXQDA)], utterances=tuple(utterances))]


def _labelled(lines: Sequence[str], *, sure: bool = False) -> list[tuple[str | None, str]]:
    """Return speaker and text of lines such as ``Anna: Hello``.

    A label counts if it opens two lines at least (or if ``sure``): ``Note: it rains`` may be a sentence.
    """
    matches = [_LABEL.match(line) for line in lines]
    often = Counter(match[1] for match in matches if match)
    return [
        (match[1], line[match.end() :]) if match and (sure or often[match[1]] > 1) else (None, line)
        for line, match in zip(lines, matches, strict=True)
    ]


# --- JSON --------------------------------------------------------------------------------------------------

Time = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Text = Annotated[str, AfterValidator(undirected)]  # in JSON, marks may be written as escapes


class _Word(BaseModel):
    text: _Text = Field(validation_alias=AliasChoices("text", "word"))
    start: Time | None = None
    end: Time | None = None
    speaker: _Text | None = None
    space: bool = True


class _Segment(BaseModel):
    start: Time | None = None
    end: Time | None = None
    text: _Text | None = None
    speaker: _Text | None = None
    words: list[_Word] = []


class _Turn(BaseModel):
    start: Time
    end: Time
    speaker: _Text


class _Transcript(BaseModel):
    """Ours of any version, a merged one, Whisper's and WhisperX's; what is not listed is left aside."""

    session: str | None = None
    language: str | None = None
    duration_s: Time | None = None
    segments: list[_Segment]
    turns: list[_Turn] | None = None


class _Truth(BaseModel):
    session: str
    duration_s: Time | None = None
    words: list[_Word]
    turns: list[_Turn]


class _SegLst(BaseModel):
    session_id: str | None = None
    words: _Text
    start_time: Time | None = None
    end_time: Time | None = None
    speaker: _Text | None = None


def _json(path: Path, text: str) -> list[PlainTranscript]:
    try:
        content = json.loads(text)
        if isinstance(content, list):
            return _from_seglst(path, TypeAdapter(list[_SegLst]).validate_python(content))
        if isinstance(content, dict) and "segments" in content:
            return [_from_transcript(path, _Transcript.model_validate(content))]
        if isinstance(content, dict) and "words" in content and "turns" in content:
            return [from_truth(content)]
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise _broken(path, f"is not valid ({place}: {first['msg']})") from error
    except (ValueError, RecursionError) as error:
        raise _broken(path, f"is not valid JSON ({str(error).splitlines()[0]})") from error
    raise _broken(path, "is neither a transcript, nor a truth file, nor SegLST")


def _from_seglst(path: Path, parts: Sequence[_SegLst]) -> list[PlainTranscript]:
    found: dict[str, list[Utterance]] = {}
    for part in parts:
        said = Utterance(part.words, part.start_time, part.end_time, part.speaker)
        found.setdefault(part.session_id or path.stem, []).append(said)
    if not parts:
        return [PlainTranscript(path.stem, utterances=())]
    return [
        PlainTranscript(session, utterances=tuple(sorted(said, key=lambda u: u.start or 0.0)))
        for session, said in found.items()
    ]


def _from_transcript(path: Path, found: _Transcript) -> PlainTranscript:
    utterances = []
    for segment in found.segments:
        text = (segment.text or "").strip()
        spaces = [word.space for word in segment.words]
        if text:
            spaces = spaces_before(text, [word.text.strip() for word in segment.words])
        words = tuple(
            PlainWord(w.text.strip(), w.start, w.end, w.speaker or segment.speaker, space)
            for w, space in zip(segment.words, spaces, strict=True)
        )
        said = text or join_words(words)
        utterances.append(Utterance(said, segment.start, segment.end, segment.speaker, words))
    turns = None
    if found.turns is not None and (found.turns or not utterances):
        turns = tuple(SpeakerTurn(t.start, t.end, t.speaker) for t in found.turns)
    return PlainTranscript(
        found.session or path.stem,
        utterances=tuple(utterances),
        turns=turns,
        language=found.language,
        duration_s=found.duration_s,
    )


def from_truth(content: Any) -> PlainTranscript:
    """Return the content of a truth file, as ``resources/demo/truth`` has them.

    Its words stand turn after turn: where two speak at once, each keeps their words together.

    Raises:
        ValidationError: it is no truth file.
    """
    truth = _Truth.model_validate(content)
    turns = sorted(truth.turns, key=lambda turn: (turn.start, turn.end))
    own: dict[str | None, list[int]] = {}
    for number, turn in enumerate(turns):
        own.setdefault(turn.speaker, []).append(number)

    def turn_of(word: _Word) -> int:
        middle = ((word.start or 0.0) + (word.end or 0.0)) / 2
        mine = own.get(word.speaker, [])
        after = bisect_right(mine, middle, key=lambda i: turns[i].start)
        near = mine[max(0, after - 1) : after + 1]
        return min(near, key=lambda i: max(turns[i].start - middle, middle - turns[i].end, 0.0), default=-1)

    ordered = sorted(((turn_of(word), word.start or 0.0, n) for n, word in enumerate(truth.words)))
    utterances = []
    for _, group in groupby(ordered, key=lambda item: item[0]):
        words = [truth.words[n] for *_, n in group]
        said = tuple(PlainWord(w.text, w.start, w.end, w.speaker) for w in words)
        text = " ".join(w.text for w in words)
        utterances.append(Utterance(text, words[0].start, words[-1].end, words[0].speaker, said))
    return PlainTranscript(
        truth.session,
        utterances=tuple(utterances),
        turns=tuple(SpeakerTurn(t.start, t.end, t.speaker) for t in turns),
        duration_s=truth.duration_s,
    )


READERS: dict[str, Callable[[Path, str], list[PlainTranscript]]] = {
    ".stm": _stm,
    ".ctm": _ctm,
    ".rttm": _rttm,
    ".uem": _uem,
    ".srt": _srt,
    ".vtt": _vtt,
    ".txt": _txt,
    _MAXQDA: _maxqda,
    ".json": _json,
    ".seglst": _json,
}
_KNOWN = f"Known endings: {' '.join(READERS)}"
