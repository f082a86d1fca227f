"""The export formats: their file name endings, and the settings that they depend on."""

from collections.abc import Iterable, Mapping
from typing import Any

# The format's name is the ending of its files, except for these.
ENDINGS: Mapping[str, str] = {
    "whisper": "whisper.json",
    "whisperx": "whisperx.json",
    "seglst": "seglst.json",
    "maxqda": "maxqda.txt",
}
READING = frozenset({"md", "html", "docx", "pdf"})  # these end with the flags that are worth a look
SUBTITLES = frozenset({"srt", "vtt", "ass"})
# The formats that depend on a setting; all depend on those not named.
MATTERS_TO: Mapping[str, frozenset[str]] = {
    "formats": frozenset(),
    "names": frozenset(),  # applied to the transcript before
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
    """Return the ending of files of a format, after the session's name and a dot."""
    return ENDINGS.get(format, format)


def with_pictures(formats: Iterable[str]) -> list[str]:
    """Return the formats without duplicates, and ``svg`` if one refers to it."""
    asked = dict.fromkeys(formats)
    return [*asked, "svg"] if "md" in asked and "svg" not in asked else [*asked]


def options_for(formats: Iterable[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the export settings that files in these formats depend on."""
    asked = frozenset(formats)
    return {name: value for name, value in options.items() if asked & MATTERS_TO.get(name, asked)}
