"""Subtitles: SubRip, WebVTT, Advanced SubStation."""

import html
import re
from collections.abc import Callable, Iterable
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.config.settings import Export
from sessionscribe.core.text import is_right_to_left, one_line, starts_right_to_left, undirected
from sessionscribe.core.units import exact_clock
from sessionscribe.formats.colours import on_dark
from sessionscribe.formats.reading import labelled
from sessionscribe.formats.subtitles import Cue, Piece, cues
from sessionscribe.formats.utterances import PlainTranscript, Utterance, invalid

if TYPE_CHECKING:
    import pysubs2

# Makes a line run from right to left, whatever direction the player assumes.
EMBEDDED = "\u202b{}\u202c"
STYLE_IN_SRT = re.compile(r"\{\\[^}]*\}")  # override tags as pysubs2 keeps them; other braces are text
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?[ \t]+([^>]*)>")
_TAG = re.compile(r"<[^>]*>")
LAST_NUMBER = "\n\n0\n"  # pysubs2 takes a number at the end of the last cue for that of the next
UNSPOKEN = (0x80, 0x80, 0x80)  # the colour of words not yet spoken, in karaoke


def srt(transcript: Transcript, options: Export) -> str:
    """Return SubRip subtitles; speakers are part of the text."""
    return _written(cues(transcript, options, label_in_text=True), "srt", _srt_text)


def vtt(transcript: Transcript, options: Export) -> str:
    """Return WebVTT; speakers are voice tags, and words have times with ``karaoke``."""

    def text(cue: Cue) -> str:
        return _vtt_text(cue, karaoke=options.karaoke)

    written = _written(cues(transcript, options, label_in_text=False), "vtt", text)
    if options.vtt_settings:
        # Only lines with times contain an arrow; in text it is escaped.
        written = re.sub("^(.* --> .*)$", rf"\1 {options.vtt_settings}", written, flags=re.MULTILINE)
    return written


def ass(transcript: Transcript, options: Export) -> str:
    """Return Advanced SubStation; each speaker has a style with a colour."""
    import pysubs2  # noqa: PLC0415 -- only these formats need it

    found = cues(transcript, options, label_in_text=True)
    file = _events(found, lambda cue: _ass_text(cue, karaoke=options.karaoke))
    file.info.update({"WrapStyle": "2", "PlayResX": "1280", "PlayResY": "720"})
    default = file.styles["Default"]
    default.fontname, default.fontsize = "Sans", 48.0
    default.secondarycolor = pysubs2.Color(*UNSPOKEN)
    styles = {}
    for number, speaker in enumerate(transcript.speakers):
        styles[speaker] = f"Speaker {number + 1}"
        style = file.styles[styles[speaker]] = default.copy()
        style.primarycolor = pysubs2.Color(*on_dark(number))
    for event, cue in zip(file, found, strict=True):
        event.style = styles.get(cue.speaker or "", "Default")
        event.name = actor(cue.speaker or "")
    return str(file.to_string("ass", header_notice="Made by sessionscribe"))


def _written(found: Iterable[Cue], kind: str, text: Callable[[Cue], str]) -> str:
    # keep_ssa_tags: else pysubs2 would remove text in braces as tags.
    return str(_events(found, text).to_string(kind, keep_ssa_tags=True))


def _events(found: Iterable[Cue], text: Callable[[Cue], str]) -> "pysubs2.SSAFile":
    import pysubs2  # noqa: PLC0415 -- only these formats need it

    file = pysubs2.SSAFile()
    for cue in found:
        file.append(pysubs2.SSAEvent(start=cue.start, end=cue.end, text=text(cue)))
    return file


def _srt_text(cue: Cue) -> str:
    return "\\N".join(_embedded(map(in_srt, cue.lines), cue))


def in_srt(line: str) -> str:
    """Return a line for SubRip, with look-alikes for what players or parsers would take for markup."""
    return re.sub(r"<(?=[/!a-zA-Z])", "‹", line.replace("-->", "→").replace("\\", "∖"))


def _embedded(lines: Iterable[str], cue: Cue) -> Iterable[str]:
    return map(EMBEDDED.format, lines) if _runs_from_right(cue) else lines


def _runs_from_right(cue: Cue) -> bool:
    return is_right_to_left(
        " ".join(piece.text for row in cue.rows for piece in row if piece.start is not None)
    )


def _vtt_text(cue: Cue, *, karaoke: bool) -> str:
    shown = cue.start  # times in a cue must rise
    rows = []
    for row in cue.rows:
        text = (
            "&rlm;"
            if _runs_from_right(cue) and not starts_right_to_left("".join(p.text for p in row))
            else ""
        )
        for piece in row:
            word = piece.text.lstrip(" ")
            text += piece.text[: len(piece.text) - len(word)]
            if karaoke and piece.start is not None and shown < piece.start < cue.end:
                shown = piece.start
                text += f"<{exact_clock(shown / 1000)}>"
            text += _escaped(word)
        rows.append(text)
    text = "\\N".join(rows)
    name = _escaped(one_line(cue.speaker or ""))
    if name.endswith("-"):
        name += " "  # else the end of the tag would make it `->`, and text must not contain arrows
    return f"<v {name}>{text}" if name else text


def _escaped(text: str) -> str:
    """Escape WebVTT's markup, and the backslash, which begins pysubs2's line break."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("\\", "&#92;")


def _ass_text(cue: Cue, *, karaoke: bool) -> str:
    lengths = iter(_karaoke_lengths(cue))

    def shown(piece: Piece) -> str:
        return (f"{{\\k{next(lengths)}}}" if karaoke else "") + in_ass(piece.text)

    return "\\N".join(_embedded(["".join(map(shown, row)) for row in cue.rows], cue))


def in_ass(text: str) -> str:
    """Return text for SubStation, with look-alikes for braces and backslashes, which cannot be escaped."""
    return text.replace("\\", "∖").replace("{", "❴").replace("}", "❵")


def actor(speaker: str) -> str:
    """Return a speaker's name for a field of SubStation; fields are separated by commas."""
    return one_line(speaker).replace(",", "‚")


def _karaoke_lengths(cue: Cue) -> list[int]:
    """Return the time from each piece to the next one, in hundredths of a second."""
    times = [cue.start]
    for piece in list(chain(*cue.rows))[1:]:
        start = cue.start if piece.start is None else piece.start
        times.append(min(max(start, times[-1]), cue.end))
    times.append(cue.end)
    hundredths = [round(time / 10) for time in times]
    return [after - before for before, after in pairwise(hundredths)]


def read_srt(path: Path, text: str) -> list[PlainTranscript]:
    """Read SubRip; `Name:` counts as a speaker if at least two cues begin with it."""
    import pysubs2  # noqa: PLC0415

    cues = [
        (event.start / 1000, event.end / 1000, STYLE_IN_SRT.sub("", event.text).replace("\\N", "\n"))
        for event in pysubs2.SSAFile.from_string(text + LAST_NUMBER, format_="srt")
    ]
    if text.strip() and not cues:
        raise invalid(path, "has no cues")
    lines = labelled([" ".join(said.split()) for *_, said in cues])
    return [
        PlainTranscript(
            path.stem,
            utterances=tuple(
                Utterance(said, start, end, speaker)
                for (start, end, _), (speaker, said) in zip(cues, lines, strict=True)
            ),
        )
    ]


def read_vtt(path: Path, text: str) -> list[PlainTranscript]:
    """Read WebVTT; voice tags are speakers."""
    import webvtt  # noqa: PLC0415
    from webvtt.errors import MalformedCaptionError, MalformedFileError  # noqa: PLC0415

    try:
        captions = webvtt.from_string(text, strict=True).captions
    except (MalformedFileError, MalformedCaptionError, ValueError) as error:
        raise invalid(path, f"is not valid ({error})") from error
    blocks = re.split(r"\n\s*\n", text.strip())[1:]
    if not captions and not all(block.startswith(("NOTE", "STYLE", "REGION")) for block in blocks):
        raise invalid(path, "has no cues")
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
