"""`sessionscribe transcribe`, from files to finished files in any folder; and sessions without speakers."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

import forks
from project import TOY, Done, Project, cut_audio

DOCUMENTS = ("json", "srt", "vtt", "txt", "tsv", "rttm", "html")
LISTENERS = ("torch", "torchaudio", "pyannote")


@pytest.fixture
def desk(fresh: Project, tmp_path: Path) -> Desk:
    return Desk(fresh, tmp_path)


class Desk:
    """A user's folder, with recordings and without a Snakefile, and a project that is set up elsewhere."""

    def __init__(self, fresh: Project, root: Path) -> None:
        self.root, self.cache = root / "desk", root / "cache"
        self.project = fresh.copy(root / "project")
        self.root.mkdir()
        self.talk = cut_audio(TOY / "recordings/meeting.mp4", self.root / "talk.flac", 20, 32)

    def command(self, *arguments: str) -> list[str]:
        settings = str(self.project.settings)
        return [
            sys.executable,
            "-m",
            "sessionscribe.cli.main",
            "transcribe",
            *arguments,
            "--configfile",
            settings,
        ]

    def environment(self, **more: str) -> dict[str, str]:
        return self.project.environment(XDG_CACHE_HOME=str(self.cache), **more)

    def transcribe(self, *arguments: str, **environment: str) -> Done:
        _, _, module, *rest = self.command(*arguments)
        done = Done(*forks.run(module, rest, self.root, self.environment(**environment)))
        assert "Traceback" not in done.err
        return done

    def made(self) -> dict[str, int]:
        """The chunk transcripts, with the times at which they were made."""
        chunks = (self.cache / "sessionscribe/transcribe/results/transcribe").glob("*/*/mix.*.json")
        return {path.name: path.stat().st_mtime_ns for path in chunks}


def blocked(folder: Path) -> str:
    """Packages that cannot be imported, as where they are not installed; return the folder for PYTHONPATH."""
    for name in LISTENERS:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(f"raise ImportError('{name} is not for this')\n")
    return str(folder)


def test_from_a_file_to_its_exports_and_nothing_the_second_time(desk: Desk, tmp_path: Path) -> None:
    path = f"{blocked(tmp_path / 'blocked')}:{desk.project.root / 'scripts'}"
    done = desk.transcribe("talk.flac", "--speakers", "off", PYTHONPATH=path)
    assert done.code == 0, done.text
    assert "100%" in done.err
    assert f"{desk.root}/talk/talk.{{{','.join(DOCUMENTS)}}}\naudit: complete" in done.out
    assert {file.name for file in (desk.root / "talk").iterdir()} == {
        "talk.flac",
        *(f"talk.{format}" for format in DOCUMENTS),
    }
    assert (desk.root / "talk/talk.flac").samefile(desk.talk)
    found = json.loads((desk.root / "talk/talk.json").read_bytes())
    words = [word for segment in found["segments"] for word in segment["words"]]
    assert words
    assert all(word["speaker"] is None and word["reason"] for word in words)
    assert (desk.root / "talk/talk.rttm").read_bytes() == b""
    assert {path.name for path in desk.root.iterdir()} == {"talk", "talk.flac"}
    before = desk.made()
    done = desk.transcribe("talk.flac", "--speakers", "off")
    assert done.code == 0, done.text
    assert f"{desk.talk}: nothing to do" in done.out
    assert "%" not in done.text
    # With speakers, later: the words stay as they are.
    done = desk.transcribe("talk.flac", "--to", "others", "--format", "txt")
    assert done.code == 0, done.text
    assert "SPEAKER_0" in (desk.root / "others/talk.txt").read_text()
    assert desk.made() == before


def test_bad_files_are_a_line_each_and_the_others_go_on(desk: Desk) -> None:
    (desk.root / "notes.txt").write_text("no recording")
    (desk.root / "b").mkdir()
    shutil.copy2(desk.talk, desk.root / "b/talk.flac")
    given = ["talk.flac", "notes.txt", "nothing.mp3", ".", "b/talk.flac"]
    done = desk.transcribe(*given, "--speakers", "off", "--to", "out", "--format", "txt")
    assert done.code == 1
    lines = [line for line in done.err.splitlines() if line.startswith("sessionscribe: ")]
    assert [line.split(": ")[1] for line in lines] == ["notes.txt", "nothing.mp3", "."]
    texts = [(desk.root / f"out/{name}.txt").read_text() for name in ("talk", "b-talk")]
    assert texts[0] == texts[1] != ""
    done = desk.transcribe("nothing.mp3")
    assert (done.code, done.err.count("\n")) == (1, 1)


def test_what_somebody_else_wrote_is_not_replaced(desk: Desk) -> None:
    given = ["talk.flac", "--speakers", "off", "--to", ".", "--format", "txt"]
    (desk.root / "talk.txt").write_text("my own notes\n")
    done = desk.transcribe(*given)
    assert done.code == 1
    assert (
        "talk.txt: exists and was not written by this command, or has been edited. Move it away" in done.err
    )
    assert (desk.root / "talk.txt").read_text() == "my own notes\n"
    (desk.root / "talk.txt").unlink()
    assert desk.transcribe(*given).code == 0
    assert desk.talk.is_file()
    assert not desk.talk.is_symlink()


def test_an_interrupted_call_goes_on_where_it_was(desk: Desk) -> None:
    command = desk.command("talk.flac", "--speakers", "off")
    child = subprocess.Popen(
        command, cwd=desk.root, env=desk.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    until = time.monotonic() + 300
    while not desk.made() and child.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=120)
    before = desk.made()
    assert before
    done = desk.transcribe("talk.flac", "--speakers", "off")
    assert done.code == 0, done.text
    assert before.items() <= desk.made().items(), out
    assert (desk.root / "talk/talk.txt").is_file()


def test_a_session_without_speakers_in_a_project_and_back(new_project: Project) -> None:
    done = new_project.sessionscribe("add", "recordings/talk.flac", "--speakers", "off")
    assert done.code == 0, done.text
    only = ("--config", "sessions=['talk']")
    counts = new_project.plan(*only)
    assert not counts.keys() & {"embed_chunk", "cluster_speakers", "embed_voice", "name_speakers"}
    done = new_project.sessionscribe("run", "--session", "talk")
    assert done.code == 0, done.text
    done = new_project.sessionscribe("status", "--session", "talk")
    assert "talk: without speakers" in done.out
    assert done.out.splitlines()[1].split()[-3:] == ["-", "complete", "complete"]
    done = new_project.sessionscribe("add", "recordings/talk.flac", "--speakers", "2")
    assert done.code == 0, done.text
    counts = new_project.plan(*only)
    assert counts == Counter(
        check_models=1,
        embed_chunk=2,
        cluster_speakers=1,
        assign_speakers=1,
        audit_session=1,
        write_export=1,
    )
