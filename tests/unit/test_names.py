"""Names that people and recorders give: none stops other sessions, whatever it is."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from snakemake.io import PeriodicityDetector

import media
from sessionscribe.cli import main
from sessionscribe.manifest import manifest, names

HARD = [
    "la" * 40,
    "0" * 24,
    "ab-" * 30,
    "_" * 30,
    "日" * 120,
    "é" * 200,
    "x" * 250,
    "Models",
    "aux",
    "COM1",
    "---",
    "",
]
TABLE = Path("config/sessions.tsv")


@given(st.text("ab-_é日 .", max_size=300) | st.sampled_from(HARD))
@example("a" + "b" * 19)
@example("a" + "b" * 20)
def test_every_name_becomes_one_that_files_and_snakemake_hold(name: str) -> None:
    made = names.slug(name)
    assert names.fault(made) is None
    assert PeriodicityDetector().is_periodic(made) is None
    assert len(made.encode()) <= names.SHORT_BYTES
    assert len(os.fsencode(f".tmp-1234567-fetch_recording.{made}.0123456789ab.json")) < 143
    assert names.slug(made) == made


@given(st.text("ab-_", min_size=1, max_size=80))
def test_what_snakemake_takes_for_endless_is_known(name: str) -> None:
    periodic = PeriodicityDetector().is_periodic(name) is not None
    assert not periodic or names.fault(name) is not None


def test_long_names_that_begin_alike_stay_apart() -> None:
    assert names.slug("x" * 250) != names.slug("x" * 251)


@pytest.fixture
def tone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A project's folder to be in, and a tenth of a second of audio."""
    monkeypatch.chdir(tmp_path)
    Path("Snakefile").touch()
    Path("in").mkdir()
    return media.write_tone(tmp_path / ".tone.wav", 0.1).read_bytes()


def put(tone: bytes, *given: str) -> None:
    """Write recordings that differ in their last byte."""
    for number, name in enumerate(given):
        Path("in", name).write_bytes(tone[:-1] + bytes([number]))


def sessions() -> dict[str, manifest.Session]:
    return manifest.read(TABLE)


def test_twins_by_case_form_or_spelling_are_sessions_of_their_own(tone: bytes) -> None:
    """One each on any file system, whatever the order in which they come, and known again."""
    twins = [
        "Talk.wav",
        "talk.wav",
        "é.wav",
        f"{unicodedata.normalize('NFD', 'é')}.wav",
        "a b.wav",
        "a-b.wav",
    ]
    put(tone, *twins)
    assert main.main(["add", "in"]) == 0
    found = sessions()
    assert len({names.folded(name) for name in found}) == len(twins)
    assert {session.rows[0].source for session in found.values()} == {f"in/{name}" for name in twins}
    assert main.main(["add", "in"]) == 0
    assert sessions() == found


def test_a_given_name_that_differs_by_case_only_is_refused(
    tone: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tone, "talk.wav", "other.wav")
    assert main.main(["add", "in/talk.wav"]) == 0
    assert main.main(["add", "in/other.wav", "--session", "TALK"]) == 1
    assert "there is a session `talk`" in capsys.readouterr().err
    assert list(sessions()) == ["talk"]


def test_hidden_files_are_no_recordings(tone: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """What macOS, Windows and copying programs leave beside recordings."""
    put(tone, "talk.wav", ".talk.wav.a8Xk2.wav")
    Path("in/._talk.wav").write_bytes(b"\0\x05\x16\x07\0\2\0\0Mac OS X")
    assert main.main(["add", "in"]) == 0
    assert list(sessions()) == ["talk"]
    assert main.main(["add", "in/._talk.wav"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sessionscribe: in/._talk.wav: is not an audio or video file")
    assert line.endswith("It was not added")
    assert list(sessions()) == ["talk"]


@pytest.mark.parametrize("name", ["notes.txt", "holiday.jpg", "README"])
def test_what_neither_looks_nor_reads_like_a_recording_leaves_no_row(
    tone: bytes, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tone, "talk.wav")
    Path("in", name).write_text("words\n")
    assert main.main(["add", f"in/{name}", "in/talk.wav"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert list(sessions()) == ["talk"]


@pytest.mark.parametrize("bad", ["a b", "lalala" * 20, "x" * 220, "models"])
def test_a_name_in_the_table_that_cannot_be_spoils_no_other_session(tone: bytes, bad: str) -> None:
    put(tone, "a-b.wav")
    assert main.main(["add", "in"]) == 0
    row = TABLE.read_text().splitlines()[1]
    with TABLE.open("a") as table:
        table.write(row.replace("a-b", bad, 1) + "\n")
    good, wrong = sessions().values()
    assert (good.name, good.problem) == ("a-b", None)
    assert "cannot be a session name" in str(wrong.problem)
