"""Jobs that lie in a folder or on a remote, for workers that see only that; anybody may vanish."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from errands import Remote, remote_project
from project import ROOT, Project
from remotes import PATIENT, serving
from sshd import eventually


@pytest.fixture
def folder(tmp_path: Path) -> Remote:
    return remote_project(tmp_path / "project")


@contextlib.contextmanager
def working(
    place: str, tmp_path: Path, number: int = 1, *, lanes: int = 1
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start workers at a mailbox; what they write to their home is theirs."""
    processes = []
    for which in range(number):
        home = tmp_path / f"worker-{which}"
        home.mkdir(exist_ok=True)
        own = {"PYTHONPATH": str(ROOT / "scripts"), "HOME": str(home), "TMPDIR": str(home)}
        own["HF_HUB_OFFLINE"] = ""  # engines that other tests use set it in this process
        command = [sys.executable, "-m", "sessionscribe.cli.main", "work", place]
        command += ["--lanes", str(lanes)]
        with (home / "said").open("ab") as said:
            processes.append(
                subprocess.Popen(
                    command, env=os.environ | own, stdout=said, stderr=said, cwd=home, start_new_session=True
                )
            )
    try:
        yield processes
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def run(folder: Remote, place: str, jobs: int) -> None:
    options = ["--warm-lanes", "4", "--nolock", "--rerun-incomplete", "--config", f"jobs={jobs}"]
    done = folder.run(*options, runners=(f"mailbox:{place}",))
    assert done.code == 0, done.text
    folder.assert_whole(jobs)


def left_in(mailbox: Path) -> list[str]:
    found = (path.relative_to(mailbox).as_posix() for path in mailbox.rglob("*") if path.is_file())
    return [name for name in found if not name.startswith("workers/")]


def test_a_session_has_the_bytes_of_a_run_here(
    new_project: Project, finished: Project, tmp_path: Path
) -> None:
    place = tmp_path / "mailbox"
    runner = ["--warm-runner", f"mailbox:{place}", "--warm-lanes", "4"]
    with working(str(place), tmp_path):
        done = new_project.sessionscribe("run", "--session", "talk", *runner)
    assert done.code == 0, done.text
    for folder in ("results/export/talk", "results/transcribe/talk", "results/diarize/talk"):
        assert new_project.results(folder) == finished.results(folder)
    assert left_in(place) == []


@pytest.mark.parametrize("kind", ["folder", "s3"])  # and webdav below
def test_two_workers_share_the_jobs(folder: Remote, tmp_path: Path, kind: str) -> None:
    mailbox = tmp_path / "far/bucket/mailbox"
    mailbox.mkdir(parents=True)
    (folder / "in/table.txt").write_text("slow=1\n")
    with serving(kind, tmp_path / "far", "far", PATIENT) if kind != "folder" else contextlib.nullcontext():
        place = "far:bucket/mailbox" if kind != "folder" else str(mailbox)
        with working(place, tmp_path, 2):
            run(folder, place, 5)
    made = folder.made().values()
    assert len({one["home"] for one in made}) == 2, "both had some"
    assert left_in(mailbox) == []


def test_two_homes_have_one_mailbox_into_which_others_write(folder: Remote, tmp_path: Path) -> None:
    mailbox = tmp_path / "mailbox"
    other = remote_project(tmp_path / "other")
    for number in range(3):
        (other / f"in/{number}.txt").write_text(f"other {number}")
    for home in (folder, other):  # a job reads its input when it has slept
        (home / "in/table.txt").write_text("slow=0.7\n")
    made = {"out/0.txt": "../../../../dev/zero"}
    hostile = json.dumps({"code": 0, "made": made, "contents": [], "usage": {}, "error": ""})
    scripts = {"archive": "0" * 64, "folder": "scripts"}
    foreign = {"request": {"files": [1], "script": "make.py"}, "scripts": scripts}
    written, ended = set[str](), threading.Event()

    def write_into_it() -> None:
        while not ended.wait(0.02):
            for job in {path.name for path in mailbox.glob("claims/*")} - written:
                written.add(job)
                place = mailbox / "results" / job
                place.mkdir(parents=True)
                (place / "evil.json").write_text(hostile)
                (place / "torn.json").write_text('{"code": 0, "ma')
                home = job.split("-")[0]
                (mailbox / f"requests/{home}-foreign.json").write_text('{"request": 1}')
                (mailbox / f"requests/{home}-0.json").write_text("[")  # before all others
                (mailbox / f"requests/{home}-1.json").write_text(json.dumps(foreign))

    writer = threading.Thread(target=write_into_it)
    writer.start()
    try:
        with working(str(mailbox), tmp_path, lanes=2):
            options = ["--warm-lanes", "2", "--config", "jobs=3"]
            runs = [home.begin(*options, runners=(f"mailbox:{mailbox}",)) for home in (folder, other)]
            codes = [run.wait(120) for run in runs]
    finally:
        ended.set()
        writer.join()
    assert codes == [0, 0], (folder / "said").read_text() + (other / "said").read_text()
    folder.assert_whole(3)
    assert other.results("out") == {f"out/{n}.txt": f"OTHER {n}".encode() for n in range(3)}
    assert "is not a job that this version understands" in (tmp_path / "worker-0/said").read_text()
    assert left_in(mailbox) == []


def test_a_worker_that_is_killed_gives_its_job_back(
    folder: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = str(tmp_path / "mailbox")
    (tmp_path / "worker-0").mkdir()
    (tmp_path / "worker-0/hold").touch()
    with working(place, tmp_path) as (first,):
        runs = folder.begin("--warm-lanes", "4", runners=(f"mailbox:{place}",))
        assert eventually((tmp_path / "worker-0/working").exists, 60)
        os.killpg(first.pid, signal.SIGKILL)
        # Nobody waits three minutes in a test: its signs of life go, as an operator would remove them.
        for sign in (tmp_path / "mailbox/workers").rglob("*"):
            if sign.is_file():
                sign.unlink()
        (tmp_path / "worker-0/hold").unlink()
        with working(place, tmp_path):
            assert runs.wait(120) == 0, (folder / "said").read_text()
    folder.assert_whole()
    assert left_in(tmp_path / "mailbox") == []


def test_a_worker_whose_models_are_killed_loads_them_again(folder: Remote, tmp_path: Path) -> None:
    place, home = str(tmp_path / "mailbox"), tmp_path / "worker-0"
    home.mkdir()
    (home / "hold").touch()
    with working(place, tmp_path):
        runs = folder.begin("--config", "jobs=1", runners=(f"mailbox:{place}",))
        assert eventually((home / "working").exists, 60)
        (home / "hold").unlink()
        os.kill(int((home / "working").read_text()), signal.SIGKILL)
        assert runs.wait(60) == 0, (folder / "said").read_text()
    assert "the worker was killed by SIGKILL" in (home / "said").read_text()
    folder.assert_whole(1)


def test_a_home_that_is_killed_leaves_nothing_to_be_done_twice(folder: Remote, tmp_path: Path) -> None:
    place = str(tmp_path / "mailbox")
    (folder / "in/table.txt").write_text("slow=0.5\n")
    runs = folder.begin("--warm-lanes", "4", "--config", "jobs=6", runners=(f"mailbox:{place}",))
    with working(place, tmp_path):
        assert eventually(lambda: len(folder.results("out")) >= 2, 60)
        runs.kill()
        runs.wait()
        for cut_short in [*(folder / "out").glob(".tmp-*"), *(folder / ".snakemake/warm").glob("*")]:
            shutil.rmtree(cut_short) if cut_short.is_dir() else cut_short.unlink()
        run(folder, place, 6)
    assert left_in(tmp_path / "mailbox") == []


@pytest.mark.parametrize("kind", ["webdav", pytest.param("s3", marks=pytest.mark.slow)])
def test_a_remote_that_is_away_for_a_while_is_waited_for(folder: Remote, tmp_path: Path, kind: str) -> None:
    (tmp_path / "far/bucket").mkdir(parents=True)
    place = "far:bucket/mailbox"
    with serving(kind, tmp_path / "far", "far", PATIENT) as server, working(place, tmp_path):
        runs = folder.begin("--warm-lanes", "4", runners=(f"mailbox:{place}",))
        assert eventually(lambda: len(folder.results("out")) >= 1, 90)
        server.kill()
        time.sleep(8)
        server.start(PATIENT)
        assert runs.wait(120) == 0, (folder / "said").read_text()
    folder.assert_whole()


def test_what_a_worker_cannot_write_it_tries_again(folder: Remote, tmp_path: Path) -> None:
    mailbox, said = tmp_path / "mailbox", tmp_path / "worker-0/said"
    mailbox.mkdir()
    (mailbox / "claims").touch()  # where folders are to come
    (mailbox / "results").touch()
    with working(str(mailbox), tmp_path):
        runs = folder.begin("--config", "jobs=1", runners=(f"mailbox:{mailbox}",))
        assert eventually(lambda: "mailbox/claims" in said.read_text(), 60)
        (mailbox / "claims").unlink()
        assert eventually(lambda: "mailbox/results" in said.read_text(), 60)
        came_back = time.time()
        (mailbox / "results").unlink()
        assert runs.wait(60) == 0, (folder / "said").read_text()
    (made,) = folder.made().values()
    assert float(str(made["ended"])) < came_back, "its work was not done twice"
    folder.assert_whole(1)
    assert left_in(mailbox) == []


CHECK_MODELS = """
import os, sys
from pathlib import Path
if os.environ.get("HF_HUB_OFFLINE"):
    sys.exit("the hub is off-line")
with Path(os.environ["HOME"], "fetched").open("a") as fetched:
    print(*snakemake.params.models["speech"], file=fetched)
Path(snakemake.output.report).touch()
"""


def test_a_job_that_fails_says_why_and_models_are_fetched_after_others_were_used(
    folder: Remote, tmp_path: Path
) -> None:
    (folder / "in/table.txt").write_text("fail=1\n")
    (folder / "scripts/check_models.py").write_text(CHECK_MODELS)
    make = (folder / "scripts/make.py").read_text()
    # As engines do, so that jobs never ask the hub.
    (folder / "scripts/make.py").write_text(f"import os; os.environ['HF_HUB_OFFLINE'] = '1'\n{make}")
    rules = (folder / "Snakefile").read_text().replace('"note": "/etc/passwd"', '"model": f"hub/{w.i}"')
    (folder / "Snakefile").write_text(rules)
    with working(str(tmp_path / "mailbox"), tmp_path):
        done = folder.run("--keep-going", runners=(f"mailbox:{tmp_path / 'mailbox'}",))
    assert sorted((tmp_path / "worker-0/fetched").read_text().split()) == [f"hub/{n}" for n in range(4)]
    assert done.code == 1
    assert done.err.count("number 1 will not do") == 1
    assert "number 1" in (folder / "log/1.log").read_text()
