"""Documents end with what the audit says; no other format knows of it."""

from __future__ import annotations

from pathlib import Path

import html5lib
import pytest

import builders
from sessionscribe.artifacts.audit import (
    Audit,
    FallbackReport,
    LanguageAudit,
    RemovedText,
    SpeechGap,
    WordAudit,
)
from sessionscribe.config.settings import Export, Format
from sessionscribe.core.errors import UserError
from sessionscribe.editing.edited import read
from sessionscribe.stages.audit.flags import MOST
from sessionscribe.stages.export.export import write_export

TRANSCRIPT = builders.transcript(("A", builders.words("so it is")), flags=["1 cut", "1 open correction"])
AUDIT = Audit(
    session="s",
    duration_s=100,
    verdict="complete with flags",
    problems=[],
    flags=["1 cut", "2 stretches of speech without a word"],
    tracks=[],
    words=WordAudit(heard=3, kept=3, lost=0, unknown=0, moved=0, strays=[]),
    missing=[],
    gaps=[
        SpeechGap(track="a", start=i, end=i + 4, speech_s=3.5, decoded_again=False) for i in range(MOST + 3)
    ],
    repeats=[],
    unsure=[],
    language=LanguageAudit(language="en", probability=1, given=True, votes=[], spans=[]),
    speakers=[],
    removed=[RemovedText(track="a", start=61, end=62, text="Thank you.", reason="no speech there")],
    redecoded=[FallbackReport(track="a", start=70, end=75, reason="why", winner="second", words=1, lost="")],
)


def written(folder: Path, format: Format, audit: Audit | None) -> bytes:
    path = folder / "out"
    write_export(transcript=TRANSCRIPT, format=format, options=Export(), output=path, audit=audit)
    return path.read_bytes()


def test_documents_end_with_the_verdict_the_flags_once_and_where_to_listen(tmp_path: Path) -> None:
    text = written(tmp_path, "md", AUDIT).decode()
    lines = text.partition("## Worth a look\n\n")[2].splitlines()
    assert lines[:5] == [
        "- Audit: complete with flags",
        "- 0 of 0 chunks and 3 of 3 words are in the transcript",
        "- 1 cut",
        "- 2 stretches of speech without a word",
        "- 1 open correction",
    ]
    assert lines[5] == "- 00:00:00 to 00:00:04: 3.5 s of speech without a word"
    assert lines[-3:] == [
        "- … and 3 more of these",
        "- 00:01:01 removed: “Thank you.” (no speech there)",
        "- 00:01:10 to 00:01:15 decoded again (why): the second version was kept, 1 word",
    ]


@pytest.mark.parametrize("format", ["html", "docx", "pdf"])
def test_every_document_has_it(tmp_path: Path, format: Format) -> None:
    assert len(written(tmp_path, format, AUDIT)) > len(written(tmp_path, format, None))


def test_a_page_shows_what_was_removed_apart_from_what_was_said(tmp_path: Path) -> None:
    said = [*builders.words("so it", 1), *builders.words("is <now>", 8.5), *builders.words("and then", 20)]
    said[1] = said[1].model_copy(update={"probability": 0.34})
    made = builders.transcript(("A", said[:4]), ("B", said[4:]))
    removed = [
        RemovedText(track="a", start=start, end=start + 1, text=text, reason="a <reason>")
        for start, text in ((30, "last"), (4, "<b>you"), (8.6, "at once"), (15, "then"))
    ]
    path = tmp_path / "s.html"
    audit = AUDIT.model_copy(update={"removed": removed})
    write_export(transcript=made, format="html", options=Export(), output=path, audit=audit)
    page = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(path.read_text())
    shown = [
        (part.tag, "".join(part.find("p").itertext()))
        for part in page.find(".//main/div[@id='text']")
        if part.tag in ("section", "aside")
    ]
    why = "removed: a <reason>"
    assert shown == [
        ("section", "so it"),
        ("aside", f"<b>you {why}"),
        ("section", "is <now>"),
        ("aside", f"at once {why}"),  # while somebody speaks: no paragraph is parted
        ("aside", f"then {why}"),
        ("section", "and then"),
        ("aside", f"last {why}"),
    ]
    assert [part.get("title") for part in page.iter("span") if part.get("data-t")][1] == "unsure: 0.34"
    assert len([part for part in page.iter("span") if part.get("data-t")]) == len(said)
    names = [part.get("id") for part in page.iter() if part.get("id")]
    assert len(names) == len(set(names))
    (legend,) = [part for part in page.iter("p") if part.get("class") == "legend"]
    assert "".join(legend.itertext()) == "dotted line: unsure · struck out: not in the transcript"


def test_a_page_without_marks_explains_none(tmp_path: Path) -> None:
    text = written(tmp_path, "html", None).decode()
    assert 'class="legend"' not in text
    assert 'id="removed"' not in text


def test_what_was_removed_is_not_read_back_as_said(tmp_path: Path) -> None:
    path = tmp_path / "s.md"
    path.write_bytes(written(tmp_path, "md", AUDIT))
    assert [atom.text for atom in read(path, ["A"], [])] == ["so", "it", "is"]
    with pytest.raises(UserError, match="is not a format that can be read back"):
        read(tmp_path / "s.html", ["A"], [])


@pytest.mark.parametrize("format", ["json", "srt", "vtt", "txt", "tsv", "rttm", "maxqda"])
def test_no_other_format_knows_of_it(tmp_path: Path, format: Format) -> None:
    assert written(tmp_path, format, AUDIT) == written(tmp_path, format, None)
