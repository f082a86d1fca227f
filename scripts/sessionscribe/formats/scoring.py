"""What diarization and scoring tools read: RTTM, UEM, CTM, STM, SegLST."""

import json
import re
from collections.abc import Iterator

from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.config.settings import Export
from sessionscribe.core.text import one_line
from sessionscribe.core.units import SAMPLE_RATE

NOBODY = "<NA>"  # NIST's word for what is not known
SHORTEST_S = 0.001  # scorers refuse stretches of no length
_MARK_APART = re.compile(r" (?=[?!:;%»…]+$)|(?<=^[«¿¡-]) ")  # a space within a word, as in `va ?` and `50 %`


def rttm(transcript: Transcript, _: Export) -> str:
    """Who speaks when, overlaps included."""
    uri = field(transcript.session)
    lines = []
    for turn in transcript.turns:
        duration = round(turn.end - turn.start, 3)
        if duration > 0:
            times = f"{turn.start:.3f} {duration:.3f}"
            lines.append(f"SPEAKER {uri} 1 {times} <NA> <NA> {field(turn.speaker)} <NA> <NA>\n")
    return "".join(lines)


def uem(transcript: Transcript, _: Export) -> str:
    """Which stretches there is audio of: the session without its gaps."""
    uri = field(transcript.session)
    return "".join(f"{uri} 1 {start:.3f} {end:.3f}\n" for start, end in _covered(transcript))


def _covered(transcript: Transcript) -> Iterator[tuple[float, float]]:
    start = 0.0
    for gap in sorted(transcript.gaps, key=lambda gap: gap.start):
        if (stop := gap.start / SAMPLE_RATE) > start:
            yield start, stop
        start = max(start, gap.stop / SAMPLE_RATE)
    if transcript.duration_s > start:
        yield start, transcript.duration_s


def ctm(transcript: Transcript, _: Export) -> str:
    """Words with times and how sure the engine was; no speakers."""
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
    """Segments with times and speakers."""
    uri = field(transcript.session)
    lines = []
    for segment in sorted(transcript.segments, key=lambda segment: (segment.start, segment.end)):
        if text := one_line(segment.text):
            speaker = field(segment.speaker) if segment.speaker else NOBODY
            end = max(segment.end, segment.start + SHORTEST_S)
            # At its start, text in angle brackets would be taken for labels of the segment.
            text = f"‹{text[1:]}" if text.startswith("<") else text
            text = text.replace("{", "❴").replace("}", "❵")  # `{ a / b }` would be alternatives
            lines.append(f"{uri} 1 {speaker} {segment.start:.3f} {end:.3f} {text}\n")
    return "".join(lines)


def seglst(transcript: Transcript, _: Export) -> str:
    """Segments with times and speakers, as a list in JSON (the format of MeetEval and CHiME)."""
    rows = [
        {
            "session_id": transcript.session,
            "start_time": segment.start,
            "end_time": segment.end,
            "speaker": NOBODY if segment.speaker is None else one_line(segment.speaker),
            "words": one_line(segment.text),
        }
        for segment in transcript.segments
        if one_line(segment.text)
    ]
    return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"


def field(text: str) -> str:
    """Return ``text`` as one field of a format of fields between spaces, which readers may unquote."""
    return one_line(text).replace(" ", "_").replace('"', "'") or "_"
