"""The examples of exports in docs/output.md are what the program writes."""

import re
from pathlib import Path
from typing import get_args

import pytest

from builders import transcript, words
from sessionscribe.config.settings import Export, Format
from sessionscribe.formats.registry import ENDINGS, SUBTITLES, ending
from sessionscribe.stages.export.export import write_export

PAGE = (Path(__file__).resolve().parents[2] / "docs/output.md").read_text(encoding="utf-8")
EXAMPLES = dict(
    re.findall(r"^`(\w+)`(?: \([^)\n]*\))?:\n\n```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
)
FORMATS: tuple[Format, ...] = get_args(Format)


def test_every_text_format_has_an_example() -> None:
    assert set(EXAMPLES) == set(FORMATS) - {"json", "html", "docx", "pdf", "svg"}


@pytest.mark.parametrize("format", EXAMPLES)
def test_the_example_is_what_is_written(tmp_path: Path, format: Format) -> None:
    """`…` stands for what is left out."""
    made = transcript(
        ("Anna", words("Good afternoon, Martin. Are you busy?", 0.5)),
        ("SPEAKER_01", words("We need two people for the contract.", 3.2)),
        (None, words("Who?", 7.0)),
        session="meeting",
        duration_s=10.0,
    )
    write_export(transcript=made, format=format, options=Export(), output=tmp_path / "out")
    written = "\n".join(line.rstrip() for line in (tmp_path / "out").read_text(encoding="utf-8").split("\n"))
    example = EXAMPLES[format].strip("\n")
    pieces = re.split(r"\n?…\n?", example)
    if "…" not in example:
        assert written.strip("\n") == example
    at = 0
    for piece in pieces:
        assert piece in written[at:]
        at += written[at:].index(piece) + len(piece)
    assert format == "eaf" or written.startswith(pieces[0])


@pytest.mark.parametrize("format", FORMATS)
def test_the_table_names_the_file(format: Format) -> None:
    assert f"\n| `{format}` | `.{ending(format)}` |" in PAGE


def test_only_formats_have_endings() -> None:
    assert {*ENDINGS, *SUBTITLES} <= set(FORMATS)
