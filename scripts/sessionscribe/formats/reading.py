"""Formats for reading: paragraphs with time and speaker, as plain text and Markdown, and for MAXQDA."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sessionscribe.artifacts.transcript import SpokenSegment, SpokenWord, Transcript
from sessionscribe.config.settings import OFF, Export
from sessionscribe.core.text import counted, is_right_to_left, join_segments, one_line
from sessionscribe.core.units import clock, milliseconds
from sessionscribe.formats.utterances import PlainTranscript, Utterance

PARAGRAPH_PAUSE_MS = 2000  # shortest pause of a speaker that begins a new paragraph
PARAGRAPH_MS = 60_000  # longest paragraph, unless it is a single segment
RIGHT_TO_LEFT = "\u200f"  # at the start of a line that runs from right to left
PICTURES = "Who speaks when, how sure the words are, and who speaks how long"
MAXQDA_NAME = 63  # longest name; MAXQDA takes a longer one for text
MAXQDA_ENDING = ".maxqda.txt"
_CLOCK = re.compile(r"^\s*[\[(]?(\d{1,3}:)?\d{1,2}:\d{2}(?:[.,]\d+)?[\])]?[ \t]+")
_LABEL = re.compile(r"^([^\s:][^:\n]{0,39}):(?:\s+|$)")
_LABEL_IN_MAXQDA = re.compile(r"([^\s:][^:\n]{0,62}):(?:\s+|$)")
_MAXQDA_TIME = re.compile(r"\s*#\d{1,3}:\d{2}:\d{2}-\d#\s*$")


@dataclass(frozen=True)
class Paragraph:
    """Consecutive segments of a speaker without a long pause; times in seconds, text on one line."""

    start: float
    end: float
    speaker: str | None
    text: str
    words: tuple[SpokenWord, ...]

    @property
    def mark(self) -> str:
        """The mark before its line in plain text, if it runs from right to left."""
        return RIGHT_TO_LEFT if is_right_to_left(self.text) else ""


@dataclass(frozen=True)
class Share:
    """The talk time of a speaker, in seconds and as a share of the sum of all talk times."""

    speaker: str
    seconds: float
    share: float


def paragraphs(transcript: Transcript) -> list[Paragraph]:
    """Return the transcript in paragraphs, in the order of its segments; empty ones are left out."""
    groups: list[list[SpokenSegment]] = []
    for segment in transcript.segments:
        if groups and _continues(groups[-1], segment):
            groups[-1].append(segment)
        else:
            groups.append([segment])
    found = []
    for group in groups:
        text = one_line(join_segments([segment.text for segment in group], transcript.language))
        if text:
            words = tuple(word for segment in group for word in segment.words if one_line(word.text))
            speaker = one_line(group[0].speaker or "") or None
            end = max(segment.end for segment in group)
            found.append(Paragraph(group[0].start, end, speaker, text, words))
    return found


def _continues(group: list[SpokenSegment], segment: SpokenSegment) -> bool:
    return (
        segment.speaker == group[-1].speaker
        and milliseconds(segment.start) - milliseconds(group[-1].end) < PARAGRAPH_PAUSE_MS
        and milliseconds(segment.end) - milliseconds(group[0].start) <= PARAGRAPH_MS
    )


def shares(transcript: Transcript) -> list[Share]:
    """Return the talk times, in the transcript's order of speakers."""
    times = transcript.talk_time_ms()
    total = sum(times.values())
    return [
        Share(one_line(speaker), time / 1000, time / total if total else 0.0)
        for speaker, time in times.items()
    ]


def numbered(transcript: Transcript) -> dict[str, int]:
    """Return a number from 0 for each speaker, by displayed name."""
    return {part.speaker: number for number, part in enumerate(shares(transcript))}


def summary(transcript: Transcript) -> str:
    """Return duration, language and, with diarization, number of speakers in one line."""
    count = len(transcript.speakers)
    who = f" · {counted(count, 'speaker')}" if count or transcript.diarization != OFF else ""
    return f"{clock(transcript.duration_s)} · {transcript.language}{who}"


def txt(transcript: Transcript, _: Export) -> str:
    """Return plain text, a line for each paragraph."""
    lines = []
    for paragraph in paragraphs(transcript):
        label = f" {paragraph.speaker}:" if paragraph.speaker else ""
        lines.append(f"{paragraph.mark}[{clock(paragraph.start)}]{label} {paragraph.text}\n")
    return "".join(lines)


def md(transcript: Transcript, _: Export) -> str:
    """Return Markdown (CommonMark with tables): talk times, then paragraphs."""
    parts = [f"# {_marked_down(one_line(transcript.session))}", _marked_down(summary(transcript))]
    if speakers := shares(transcript):
        rows = ["| Speaker | Time | Share |", "|---|---|---|"]
        for part in speakers:
            rows.append(f"| {_marked_down(part.speaker)} | {clock(part.seconds)} | {part.share:.0%} |")
        parts.append("\n".join(rows))
    parts.append(f"![{PICTURES}]({quote(transcript.session)}.svg)")
    for paragraph in paragraphs(transcript):
        label = f" **{_marked_down(paragraph.speaker)}:**" if paragraph.speaker else ""
        parts.append(f"{paragraph.mark}{clock(paragraph.start)}{label} {_marked_down(paragraph.text)}")
    if transcript.flags:
        parts.append("## Worth a look")
        parts.append("\n".join(f"- {_marked_down(one_line(flag))}" for flag in transcript.flags))
    return "\n\n".join(parts) + "\n"


def _marked_down(text: str) -> str:
    """Escape what Markdown could take for markup."""
    return re.sub(r"([\\`*_\[\]<>&|~$])", r"\\\1", text)


def maxqda(transcript: Transcript, _: Export) -> str:
    """Return text for MAXQDA's import of focus groups: ``Name: text #00:00:05-5#``, with the time of the end.

    Without a speaker the name is ``?``; else MAXQDA would take the text before a colon for a name.
    """
    lines = []
    for paragraph in paragraphs(transcript):
        name = maxqda_name(paragraph.speaker or "?")
        tenths = round(paragraph.end * 10)
        time = f"#{clock(tenths // 10)}-{tenths % 10}#"
        lines.append(f"{name}: {paragraph.mark}{paragraph.text.replace('#', '＃')} {time}\n")
    return "\n".join(lines)


def maxqda_name(speaker: str) -> str:
    """Return a name that MAXQDA accepts, without colons and number signs."""
    return speaker.replace(":", "꞉").replace("#", "＃")[:MAXQDA_NAME].strip()


def read_txt(path: Path, text: str) -> list[PlainTranscript]:
    """Read plain text, an utterance per line, with or without time and speaker before it."""
    lines = [line for line in text.splitlines() if line.strip()]
    clocked = bool(lines) and all(_CLOCK.match(line) for line in lines)
    bare = [" ".join(_CLOCK.sub("", line).split()) for line in lines]
    return [
        PlainTranscript(
            path.stem,
            utterances=tuple(Utterance(said, speaker=who) for who, said in labelled(bare, sure=clocked)),
        )
    ]


def maxqda_lines(text: str) -> list[str]:
    """Return the paragraphs of a MAXQDA export, ``Name: text``, without times and look-alikes of `#`."""
    return [_MAXQDA_TIME.sub("", line) for line in text.replace("＃", "#").splitlines() if line.strip()]


def read_maxqda(path: Path, text: str) -> list[PlainTranscript]:
    """Read the format that `maxqda` writes."""
    utterances = []
    for line in maxqda_lines(text):
        match = _LABEL_IN_MAXQDA.match(line)
        name = match[1].replace("꞉", ":") if match and match[1] != "?" else None
        utterances.append(Utterance(" ".join(line[match.end() if match else 0 :].split()), speaker=name))
    return [PlainTranscript(path.name[: -len(MAXQDA_ENDING)], utterances=tuple(utterances))]


def labelled(lines: Sequence[str], *, sure: bool = False) -> list[tuple[str | None, str]]:
    """Return speaker and text of lines such as ``Anna: Hello``.

    A label counts if at least two lines begin with it (or if ``sure``): ``Note: it rains`` may be a sentence.
    """
    matches = [_LABEL.match(line) for line in lines]
    often = Counter(match[1] for match in matches if match)
    return [
        (match[1], line[match.end() :]) if match and (sure or often[match[1]] > 1) else (None, line)
        for line, match in zip(lines, matches, strict=True)
    ]
