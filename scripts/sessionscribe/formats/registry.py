"""The formats of finished files: how their names end, and which settings they depend on."""

from collections.abc import Iterable, Mapping
from typing import Any

# A format's name is the end of its file's name, but for these.
ENDINGS: Mapping[str, str] = {
    "whisper": "whisper.json",
    "whisperx": "whisperx.json",
    "seglst": "seglst.json",
    "maxqda": "maxqda.txt",
}
READING = frozenset({"md", "html", "docx", "pdf"})  # these say at their end what is worth a look
SUBTITLES = frozenset({"srt", "vtt", "ass"})
# Which formats a setting matters to; one that is not named matters to all.
MATTERS_TO: Mapping[str, frozenset[str]] = {
    "formats": frozenset(),
    "names": frozenset(),  # they are in the transcript already
    "max_line_chars": SUBTITLES,
    "max_lines": SUBTITLES,
    "max_cue_s": SUBTITLES,
    "min_cue_s": SUBTITLES,
    "max_chars_per_s": SUBTITLES,
    "split_at": SUBTITLES,
    "karaoke": frozenset({"vtt", "ass"}),
    "vtt_settings": frozenset({"vtt"}),
    "audio": frozenset({"html"}),
    "pdf_fonts": frozenset({"pdf"}),
    "pdf_page": frozenset({"pdf"}),
}


def ending(format: str) -> str:
    """Return how the name of a file of this format ends, after the session's name and a dot."""
    return ENDINGS.get(format, format)


def with_pictures(formats: Iterable[str]) -> list[str]:
    """Return the formats, each once, and ``svg`` where one refers to it."""
    asked = dict.fromkeys(formats)
    return [*asked, "svg"] if "md" in asked and "svg" not in asked else [*asked]


def options_for(formats: Iterable[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the export settings that the bytes of files in these formats depend on."""
    asked = frozenset(formats)
    return {name: value for name, value in options.items() if asked & MATTERS_TO.get(name, asked)}
