"""Made to be read: paragraphs with a time and a speaker, as plain text and Markdown, and for MAXQDA."""

import re
from dataclasses import dataclass
from urllib.parse import quote

from sessionscribe.artifacts.transcript import SpokenSegment, SpokenWord, Transcript
from sessionscribe.config.settings import OFF, Export
from sessionscribe.core.text import is_right_to_left, join_segments, one_line
from sessionscribe.core.units import milliseconds

PARAGRAPH_PAUSE_MS = 2000  # silence from which the same speaker's next words stand in a new paragraph
PARAGRAPH_MS = 60_000  # after it a new paragraph begins with the next segment
RIGHT_TO_LEFT = "\u200f"  # at the start of a line: it runs from right to left
PICTURES = "Who speaks when, how sure the words are, and who speaks how long"
MAXQDA_NAME = 63  # MAXQDA takes a longer name for text


@dataclass(frozen=True)
class Paragraph:
    """What one speaker says without a long break; times in seconds, texts on one line."""

    start: float
    end: float
    speaker: str | None
    text: str
    words: tuple[SpokenWord, ...]


@dataclass(frozen=True)
class Share:
    """How long a speaker speaks, in seconds and as a share of what all speak together."""

    speaker: str
    seconds: float
    share: float


def paragraphs(transcript: Transcript) -> list[Paragraph]:
    """Return the transcript in paragraphs, in the order of its segments; those without text are left out."""
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
    """Return how long each speaker speaks, in the transcript's order of speakers."""
    times = dict.fromkeys(transcript.speakers, 0.0)
    for turn in transcript.turns:
        times[turn.speaker] = times.get(turn.speaker, 0.0) + turn.end - turn.start
    total = sum(times.values())
    return [
        Share(one_line(speaker), round(time, 3), time / total if total else 0.0)
        for speaker, time in times.items()
    ]


def numbered(transcript: Transcript) -> dict[str, int]:
    """Return a number from 0 for each speaker, by the name that is shown."""
    return {part.speaker: number for number, part in enumerate(shares(transcript))}


def clock(time_s: float) -> str:
    """Return seconds as ``hh:mm:ss``."""
    minutes, second = divmod(int(time_s), 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}"


def summary(transcript: Transcript) -> str:
    """Return length, language and, where somebody asked, number of speakers in one line."""
    count = len(transcript.speakers)
    who = f" · {count} speaker{'' if count == 1 else 's'}" if count or transcript.diarization != OFF else ""
    return f"{clock(transcript.duration_s)} · {transcript.language}{who}"


def txt(transcript: Transcript, _: Export) -> str:
    """Plain text: a line for each paragraph."""
    lines = []
    for paragraph in paragraphs(transcript):
        label = f" {paragraph.speaker}:" if paragraph.speaker else ""
        mark = RIGHT_TO_LEFT if is_right_to_left(paragraph.text) else ""
        lines.append(f"{mark}[{clock(paragraph.start)}]{label} {paragraph.text}\n")
    return "".join(lines)


def md(transcript: Transcript, _: Export) -> str:
    """Markdown (CommonMark with tables): who speaks how long, and what is said, in paragraphs."""
    parts = [f"# {_marked_down(one_line(transcript.session))}", _marked_down(summary(transcript))]
    if speakers := shares(transcript):
        rows = ["| Speaker | Time | Share |", "|---|---|---|"]
        for part in speakers:
            rows.append(f"| {_marked_down(part.speaker)} | {clock(part.seconds)} | {part.share:.0%} |")
        parts.append("\n".join(rows))
    parts.append(f"![{PICTURES}]({quote(transcript.session)}.svg)")
    for paragraph in paragraphs(transcript):
        label = f" **{_marked_down(paragraph.speaker)}:**" if paragraph.speaker else ""
        mark = RIGHT_TO_LEFT if is_right_to_left(paragraph.text) else ""
        parts.append(f"{mark}{clock(paragraph.start)}{label} {_marked_down(paragraph.text)}")
    if transcript.flags:
        parts.append("## Worth a look")
        parts.append("\n".join(f"- {_marked_down(one_line(flag))}" for flag in transcript.flags))
    return "\n\n".join(parts) + "\n"


def _marked_down(text: str) -> str:
    """Return ``text`` with what Markdown could take for markup escaped."""
    return re.sub(r"([\\`*_\[\]<>&|~$])", r"\\\1", text)


def maxqda(transcript: Transcript, _: Export) -> str:
    """Text for MAXQDA's import of focus groups: ``Name: text #00:00:05-5#``, the time that of the end.

    Names are cut to what MAXQDA takes, and have no colon. Without a speaker the name is ``?``: else the
    text up to some colon would be taken for one.
    """
    lines = []
    for paragraph in paragraphs(transcript):
        name = maxqda_name(paragraph.speaker or "?")
        tenths = round(paragraph.end * 10)
        time = f"#{clock(tenths // 10)}-{tenths % 10}#"
        mark = RIGHT_TO_LEFT if is_right_to_left(paragraph.text) else ""
        lines.append(f"{name}: {mark}{paragraph.text.replace('#', '＃')} {time}\n")
    return "\n".join(lines)


def maxqda_name(speaker: str) -> str:
    """Return a name, on one line, as MAXQDA takes it."""
    return speaker.replace(":", "꞉").replace("#", "＃")[:MAXQDA_NAME].strip()
