"""The finished files: one function for every format.

All are UTF-8 with LF line ends, and depend on the transcript and the settings only. Times in ``json`` and
``rttm`` are seconds, in ``tsv`` whole milliseconds (as in Whisper's own tsv). Names given in the settings
stand in place of speaker labels everywhere. A word without a speaker has no label.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from sessionscribe.artifacts import SpokenSegment, Transcript, Turn
from sessionscribe.config import Export, Format
from sessionscribe.files import write_text
from sessionscribe.subtitles import Cue, cues, milliseconds
from sessionscribe.text import join_words, one_line

PARAGRAPH_PAUSE_S = 2.0  # in txt: silence from which the same speaker's next words stand in a new paragraph
PARAGRAPH_S = 60.0  # in txt: after it a new paragraph begins with the next segment


def write_export(*, transcript: Transcript, format: Format, options: Export, output: Path) -> None:
    """Write a transcript to ``output`` in one format.

    Args:
        transcript: what was said, by speaker label.
        format: which format.
        options: names of speakers, and the measures of subtitles.
        output: the file to write.
    """
    shown = named(transcript, options.names)
    if format == "json":
        shown.write(output)
    else:
        write_text(output, _WRITERS[format](shown, options))


def named(transcript: Transcript, names: dict[str, str]) -> Transcript:
    """Return the transcript with ``names`` in place of speaker labels; two labels of one name become one."""

    def name(label: str | None) -> str | None:
        return None if label is None else names.get(label, label)

    segments = []
    for segment in transcript.segments:
        words = [
            word.model_copy(
                update={"speaker": name(word.speaker), "second_speaker": name(word.second_speaker)}
            )
            for word in segment.words
        ]
        segments.append(segment.model_copy(update={"speaker": name(segment.speaker), "words": words}))
    turns = [
        Turn(start=t.start, end=t.end, speaker=names.get(t.speaker, t.speaker)) for t in transcript.turns
    ]
    speakers = list(dict.fromkeys(names.get(label, label) for label in transcript.speakers))
    return transcript.model_copy(update={"segments": segments, "turns": turns, "speakers": speakers})


def _srt(transcript: Transcript, options: Export) -> str:
    return _subtitles(cues(transcript, options, label_in_text=True), "srt", _srt_text)


def _vtt(transcript: Transcript, options: Export) -> str:
    return _subtitles(cues(transcript, options, label_in_text=False), "vtt", _vtt_text)


def _subtitles(found: Iterable[Cue], kind: str, text: Callable[[Cue], str]) -> str:
    import pysubs2  # noqa: PLC0415 -- only these two formats need it

    file = pysubs2.SSAFile()
    for cue in found:
        file.append(pysubs2.SSAEvent(start=cue.start, end=cue.end, text=text(cue)))
    # keep_ssa_tags: text in braces is text; pysubs2 would take it for a tag and leave it out.
    return str(file.to_string(kind, keep_ssa_tags=True))


def _srt_text(cue: Cue) -> str:
    """SubRip has no way to escape: what players or parsers would take for markup gets a look-alike."""
    lines = (
        re.sub(r"<(?=[/!a-zA-Z])", "‹", line.replace("-->", "→").replace("\\", "∖")) for line in cue.lines
    )
    return "\\N".join(lines)


def _vtt_text(cue: Cue) -> str:
    text = "\\N".join(_escaped(line) for line in cue.lines)
    return f"<v {_escaped(one_line(cue.speaker))}>{text}" if cue.speaker else text


def _escaped(text: str) -> str:
    """Return ``text`` with WebVTT's markup escaped; and the backslash, a line break to pysubs2."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("\\", "&#92;")


def _txt(transcript: Transcript, _: Export) -> str:
    paragraphs: list[list[SpokenSegment]] = []
    for segment in transcript.segments:
        if paragraphs and _continues(paragraphs[-1], segment):
            paragraphs[-1].append(segment)
        else:
            paragraphs.append([segment])
    lines = []
    for paragraph in paragraphs:
        speaker = paragraph[0].speaker
        label = f" {one_line(speaker)}:" if speaker else ""
        text = one_line(join_words([segment.text for segment in paragraph], transcript.language))
        lines.append(f"[{_clock(paragraph[0].start)}]{label} {text}\n")
    return "".join(lines)


def _continues(paragraph: list[SpokenSegment], segment: SpokenSegment) -> bool:
    return (
        segment.speaker == paragraph[-1].speaker
        and segment.start - paragraph[-1].end < PARAGRAPH_PAUSE_S
        and segment.end - paragraph[0].start <= PARAGRAPH_S
    )


def _clock(time_s: float) -> str:
    minutes, second = divmod(int(time_s), 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}"


def _tsv(transcript: Transcript, _: Export) -> str:
    table = io.StringIO()
    writer = csv.writer(table, delimiter="\t", lineterminator="\n")
    writer.writerow(["start", "end", "speaker", "text"])
    for segment in transcript.segments:
        row = [milliseconds(segment.start), milliseconds(segment.end)]
        writer.writerow([*row, one_line(segment.speaker or ""), one_line(segment.text)])
    return table.getvalue()


def _rttm(transcript: Transcript, _: Export) -> str:
    uri = _field(transcript.session)
    lines = []
    for turn in transcript.turns:
        duration = round(turn.end - turn.start, 3)
        if duration > 0:
            times = f"{turn.start:.3f} {duration:.3f}"
            lines.append(f"SPEAKER {uri} 1 {times} <NA> <NA> {_field(turn.speaker)} <NA> <NA>\n")
    return "".join(lines)


def _field(text: str) -> str:
    """Return ``text`` as one field of a format of fields between spaces, which readers may unquote."""
    return one_line(text).replace(" ", "_").replace('"', "'") or "_"


_WRITERS: dict[Format, Callable[[Transcript, Export], str]] = {
    "srt": _srt,
    "vtt": _vtt,
    "txt": _txt,
    "tsv": _tsv,
    "rttm": _rttm,
}
