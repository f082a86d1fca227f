"""`sessionscribe add` as a person meets it: what it says, and what it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import media
from project import ROOT
from sessionscribe.cli import main
from sessionscribe.manifest import manifest

TABLE = Path("config/sessions.tsv")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("Snakefile").touch()
    media.write_tone(Path("talk.wav"), 0.2)


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    return capsys


def test_it_tells_new_from_known(told: pytest.CaptureFixture[str]) -> None:
    assert main.main(["add", "talk.wav"]) == 0
    assert told.readouterr().out == "added talk: recording, 1 file, 0.00 h of audio\n"
    assert main.main(["add", "talk.wav"]) == 0
    assert told.readouterr().out == "known talk: recording, 1 file, 0.00 h of audio\n"
    assert main.main(["add", "talk.wav", "--language", "de"]) == 0
    assert told.readouterr().out == "added talk: recording, 1 file, 0.00 h of audio\n"


def test_what_is_no_recording_is_not_called_added(told: pytest.CaptureFixture[str]) -> None:
    Path("notes.txt").write_text("just words")
    assert main.main(["add", "notes.txt"]) == 1
    out, err = told.readouterr()
    assert out == ""
    assert err.startswith("sessionscribe: notes.txt: ")
    assert len(err.splitlines()) == 1


def test_own_recordings_do_not_go_into_the_table_of_the_demo(told: pytest.CaptureFixture[str]) -> None:
    Path("config").mkdir()
    shutil.copy2(ROOT / "config/demo.yaml", "config")
    assert main.main(["add", "talk.wav", "--profile", "demo"]) == 2
    assert "talk.wav: is not one of the demo's recordings. Leave out --profile demo" in told.readouterr().err
    assert not Path("resources").exists()
    Path("resources/demo").mkdir(parents=True)
    Path("talk.wav").rename("resources/demo/talk.wav")
    assert main.main(["add", "resources/demo/talk.wav", "--profile", "demo"]) == 0


def test_a_stream_that_is_not_there_is_refused(told: pytest.CaptureFixture[str]) -> None:
    assert main.main(["add", "talk.wav", "--audio-stream", "7"]) == 2
    assert "talk.wav: has no audio stream number 7 (it has 1 audio stream, number 0)" in told.readouterr().err
    assert not TABLE.exists()
    assert main.main(["add", "talk.wav", "--audio-stream", "0"]) == 0
    assert manifest.read(TABLE)["talk"].rows[0].audio_stream == 0


WRONG = "session\tshape\ttrack\tsource\tnum_speakers\nother\trecording\tmix\tother.wav\ttwo\n"


def test_the_wrong_row_of_another_session_is_left_as_it_is() -> None:
    TABLE.parent.mkdir()
    TABLE.write_text(WRONG)
    said = "line 2: `num_speakers` must be a number and is `two`"
    assert said in str(manifest.read(TABLE)["other"].problem)
    assert main.main(["add", "talk.wav"]) == 0
    found = manifest.read(TABLE)
    assert said in str(found["other"].problem)
    assert found["talk"].problem is None


def test_nothing_is_added_to_a_session_whose_rows_are_wrong(told: pytest.CaptureFixture[str]) -> None:
    TABLE.parent.mkdir()
    TABLE.write_text(WRONG)
    media.write_tone(Path("other.wav"), 0.3)
    assert main.main(["add", "other.wav", "talk.wav", "--num-speakers", "3"]) == 1
    out, err = told.readouterr()
    assert out == "added talk: recording, 1 file, 0.00 h of audio\n"
    assert err == (
        f"sessionscribe: other: nothing was added ({TABLE}, line 2: `num_speakers` must be a number and is "
        "`two`). Correct the table first\n"
    )
    (row,) = manifest.read(TABLE)["other"].rows
    assert (row.checksum, row.cells and row.cells[-1]) == ("", "")
    assert "\ttwo\t" in TABLE.read_text()


def test_a_table_with_an_open_quotation_mark_is_not_written(told: pytest.CaptureFixture[str]) -> None:
    TABLE.parent.mkdir()
    before = WRONG.replace("two", '"2') + "third\trecording\tmix\tthird.wav\t\n"
    TABLE.write_text(before)
    assert main.main(["add", "talk.wav"]) == 2
    (line,) = told.readouterr().err.splitlines()
    assert line.startswith(f"sessionscribe: {TABLE}, line 2: a quotation mark is not closed")
    assert TABLE.read_text() == before


def test_settings_that_are_not_there_are_named(told: pytest.CaptureFixture[str]) -> None:
    assert main.main(["add", "talk.wav", "--configfile", "mine.yaml"]) == 2
    (line,) = told.readouterr().err.splitlines()
    assert line.startswith("sessionscribe: mine.yaml: does not exist. Check its name")


def tracks(*names: str) -> dict[str, str]:
    """Add a folder of tracks with these names; return the speakers of the table, by track."""
    for name in names:
        (Path("game") / name).parent.mkdir(exist_ok=True)
        if not (Path("game") / name).exists():
            media.write_tone(Path("game") / name, 0.1 + len(list(Path("game").iterdir())) / 10)
    assert main.main(["add", "game", "--layout", "multitrack"]) == 0
    return {row.track: row.speaker for row in manifest.read(TABLE)["game"].rows}


def test_a_track_whose_name_had_to_change_has_the_speaker_of_its_file() -> None:
    assert tracks("Alice Müller.wav", "bert.wav", "Zoe\u0308.wav", "D.\x07J.\n#12.wav") == {
        "Alice-Müller": "Alice Müller",
        "bert": "",
        "Zoë": "",
        "D-J-12": "D.J. #12",
    }
    media.write_tone(Path("my talk.wav"), 0.9)
    assert main.main(["add", "my talk.wav"]) == 0
    assert manifest.read(TABLE)["my-talk"].rows[0].speaker == ""


@pytest.mark.parametrize("written", ["Alice", ""])
def test_a_speaker_that_the_table_has_stays(written: str) -> None:
    tracks("Alice Müller.wav")
    table = TABLE.read_text()
    assert table.count("\tAlice Müller\t") == 1
    TABLE.write_text(table.replace("\tAlice Müller\t", f"\t{written}\t"))
    assert tracks("bert.wav") == {"Alice-Müller": written, "bert": ""}


@pytest.mark.parametrize(
    ("written", "speaker"), [("Alcie Müller", "Alice Müller"), ("", "Alice Müller"), ("Ali", "Ali")]
)
def test_a_speaker_by_the_old_name_of_a_file_goes_with_it(written: str, speaker: str) -> None:
    tracks("Alcie Müller.wav")
    TABLE.write_text(TABLE.read_text().replace("\tAlcie Müller\t", f"\t{written}\t"))
    Path("game/Alcie Müller.wav").rename("game/Alice Müller.wav")
    assert tracks() == {"Alice-Müller": speaker}


@pytest.mark.parametrize("language", ["xx", "klingon", "EN", "de-AT"])
def test_a_language_that_no_model_knows_is_refused(language: str, told: pytest.CaptureFixture[str]) -> None:
    assert main.main(["add", "talk.wav", "--language", language]) == 2
    (line,) = told.readouterr().err.splitlines()
    assert line.startswith(
        f"sessionscribe: --language: `{language}` is not a language code. Use a code such as"
    )
    assert not TABLE.exists()


@pytest.mark.parametrize("language", ["de", "yue", "auto", "mixed"])
def test_a_language_that_models_know_is_noted(language: str) -> None:
    assert main.main(["add", "talk.wav", "--language", language]) == 0
    assert manifest.read(TABLE)["talk"].rows[0].language == language


@pytest.mark.real
def test_hotwords_beyond_the_models_room_are_told(
    whisper_base: Path, told: pytest.CaptureFixture[str]
) -> None:
    settings = Path("own.yaml")
    settings.write_text(f"transcribe: {{model: {whisper_base}, hotwords: Barovia}}")
    many = " ".join(f"Zermatt{number}" for number in range(300))
    assert main.main(["add", "talk.wav", "--configfile", "own.yaml", "--hotwords", many]) == 0
    (line,) = told.readouterr().err.splitlines()
    assert "--hotwords: the model has room for 223 tokens of hotwords:" in line
    assert manifest.read(TABLE)["talk"].rows[0].hotwords == many
    assert main.main(["add", "talk.wav", "--configfile", "own.yaml", "--hotwords", "Zermatt"]) == 0
    assert told.readouterr().err == ""
