"""``sessionscribe remove``: sessions go out of the manifest; what is not asked for stays."""

from __future__ import annotations

from pathlib import Path

import pytest

import media
from sessionscribe.cli import main
from sessionscribe.jobs import workspace
from sessionscribe.manifest import manifest

TABLE = Path("config/sessions.tsv")
OF_TALK = (
    *("results/merge/talk.json", "results/export/talk/talk.txt", "results/diarize/talk.turns.json"),
    *("logs/merge/talk.log", "logs/failed/talk/x.json", "results/settings/talk/x.1.json"),
)
KEPT = (
    *(
        "results/merge/talk-2.json",
        "results/diarize/talkative.turns.json",
        "results/publish/talk/contents.json",
    ),
    *("results/name/voices/talk.json", "results/publish/talk.dvc", "config/corrections/talk.tsv", "talk.wav"),
)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project with the sessions talk and talk-2, and files of theirs."""
    monkeypatch.chdir(tmp_path)
    Path("Snakefile").touch()
    for name in ("talk.wav", "talk-2.wav"):
        media.write_tone(Path(name), 0.1 if name == "talk.wav" else 0.2)
    assert main.main(["add", "talk.wav", "talk-2.wav"]) == 0
    for name in (*OF_TALK, *KEPT[:-1]):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def there(*names: str) -> list[str]:
    return [name for name in names if Path(name).exists()]


def test_only_the_row_goes_unless_results_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["remove", "talk"]) == 0
    assert "removed talk: 1 row; results stay (--results deletes them)" in capsys.readouterr().out
    assert list(manifest.read(TABLE)) == ["talk-2"]
    assert there(*OF_TALK, *KEPT) == [*OF_TALK, *KEPT]
    assert main.main(["remove", "talk"]) == 2  # it is not there any more
    assert main.main(["remove", "--session", "talk", "--results"]) == 0  # what `find` calls orphaned
    assert there(*OF_TALK, *KEPT) == list(KEPT)


def test_nothing_goes_where_it_is_only_shown_not_known_or_in_use(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main.main(["remove", "talk", "--results", "-n"]) == 0
    assert main.main(["remove", "talk", "tlak"]) == 2
    assert "Did you mean `talk`?" in capsys.readouterr().err
    assert main.main(["remove"]) == 2
    monkeypatch.setattr(workspace, "at_work", lambda _: 1)
    assert main.main(["remove", "talk", "--results"]) == 2
    assert "another run is at work here" in capsys.readouterr().err
    assert list(manifest.read(TABLE)) == ["talk", "talk-2"]
    assert there(*OF_TALK, *KEPT) == [*OF_TALK, *KEPT]


def test_a_session_called_as_a_folder_of_all_sessions_takes_only_its_own_files() -> None:
    media.write_tone(Path("voices.wav"), 0.3)
    assert main.main(["add", "voices.wav"]) == 0
    Path("results/name/voices.json").touch()
    assert main.main(["remove", "voices", "--results"]) == 0
    assert there("results/name/voices.json", *KEPT) == list(KEPT)


def test_the_demo_is_part_of_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["remove", "meeting", "-C", "manifest=resources/demo/sessions.tsv"]) == 2
    assert "is part of the program" in capsys.readouterr().err
