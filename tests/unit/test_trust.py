"""What other people's recordings, names and copies could do to whoever opens what is made of them."""

from __future__ import annotations

import csv
import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import media
from builders import transcript, words
from sessionscribe.artifacts.chunk_transcript import Language
from sessionscribe.artifacts.speakers import EnrolledVoice
from sessionscribe.cli import main
from sessionscribe.config.settings import Export
from sessionscribe.core import files, tables, text
from sessionscribe.core.errors import UserError
from sessionscribe.formats.tables import cell_text, tsv
from sessionscribe.formats.tables import csv as write_csv
from sessionscribe.manifest import enrollment, manifest
from sessionscribe.manifest.manifest import Row
from sessionscribe.stages.correct import table as corrections
from sessionscribe.stages.name import speaker_map

RUN_BY_SPREADSHEETS = [
    *("=1+1", "+1", "-2+3", "@SUM(1)", "＝1+1", "＋1", "－1", "＠SUM(1)"),
    *("'=1", "\u200b=1", "\ufeff=1", "\u200e=1", "\t=1", "\x00=1", "\u202e=1", "=cmd|' /C calc'!A0"),
]
SIGNS = "=+-@＝＋－＠"
LONG = "so much text that it can be no name " * 5


def looks_like_a_formula(cell: str) -> bool:
    """As spreadsheets have it: what has no width is nothing to them."""
    return cell.lstrip("\u200b\u200c\u200d\u200e\u200f\u2060\ufeff").startswith(tuple(SIGNS))


@pytest.mark.parametrize("hostile", RUN_BY_SPREADSHEETS)
def test_no_cell_of_any_table_is_run(tmp_path: Path, hostile: str) -> None:
    """Exports, the manifest and the corrections: all of them are opened in spreadsheets."""
    made = transcript((hostile, words(f"{hostile} words", 1)))
    found = [
        *csv.reader(tsv(made, Export()).splitlines(), "excel-tab"),
        *csv.reader(write_csv(made, Export()).splitlines()),
    ]
    plain = text.one_line(hostile)
    assert [cell_text(row[2]) for row in found] == ["speaker", plain, "speaker", plain]

    row = Row("s", "recording", "mix", hostile, "sha256:0", 1.0, speaker=hostile, hotwords=hostile)
    manifest.write(tmp_path / "sessions.tsv", [row])
    (session,) = manifest.read(tmp_path / "sessions.tsv").values()
    assert session.rows == (row,)

    edit = corrections.Edit("words", 1.0, 2.0, plain, plain, plain, plain, plain, plain, plain)
    corrections.write(tmp_path / "s.tsv", [edit])
    assert corrections.read(tmp_path / "s.tsv") == [edit]
    for name in ("sessions.tsv", "s.tsv"):
        with (tmp_path / name).open(encoding="utf-8", newline="") as file:
            found += csv.reader(file, "excel-tab")
    assert not [cell for cells in found for cell in cells if looks_like_a_formula(cell)]


@given(st.text("'=+@-＝＠a\u200b ", max_size=6))
def test_what_is_guarded_can_be_had_back(cell: str) -> None:
    assert tables.unguarded(tables.guarded(cell)) == cell
    assert not looks_like_a_formula(tables.guarded(cell))


@pytest.mark.parametrize("mask", [0o022, 0o000])
def test_voice_embeddings_are_their_owners_alone(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        voice = EnrolledVoice(model="m", speech_s=1.0, embedding=[0.1])
        names = [
            "results/name/voices/1.json",
            "results/diarize/s.voices.json",
            "results/diarize/s/1/0000.npz",
        ]
        voice.write(tmp_path / names[0])
        for name in names[1:]:
            with files.atomic_path(tmp_path / name) as temporary:
                assert stat.S_IMODE(temporary.stat().st_mode) == 0o600, "from the first byte on"
                temporary.write_bytes(b"x")
        files.write_many(tmp_path / "pulled", dict.fromkeys([*names, "results/merge/s.json"], b"x"))
    finally:
        os.umask(before)
    made = [path for name in names for path in (tmp_path / name, tmp_path / "pulled" / name)]
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}
    other = tmp_path / "pulled/results/merge/s.json"
    assert stat.S_IMODE(other.stat().st_mode) == 0o666 & ~mask


def test_a_text_in_the_place_of_a_name_is_refused_where_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("names.tsv").write_text(f"session\tspeaker\tname\ns\tSPEAKER_00\t{LONG}\ns\tSPEAKER_01\tAnna\n")
    found = speaker_map.read(Path("names.tsv"), ["s"])
    assert found.rows["s"] == [["SPEAKER_01", "Anna"]]
    assert "is longer than a name may be (100 letters)" in found.problems[0]

    for edit in (
        corrections.Edit("name", was="SPEAKER_00", now=LONG),
        corrections.Edit("speaker", 1.0, 2.0, now=LONG),
        corrections.Edit("words", 1.0, 1.0, speaker=LONG, now="well"),
    ):
        with pytest.raises(UserError, match="longer than a name"):
            corrections.write(Path("s.tsv"), [edit])
    assert not Path("s.tsv").exists()

    row = Row("s", "multitrack", "a", "a.wav", "sha256:0", 1.0, speaker=LONG)
    manifest.write(Path("config/sessions.tsv"), [row])
    assert "longer than a name" in str(manifest.read(Path("config/sessions.tsv"))["s"].problem)

    Path("voices").mkdir()
    media.write_tone(Path("voices", f"{LONG[:120]}.wav"), 0.1)
    assert "longer than a name" in enrollment.read("voices", Path()).problems[0]

    Path("Snakefile").touch()
    Path("config.yaml").write_text(f"export: {{names: {{SPEAKER_00: {LONG}}}}}\n")
    assert main.main(["status", "--configfile", "config.yaml"]) == 2
    assert "at most 100 characters" in capsys.readouterr().err


def test_the_name_of_a_tracks_file_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters with their marks are not torn apart."""
    monkeypatch.chdir(tmp_path)
    Path("Snakefile").touch()
    tone = media.write_tone(Path(".t.wav"), 0.1).read_bytes()
    Path("duo").mkdir()
    for number, name in enumerate(("e\u0301" * 70, "Bo")):
        Path("duo", f"{name} x.wav").write_bytes(tone[:-1] + bytes([number]))
    assert main.main(["add", "duo", "--layout", "multitrack"]) == 0
    speakers = {row.speaker for row in manifest.read(Path("config/sessions.tsv"))["duo"].rows}
    assert "Bo x" in speakers
    assert max(map(len, speakers)) <= text.LONGEST_NAME


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "1e300"])
def test_a_time_that_is_none_is_refused_where_it_is_read(tmp_path: Path, number: str) -> None:
    """The last one is a number, but not in milliseconds."""
    path = tmp_path / "pulled.json"
    about = {"session": "s", "language": "en", "probability": 1, "given": False}
    vote = {"track": "mix", "start": "?", "language": "en", "probability": 1}
    path.write_text(json.dumps({**about, "votes": [vote]}).replace('"?"', number))
    with pytest.raises(UserError, match=r"is not a valid Language \(votes.0.start"):
        Language.read(path)


HALF = "\ud800"


@pytest.mark.parametrize(
    "given",
    [
        ["add", "talk.wav", "--hotwords", f"Anna {HALF}"],
        ["add", "talk.wav", "--session", f"talk{HALF}"],
        ["add", f"talk{HALF}.wav"],
        ["add", f"{HALF}:talk.wav"],
        ["status", f"talk{HALF}"],
        ["status", "--configfile", f"{HALF}.yaml"],
        ["status", "--config", f"manifest={HALF}.tsv"],
        ["status", "--profile", HALF],
        ["run", f"{HALF}.txt", "-n"],
        ["correct", f"talk{HALF}", "--list"],
        ["correct", "talk", "--author", HALF, "copy.txt"],
        ["enroll", HALF, "--session", "talk", "--speaker", "0:01"],
        ["remove", f"talk{HALF}"],
        ["transcribe", f"talk{HALF}.wav"],
        ["evaluate", HALF, "--reference", HALF],
    ],
)
def test_half_a_character_is_one_line_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """What the shell hands on of a name that is not UTF-8."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path("Snakefile").touch()
    media.write_tone(Path("talk.wav"), 0.1)
    assert main.main(["add", "talk.wav"]) == 0
    capfd.readouterr()
    assert main.main(given) in (1, 2)
    err = capfd.readouterr().err
    assert err.count("\n") == 1, err
    assert err.startswith("sessionscribe: ")
    manifest.read(Path("config/sessions.tsv"))
