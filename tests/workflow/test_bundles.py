"""Sessions that go to another machine and come back as bundles, by the commands that a user types."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import time
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import yaml

from failure.kill_demo import dear_files, started
from project import Project, copy_project

EXPORTS = "results/export/talk"


@pytest.fixture(scope="module")
def home(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone with the work bundle of a session of three chunks, ``x/talk.work.zip``, and no more made."""
    project = copy_project(tmp_path_factory.mktemp("home"))
    shutil.copytree(finished / "recordings", project / "recordings")
    settings = yaml.safe_load(project.settings.read_text()) | {"export": {"formats": ["json", "srt"]}}
    project.settings.write_text(yaml.safe_dump(settings))
    assert project.sessionscribe("add", "recordings/talk.flac").code == 0
    done = project.sessionscribe("bundle", "talk", "--to", "x")
    assert done.code == 0, done.text
    assert "bundled talk: x/talk.work.zip" in done.out
    return project


def empty(home: Project, to: Path) -> Project:
    """A clone with the same settings and no sessions; the recording is not there."""
    project = copy_project(to)
    shutil.copy2(home.settings, project.settings)
    return project


def test_a_session_goes_to_another_machine_and_its_results_come_back(
    home: Project, finished: Project, tmp_path: Path
) -> None:
    work, there = home / "x/talk.work.zip", empty(home, tmp_path / "there")
    for name, tool in (("md5", "md5sum"), ("sha256", "sha256sum")):
        subprocess.run([tool, "-c", f"{work.name}.{name}"], cwd=work.parent, check=True)
    subprocess.run(["unzip", "-tq", str(work)], check=True, stdout=subprocess.DEVNULL)
    before = work.read_bytes()
    assert home.sessionscribe("bundle", "talk", "--to", "x").code == 0
    assert work.read_bytes() == before, "the same content gives the same bytes"

    done = there.sessionscribe("import", str(work))
    assert done.code == 0, done.text
    assert "0 of 3 chunks" in done.out
    assert "Continue: sessionscribe run --session talk\n" in done.out
    planned = there.plan()
    assert planned["transcribe_chunk"] == 3
    assert not {"fetch_recording", "convert_audio", "plan_chunks"} & planned.keys()
    done = there.sessionscribe("run", "--save-to", "saves", "--save-minutes", "0.02")
    assert done.code == 0, done.text
    told = there.sessionscribe("status", "--from", "saves")
    assert "complete" in told.out, told.text
    done = there.sessionscribe("bundle", "--results", "--to", "y")
    assert done.code == 0, done.text

    results = there / "y/talk.results.zip"
    with zipfile.ZipFile(results) as archive:
        assert not [name for name in archive.namelist() if name.endswith(".flac")]
    back = home.copy(tmp_path / "back")
    done = back.sessionscribe("import", str(results))
    assert done.code == 0, done.text
    assert "3 of 3 chunks" in done.out
    assert "Go on" not in done.out
    assert back.plan() == Counter()
    wanted = {n: d for n, d in finished.results(EXPORTS).items() if n.endswith((".json", ".srt"))}
    assert back.results(EXPORTS) == wanted, "the same bytes as of a direct run"
    done = back.sessionscribe("verify")
    assert "no files differ" in done.out, done.text

    # What was saved while it ran is all that there is.
    third = empty(home, tmp_path / "third")
    done = third.sessionscribe("import", str(there / "saves"))
    assert done.code == 0, done.text
    assert third.plan() == Counter()
    assert third.results(EXPORTS) == wanted


def test_a_machine_that_is_killed_loses_the_chunk_in_flight_at_most(home: Project, tmp_path: Path) -> None:
    there, saves = empty(home, tmp_path / "there"), tmp_path / "saves"
    assert there.sessionscribe("import", str(home / "x")).code == 0
    options = ["--save-to", str(saves), "--save-minutes", "0.005", "--save-since", str(home / "x")]
    with started(there, ["--configfile", "config/test.yaml", "--resources", "gpu=1", *options]) as running:
        end = time.monotonic() + 120
        while len(list(saves.glob("[!.]*.zip"))) < 2 and time.monotonic() < end:
            assert running.process.poll() is None, running.log.read_text()
            time.sleep(0.02)
        running.kill_all()
    made = {path for path in dear_files(there) if "/transcribe/" in path and "language" not in path}
    third = empty(home, tmp_path / "third")
    (saves / "talk.part-0099-abcdef.zip").write_bytes(min(saves.glob("[!.]*.zip")).read_bytes()[:-40])
    done = third.sessionscribe("import", str(home / "x"), str(saves))
    assert done.code == 1, "one was cut short"
    assert "part-0099-abcdef.zip: is not a complete ZIP file" in done.err
    assert "Traceback" not in done.text
    assert third.plan()["transcribe_chunk"] <= 3 - len(made) + 1


def test_other_settings_are_named_with_the_command_that_takes_the_bundles(
    home: Project, tmp_path: Path
) -> None:
    other = home.copy(tmp_path)
    settings = yaml.safe_load(other.settings.read_text())
    settings["transcribe"]["beam_size"] = 2
    other.settings.write_text(yaml.safe_dump(settings))
    there = empty(other, tmp_path / "there")
    settings["chunk"]["target_s"] = 9
    there.settings.write_text(yaml.safe_dump(settings))
    done = there.sessionscribe("import", str(home / "x/talk.work.zip"))
    assert done.code == 0, done.text
    assert "chunk.target_s: 9.0 here, 8.0 in the bundle" in done.out
    command = next(line for line in done.out.splitlines() if line.startswith("Continue: "))
    wanted = "--configfile config/test.yaml --configfile bundles/talk.settings.yaml"
    assert command.endswith(wanted), command
    planned = there.command(*command.removeprefix("Continue: ").split(), "-n")
    assert "transcribe_chunk" in planned.text
    assert "plan_chunks" not in planned.text


def test_md5_is_what_a_listing_shows(home: Project) -> None:
    work = home / "x/talk.work.zip"
    noted = work.with_name(f"{work.name}.md5").read_text()
    assert noted == f"{hashlib.md5(work.read_bytes()).hexdigest()}  {work.name}\n"
