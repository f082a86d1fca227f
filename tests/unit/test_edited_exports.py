"""Edited exports: unchanged they say nothing; what is changed in them is what is corrected."""

from __future__ import annotations

import argparse
import copy
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docx
import pytest
from docx.oxml import OxmlElement

from builders import transcript, word, words
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.cli import correct as command
from sessionscribe.config.settings import Config, Export, Format
from sessionscribe.core.errors import UserError
from sessionscribe.editing.edited import FORMAT_OF
from sessionscribe.formats.registry import ending
from sessionscribe.manifest import manifest
from sessionscribe.manifest.manifest import Row
from sessionscribe.stages.correct import table
from sessionscribe.stages.correct.correct import lay_over
from sessionscribe.stages.export.export import write_export

READ_BACK: tuple[Format, ...] = (
    "json",
    "whisper",
    "whisperx",
    "seglst",
    "srt",
    "vtt",
    "ass",
    "txt",
    "maxqda",
    "md",
    "docx",
    "tsv",
    "csv",
    "stm",
    "aud",
)
SPEAKERLESS = {"whisper"}


def talk(**fields: Any) -> Transcript:
    """Two who talk at once, one nobody knows, marks that formats change, a word in several directions."""
    parts = [
        ("Anna Ek", words("Good evening, everybody. Note: it rains; we go to the castle at once", 1)),
        ("SPEAKER_01", words("no, no, no, wait", 3)),
        (None, words("who <b>said</b> that --> {x} back\\slash a&b 'x' =1", 9)),
        ("Anna Ek", words("I did.", 14)),
        ("SPEAKER_01", words("It was a long and winding road that led us here, to the very end", 16)),
        ("Anna Ek", words("naïve שלום לכולם café", 26)),
    ]
    return transcript(*parts, session="s", duration_s=40).model_copy(update=fields)


class Corrector:
    """A project of one session, whose exports are edited."""

    def __init__(self, root: Path, made: Transcript, **options: Any) -> None:
        self.root, self.made = root, made
        self.config = Config(export=Export.model_validate(options))
        manifest.write(root / "config/sessions.tsv", [Row("s", "recording", "mix", "in.wav", "0" * 64, 40.0)])
        made.write(root / "results/diarize/s.json")

    def export(self, format: Format) -> Path:
        path = self.root / f"edited.{ending(format)}"
        write_export(transcript=self.corrected(), format=format, options=self.config.export, output=path)
        return path

    def corrected(self) -> Transcript:
        path = table.path_of("s", self.root)
        return lay_over(self.made, None, self.config.export.names, path).transcript

    def correct(self, edited: Path | None, **options: Any) -> None:
        given = {
            "list": False,
            "made_from": None,
            "author": "",
            "note": "",
            "dry_run": False,
            "force": False,
        } | options
        asked = argparse.Namespace(session="s", edited=edited, **given)
        assert command.correct(asked, self.config, self.root) == 0

    def edits(self) -> list[table.Edit]:
        return table.read(table.path_of("s", self.root))

    def text(self) -> list[tuple[str | None, str]]:
        return [(part.speaker, part.text) for part in self.corrected().segments]


@pytest.fixture
def project(tmp_path: Path) -> Corrector:
    return Corrector(tmp_path, talk())


def replace(path: Path, old: str, new: str) -> Path:
    if path.suffix == ".docx":
        document = docx.Document(str(path))
        (run,) = [run for p in document.paragraphs for run in p.runs if old in run.text]
        run.text = run.text.replace(old, new, 1)
        document.save(str(path))
    else:
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


@pytest.mark.parametrize("format", READ_BACK)
def test_an_export_that_nobody_changed_says_nothing(
    project: Corrector, format: Format, capsys: pytest.CaptureFixture[str]
) -> None:
    project.correct(project.export(format))
    assert "no differences" in capsys.readouterr().out
    assert project.edits() == []


@pytest.mark.parametrize("format", READ_BACK)
def test_nor_does_one_without_speakers(
    tmp_path: Path, format: Format, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = [(None, segment.words) for segment in talk().segments]
    made = transcript(*nobody, session="s", duration_s=40).model_copy(update={"diarization": "off"})
    project = Corrector(tmp_path, made)
    project.correct(project.export(format))
    assert "no differences" in capsys.readouterr().out
    assert project.edits() == []


@pytest.mark.parametrize("format", READ_BACK)
def test_a_changed_word_is_one_edit(project: Corrector, format: Format) -> None:
    # In JSON with words, they count, not the text of the segment.
    old, new = ('"castle"', '"Castle,"') if format == "json" else ("castle", "Castle,")
    path = project.export(format)
    if format in {"whisper", "whisperx"}:
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace('castle"', 'Castle,"'), encoding="utf-8")
    else:
        replace(path, old, new)
    project.correct(path, author="Ada", note="sure")
    (edit,) = project.edits()
    assert (edit.edit, edit.was, edit.now) == ("words", "castle", "Castle,")
    assert (edit.before, edit.after) == ("go to the", "at once no,")
    assert (edit.author, edit.note) == ("Ada", "sure")
    wanted = [(who, text.replace("castle", "Castle,")) for who, text in project_text(project)]
    assert project.text() == wanted


def project_text(project: Corrector) -> list[tuple[str | None, str]]:
    return [(part.speaker, part.text) for part in project.made.segments]


@pytest.mark.parametrize("format", sorted(set(READ_BACK) - SPEAKERLESS - {"json", "whisperx"}))
def test_a_name_in_all_places_is_one_edit(project: Corrector, format: Format) -> None:
    path = project.export(format)
    if format == "docx":
        document = docx.Document(str(path))
        for run in (run for p in document.paragraphs for run in p.runs):
            run.text = run.text.replace("SPEAKER_01", "Ben")
        document.save(str(path))
    else:
        path.write_text(path.read_text(encoding="utf-8").replace("SPEAKER_01", "Ben"), encoding="utf-8")
        escaped = path.read_text(encoding="utf-8").replace("SPEAKER\\_01", "Ben")
        path.write_text(escaped, encoding="utf-8")
    project.correct(path)
    (edit,) = project.edits()
    assert (edit.edit, edit.was, edit.now) == ("name", "SPEAKER_01", "Ben")
    assert (edit.start, edit.end) == (16.0, pytest.approx(21.9))
    assert project.corrected().speakers == ["Anna Ek", "Ben"]


@pytest.mark.parametrize("format", ["srt", "vtt", "txt", "md", "tsv", "csv", "aud", "ass", "seglst", "stm"])
def test_another_speaker_of_a_line_is_one_edit(project: Corrector, format: Format) -> None:
    path = project.export(format)
    lines = path.read_text(encoding="utf-8").split("\n" if format not in {"seglst"} else " },\n")
    (number,) = [n for n, line in enumerate(lines) if "I did." in line]
    for name in ("Anna Ek", "Anna_Ek"):
        for old, new in ((name, "SPEAKER_01"),):
            lines[number] = lines[number].replace(old, new)
    path.write_text(("\n" if format not in {"seglst"} else " },\n").join(lines), encoding="utf-8")
    project.correct(path)
    (edit,) = project.edits()
    assert (edit.edit, edit.was, edit.now) == ("speaker", "I did.", "SPEAKER_01")
    assert ("SPEAKER_01", "I did.") in project.text()
    turns = [(turn.start, turn.end) for turn in project.corrected().turns if turn.speaker == "SPEAKER_01"]
    assert (14.0, 14.7) in turns


@pytest.mark.parametrize("format", READ_BACK)
def test_signs_that_formats_write_otherwise_are_no_change(tmp_path: Path, format: Format) -> None:
    parts = [
        ("A: #1 <b>\\{x}", words("in C# now #1 #tag C＃ 東京＃1 is it so", 1)),
        ("دنا\u200f", words("'=x or so", 8)),
        ("A: #1 <b>\\{x}", words("''+1 again and again", 14)),
        ("دنا\u200f", words("'tis נכון", 20)),
    ]
    project = Corrector(tmp_path, transcript(*parts, session="s", duration_s=40))
    project.correct(project.export(format))
    assert project.edits() == []


def test_a_number_sign_that_was_added_in_maxqda_is_one(project: Corrector) -> None:
    project.correct(replace(project.export("maxqda"), "castle", "C＃ castle"))
    assert [(edit.was, edit.now) for edit in project.edits()] == [("", "C#")]


@pytest.mark.parametrize("nobody", [False, True])
@pytest.mark.parametrize("format", READ_BACK)
def test_speakers_who_are_called_like_nobody_are_no_change(
    tmp_path: Path, format: Format, nobody: bool
) -> None:
    parts = [
        ("?", words("Good evening everybody we go to the castle", 1)),
        ("<NA>", words("no no wait for me", 8)),
        ("?", words("I did it again", 14)),
        (None if nobody else "<NA>", words("who said that just now", 20)),
    ]
    project = Corrector(tmp_path, transcript(*parts, session="s", duration_s=40))
    project.correct(project.export(format))
    assert project.edits() == []


def test_lines_that_an_editor_splits_joins_and_times_anew_are_the_same(project: Corrector) -> None:
    path = project.export("srt")
    cues = path.read_text(encoding="utf-8").strip().split("\n\n")
    cues = [cue.replace("castle", "castle\n\n99\n00:00:05,000 --> 00:00:05,500\n") for cue in cues]
    path.write_text("\n\n".join(cues) + "\n", encoding="utf-8")
    project.correct(path)
    assert project.edits() == []


def test_words_are_added_and_left_out_where_they_belong(project: Corrector) -> None:
    path = replace(project.export("txt"), "wait", "please wait, Anna")
    replace(path, "I did.", "did.")
    project.correct(path)
    assert [(edit.was, edit.now) for edit in project.edits()] == [("wait", "please wait, Anna"), ("I", "")]
    found = next(part for part in project.corrected().segments if part.text.startswith("no,"))
    assert found.text == "no, no, no, please wait, Anna"
    assert found.speaker == "SPEAKER_01"
    assert [w.corrected for w in found.words] == [False, False, False, True, True, True]
    assert all(a.end <= b.start for a, b in zip(found.words, found.words[1:], strict=False))


def test_a_new_person_takes_part_of_a_turn(project: Corrector, capsys: pytest.CaptureFixture[str]) -> None:
    text = project.export("txt").read_text(encoding="utf-8")
    text = text.replace(" that led us here", "\n[00:00:18] Anne Ek: that led us here").replace(
        "led us here, to", "led us here,\n[00:00:20] SPEAKER_01: to"
    )
    path = project.root / "mine.txt"
    path.write_text(text, encoding="utf-8")
    project.correct(path)
    assert "Did you mean `Anna Ek`?" in capsys.readouterr().err
    assert [who for who, _ in project.text()].count("Anne Ek") == 1
    assert ("Anne Ek", "that led us here,") in project.text()
    assert project.corrected().speakers == ["Anna Ek", "SPEAKER_01", "Anne Ek"]


@pytest.mark.parametrize("language", ["ja", "zh", "th"])
def test_languages_without_spaces_are_compared_by_letter(tmp_path: Path, language: str) -> None:
    texts = {
        "ja": ["これ", "は", "文章", "です。"],
        "zh": ["今天", "天气", "很好。"],
        "th": ["ที่นี่", "ดี", "มาก"],
    }
    found = [word(text, i, i + 0.9) for i, text in enumerate(texts[language])]
    project = Corrector(
        tmp_path, transcript(("A", found), ("A", words("ok", 8)), session="s", language=language)
    )
    for format in READ_BACK:
        project.correct(project.export(format))
        assert project.edits() == [], format
    new = {"ja": ("文章", "文書"), "zh": ("天气", "天氣"), "th": ("ดี", "ดีๆ")}[language]
    project.correct(replace(project.export("srt"), *new))
    (edit,) = project.edits()
    assert project.text()[0][1] == "".join(texts[language]).replace(*new)
    assert edit.was in new[0]


def test_a_copy_of_an_older_export_changes_only_what_was_changed_in_it(
    project: Corrector, capsys: pytest.CaptureFixture[str]
) -> None:
    """While a person edited, it was transcribed again, better and worse."""
    old = project.export("txt").rename(project.root / "old.txt")
    edited = project.root / "edited.txt"
    edited.write_text(old.read_text(encoding="utf-8"), encoding="utf-8")
    replace(edited, "castle", "Castle,")
    replace(edited, "winding", "windy")
    replace(edited, "Anna Ek: I did.", "SPEAKER_01: I did.")
    again = project.made.model_dump_json().replace("rains;", "reigns;").replace("winding", "wandering")
    project.made = Transcript.model_validate_json(again)
    project.made.write(project.root / "results/diarize/s.json")
    project.correct(edited, made_from=old)
    found = {(edit.edit, edit.was, edit.now) for edit in project.edits()}
    assert found == {
        ("words", "castle", "Castle,"),
        ("words", "winding", "windy"),
        ("speaker", "I did.", "SPEAKER_01"),
    }
    texts = " ".join(text for _, text in project.text())
    assert "Note: it reigns; we go to the Castle, at once" in texts
    assert "long and wandering road" in texts
    project.correct(None, list=True)
    assert (
        "NO PLACE   words    00:00:17.600  winding → windy  (`winding` is no longer"
        in capsys.readouterr().out
    )


def test_a_second_copy_takes_back_and_adds(project: Corrector) -> None:
    project.correct(replace(project.export("txt"), "castle", "Castle"), author="Ada")
    project.correct(replace(project.export("srt"), "winding", "windy"), author="Ben")
    assert [(e.now, e.author) for e in project.edits()] == [("Castle", "Ada"), ("windy", "Ben")]
    project.correct(replace(project.export("txt"), "Castle", "castle"))
    assert [(e.now, e.author) for e in project.edits()] == [("windy", "Ben")]
    project.correct(replace(project.export("txt"), "windy", "winding"))
    assert not table.path_of("s", project.root).exists()


def test_what_is_shown_only_writes_nothing(project: Corrector, capsys: pytest.CaptureFixture[str]) -> None:
    project.correct(replace(project.export("txt"), "castle", "Castle"), dry_run=True)
    assert "castle → Castle" in capsys.readouterr().out
    assert project.edits() == []


def test_another_sessions_text_is_refused(project: Corrector) -> None:
    path = project.root / "other.txt"
    path.write_text("[00:00:01] Anna Ek: something else altogether was talked about on that day\n")
    with pytest.raises(UserError, match=r"words in common with the copy. Give an edited copy of an export"):
        project.correct(path)
    assert project.edits() == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.pdf", b"", "not a format that can be read back"),
        ("x.srt", b"M\xfcller", "is not UTF-8"),
        ("x.tsv", b"a\tb\n1\t2\n", "has no column `text`"),
        ("x.docx", b"none", "is not a Word document"),
        ("x.tsv", b'start\ttext\n1\t"one\n2\ttwo\n', r"x\.tsv, line 2: a quotation mark is not closed"),
        (
            "x.csv",
            b'start,text\n1,one\n2,"two' + b"\n3,three" * 20_000,
            r"line 3: a quotation mark is not closed",
        ),
        ("x.csv", b"", "has no column `text`"),
        ("x.json", b"{}", "neither a transcript"),
        ("no.txt", None, "there is no such file"),
    ],
)
def test_a_copy_that_cannot_be_read_is_one_clear_line(
    project: Corrector, name: str, content: bytes | None, message: str
) -> None:
    path = project.root / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message) as raised:
        project.correct(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new"), [("Sans,48", "Sans,large"), ("&H00FFFFFF", ""), ("&H00FFFFFF", "\x1b[31m")]
)
def test_a_damaged_style_is_one_clear_line(project: Corrector, old: str, new: str) -> None:
    path = replace(project.export("ass"), old, new)
    with pytest.raises(UserError, match="is not a valid ass") as raised:
        project.correct(path)
    assert str(raised.value).isprintable()


def cut_xml(data: bytes) -> bytes:
    """The document's XML ends in the middle."""
    return rewritten(data, lambda name, xml: xml[:-99] if name == "word/document.xml" else xml)


def other_xml(data: bytes) -> bytes:
    """A part is XML, but not what it should be."""
    return rewritten(data, lambda name, xml: b"<a/>" if name == "_rels/.rels" else xml)


def rewritten(data: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return out.getvalue()


def spoilt_member(data: bytes) -> bytes:
    """A byte of what is compressed is another."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        member = archive.getinfo("word/document.xml")
    start = member.header_offset + 30 + len(member.filename)
    return data[:start] + b"\xff" * 40 + data[start + 40 :]


def no_members(data: bytes) -> bytes:
    """The first half was overwritten; the list at the end is whole."""
    return bytes(len(data) // 2) + data[len(data) // 2 :]


def bomb(data: bytes) -> bytes:
    """A member is said to unpack to more than the memory holds."""
    out = io.BytesIO(data)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("zeros", b"")
    data = out.getvalue()
    at = data.rindex(b"PK\1\2") + 24
    return data[:at] + b"\xf0\xff\xff\xff" + data[at + 4 :]


@pytest.mark.parametrize("damage", [cut_xml, other_xml, spoilt_member, no_members, bomb])
def test_a_damaged_word_document_is_one_clear_line(
    project: Corrector, damage: Callable[[bytes], bytes]
) -> None:
    path = project.export("docx")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="is not a Word document, or damaged") as raised:
        project.correct(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("format", ["srt", "docx", "tsv", "stm"])
def test_a_copy_that_may_not_be_read_is_one_clear_line(
    project: Corrector, format: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project.export(format)
    read_bytes, read_text = Path.read_bytes, Path.read_text

    def refuse(real: Callable[..., Any]) -> Callable[..., Any]:
        def read(self: Path, *given: Any, **options: Any) -> Any:
            if self == path:  # root may read everything
                raise PermissionError(13, "Permission denied", str(self))
            return real(self, *given, **options)

        return read

    monkeypatch.setattr(Path, "read_bytes", refuse(read_bytes))
    monkeypatch.setattr(Path, "read_text", refuse(read_text))
    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\)"):
        project.correct(path)


def test_every_format_that_is_named_is_tested() -> None:
    assert set(FORMAT_OF.values()) <= set(READ_BACK)


TURNS = [("SPEAKER_00", words("Good evening, everybody.", 1)), ("SPEAKER_01", words("It rains.", 9))]


@pytest.mark.parametrize("format", sorted({*READ_BACK} - SPEAKERLESS - {"json", "seglst", "whisperx"}))
def test_names_of_one_turn_each_are_names_and_no_words(tmp_path: Path, format: Format) -> None:
    project = Corrector(tmp_path, transcript(*TURNS, session="s", duration_s=20))
    path = project.export(format)
    for label, name in (("SPEAKER_00", "Anna"), ("SPEAKER_01", "Ben")):
        while label in (text := written(path)) or label.replace("_", "\\_") in text:
            replace(path, label if label in text else label.replace("_", "\\_"), name)
    project.correct(path)
    assert project.text() == [("Anna", "Good evening, everybody."), ("Ben", "It rains.")]
    assert {edit.edit for edit in project.edits()} == {"name"}


def written(path: Path) -> str:
    """Return the text of an export; of a Word document that of its paragraphs."""
    if path.suffix == ".docx":
        return "\n".join(paragraph.text for paragraph in docx.Document(str(path)).paragraphs)
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("made", "copy", "wanted"),
    [
        # A word beside the label was corrected, too.
        (TURNS, "[00:00:01] Anna: Well evening, everybody.\n[00:00:09] Ben: It rained.\n",
         [("Anna", "Well evening, everybody."), ("Ben", "It rained.")]),
        # A turn was cut in two, and a sentence with a colon stays one.
        (TURNS, "[00:00:01] Anna: Good evening,\n[00:00:02] Cleo: everybody.\n[00:00:09] Ben: It rains.\n",
         [("Anna", "Good evening,"), ("Cleo", "everybody."), ("Ben", "It rains.")]),
        # One name is new, one is as it was.
        (TURNS, "[00:00:01] Dr. Anna Ek (host): Good evening, everybody.\n[00:00:09] SPEAKER_01: It rains.\n",
         [("Dr. Anna Ek (host)", "Good evening, everybody."), ("SPEAKER_01", "It rains.")]),
        # Colons as they are written in Paris and in Tokyo.
        (TURNS, "[00:00:01] Anna : Good evening, everybody.\n[00:00:09] Ben：It rains.\n",
         [("Anna", "Good evening, everybody."), ("Ben", "It rains.")]),
        (TURNS, "[00:00:01] SPEAKER_00 : Good evening, everybody.\n[00:00:09] SPEAKER_01： It rains.\n",
         [("SPEAKER_00", "Good evening, everybody."), ("SPEAKER_01", "It rains.")]),
        # Nobody was asked who speaks, and somebody knows.
        ([(None, said) for _, said in TURNS],
         "[00:00:01] Anna: Good evening, everybody.\n[00:00:09] Ben: It rains.\n",
         [("Anna", "Good evening, everybody."), ("Ben", "It rains.")]),
        # What is said may have a colon now.
        ([(None, said) for _, said in TURNS], "[00:00:01] Good evening: everybody.\n[00:00:09] It: rains.\n",
         [(None, "Good evening: everybody."), (None, "It: rains.")]),
        (TURNS, "[00:00:01] Anna: Good evening: everybody.\n[00:00:09] Ben: It: rains.\n",
         [("Anna", "Good evening: everybody."), ("Ben", "It: rains.")]),
        # Names with colons, and names that are written otherwise than by us.
        (TURNS, "[00:00:01] Host: Anna: Good evening, everybody.\n[00:00:09] 12:30: It rains.\n",
         [("Host: Anna", "Good evening, everybody."), ("12:30", "It rains.")]),
        (TURNS, "[Anna] Good evening, everybody.\nBen – It rains.\n",
         [("Anna", "Good evening, everybody."), ("Ben", "It rains.")]),
        (TURNS, "[00:00:01] Anna:\nGood evening,\neverybody.\n- Ben: It rains.\n",
         [("Anna", "Good evening, everybody."), ("Ben", "It rains.")]),
        # Two lines are one now.
        (TURNS, "[00:00:01] Anna: Good evening, everybody. [00:00:09] Ben: It rains.\n",
         [("Anna", "Good evening, everybody."), ("Ben", "It rains.")]),
    ],
)  # fmt: skip
def test_labels_and_words_are_told_apart(
    tmp_path: Path,
    made: list[tuple[str | None, Any]],
    copy: str,
    wanted: list[tuple[str | None, str]],
) -> None:
    project = Corrector(tmp_path, transcript(*made, session="s", duration_s=20))
    path = project.export("txt")
    path.write_text(copy, encoding="utf-8")
    project.correct(path)
    assert project.text() == wanted


def tracked(path: Path) -> None:
    """Rename speakers as Word does while it tracks changes, and put a paragraph into a form's field."""
    document = docx.Document(str(path))
    spoken = [p for p in document.paragraphs if "SPEAKER" in p.text]
    for paragraph, name in zip(spoken, ("Anna", "Ben"), strict=True):
        _, label, _ = paragraph.runs
        deleted, inserted = OxmlElement("w:del"), OxmlElement("w:ins")
        label._r.addnext(deleted)
        deleted.addnext(inserted)
        inserted.append(copy.deepcopy(label._r))
        inserted[0].text = f" {name}:"
        deleted.append(label._r)
    control, content = OxmlElement("w:sdt"), OxmlElement("w:sdtContent")
    control.append(content)
    spoken[0]._p.addprevious(control)
    content.append(spoken[0]._p)
    document.save(str(path))


def rewrite(path: Path, *changes: tuple[str, str], encoding: str = "utf-8", name: str = "") -> Path:
    """Replace patterns in an export and save it as another program would."""
    text = path.read_text(encoding="utf-8")
    for pattern, new in (("SPEAKER(_|\\\\_)00", "Anna"), ("SPEAKER(_|\\\\_)01", "Ben"), *changes):
        text = re.sub(pattern, new, text, flags=re.MULTILINE)
    path.unlink()
    path = path.with_name(name or path.name)
    path.write_bytes(text.encode(encoding))
    return path


SAVED: dict[str, tuple[Format, Callable[[Path], Path | None]]] = {
    "Word, tracked": ("docx", tracked),
    "Word, first time deleted": ("docx", lambda path: rename(path, "00:00:01")),
    "Notepad, Unicode": ("txt", lambda path: rewrite(path, ("\n", "\r\n"), encoding="utf-16")),
    "Excel, Unicode text": ("tsv", lambda path: rewrite(path, encoding="utf-16", name="edited.txt")),
    "Excel in Germany": (
        "csv",
        lambda path: rewrite(path, ('"(.*)"', r"\1"), (",(?! )", ";"), encoding="utf-8-sig"),
    ),
    "Audacity": ("aud", lambda path: rewrite(path, ("$", "\n\\\\\t100.0\t5000.0"), name="Labels.txt")),
    "Notepad, name kept": ("srt", lambda path: rewrite(path, name="edited.srt.txt")),
    "MAXQDA": ("maxqda", lambda path: rewrite(path, name="edited.txt")),
    "Subtitle Edit, joined": ("srt", lambda path: rewrite(path, (r"\n\n2\n.* --> .*\n", "\n- "))),
    "Aegisub, actors": (
        "ass",
        lambda path: rewrite(path, (",,Anna:", ",,SPEAKER_00:"), (",,Ben:", ",,SPEAKER_01:")),
    ),
    "no voice tags": ("vtt", lambda path: rewrite(path, ("<v (.*?)>", r"\1: "))),
    "Google, Markdown": (
        "md",
        lambda path: rewrite(path, (r"\.$", r"\\."), (r"\Z", "\n[image1]: <data:image/png;base64,iVBO>\n")),
    ),
    "Markdown without empty lines and first time": (
        "md",
        lambda path: rewrite(path, ("00:00:01 ", ""), (r"\n\n00", "\n00"), (r"\*\*", "__")),
    ),
}  # fmt: skip


def rename(path: Path, time: str) -> None:
    """Rename the speakers in a Word document, and delete a time."""
    document = docx.Document(str(path))
    for run in (run for paragraph in document.paragraphs for run in paragraph.runs):
        for old, new in ((time, ""), ("SPEAKER_00", "Anna"), ("SPEAKER_01", "Ben")):
            run.text = run.text.replace(old, new)
    document.save(str(path))


@pytest.mark.parametrize("program", SAVED)
def test_names_are_names_as_programs_save_them(tmp_path: Path, program: str) -> None:
    project = Corrector(tmp_path, transcript(*TURNS, session="s", duration_s=20))
    format, save = SAVED[program]
    path = project.export(format)
    project.correct(save(path) or path)
    assert project.text() == [("Anna", "Good evening, everybody."), ("Ben", "It rains.")]
    assert {edit.edit for edit in project.edits()} == {"name"}


def test_a_number_that_ends_the_last_cue_is_spoken(tmp_path: Path) -> None:
    """pysubs2 would take it for the number of the next cue."""
    parts = [
        ("A speaker with a long name", words("It cost us", 1)),
        ("A speaker with a long name", words("1984", 9)),
    ]
    project = Corrector(tmp_path, transcript(*parts, session="s", duration_s=20))
    project.correct(project.export("srt"))
    assert project.edits() == []


def test_a_row_that_was_there_is_no_label(tmp_path: Path) -> None:
    """Though what follows a dash in it begins another line."""
    parts = [
        ("Anna", words("we said at the end of the day – it rains again", 1)),
        (None, words("okay – it rains again", 9)),
        ("Ben", words("It rains again and again.", 14)),
    ]
    for format in ("srt", "vtt", "txt"):
        project = Corrector(
            tmp_path / format, transcript(*parts, session="s", duration_s=20), max_line_chars=30
        )
        project.correct(project.export(format))
        assert project.edits() == [], format
