"""What a job does around its work: log, record last, one line on failure, and an end with its Snakemake."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from sessionscribe import PACKAGE
from sessionscribe.artifacts.provenance import Failure, JobUsage, Provenance
from sessionscribe.core.errors import UserError
from sessionscribe.core.files import sha256
from sessionscribe.jobs import job, metrics

SCRIPTS = PACKAGE.parent
TASK = {"session": "talk", "key": "abcdef012345", "options": {"segment_gap_s": 1.0}}
OUTPUTS = {"merged": "results/merge/talk.json", "provenance": "results/provenance/talk/merge_transcript.json"}
LOG = "logs/merge/talk.log"
FAILED = Path("logs/failed/talk/merge_transcript.talk.json")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job, "watch_ancestors", lambda: None)
    return tmp_path


def work(error: Exception | None = None, *, task: dict[str, Any] | None = None) -> None:
    with job.job("merge_transcript", task or TASK, log=LOG, outputs=OUTPUTS) as say:
        print("from a library")
        print("a warning", file=sys.stderr)
        say.flags.append("1 forced seam")
        say("two\nlines")
        if error:
            raise error
        Path(OUTPUTS["merged"]).parent.mkdir(parents=True, exist_ok=True)
        Path(OUTPUTS["merged"]).write_text("{}\n")


def test_success_leaves_a_record_that_names_the_files(capfd: pytest.CaptureFixture[str]) -> None:
    work()
    record = Provenance.read(Path(OUTPUTS["provenance"]))
    assert (record.rule, record.key, record.flags) == ("merge_transcript", TASK["key"], ["1 forced seam"])
    (made,) = record.outputs
    assert (made.path, made.size) == (OUTPUTS["merged"], 3)
    assert made.sha256 == sha256(Path(OUTPUTS["merged"]))
    assert record.options == TASK["options"]
    assert record.versions["sessionscribe"]
    assert not FAILED.exists()
    assert capfd.readouterr() == ("", "")


def test_all_that_is_printed_goes_to_the_log() -> None:
    work()
    lines = Path(LOG).read_text().splitlines()
    assert "from a library" in lines
    assert "a warning" in lines
    assert any(line.endswith("two\\nlines") for line in lines)
    assert "done in" in lines[-1]


def test_the_same_work_leaves_the_same_record() -> None:
    work()
    first = Path(OUTPUTS["provenance"]).read_bytes()
    time.sleep(0.01)
    work()
    assert Path(OUTPUTS["provenance"]).read_bytes() == first


def test_the_record_comes_after_the_outputs_and_not_without_them(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), job.job("merge_transcript", TASK, log=LOG, outputs=OUTPUTS):
        assert not Path(OUTPUTS["provenance"]).exists()
    assert not Path(OUTPUTS["provenance"]).exists()
    assert "merge_transcript failed" in capfd.readouterr().err


def test_a_user_error_is_one_line_without_a_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    error = UserError("is empty", where="in/a\nb.mp3", hint="Copy it again")
    with pytest.raises(SystemExit) as caught:
        work(error)
    assert caught.value.code == 1
    out, err = capfd.readouterr()
    line = "merge_transcript failed: in/a\\nb.mp3: is empty. Copy it again (log: logs/merge/talk.log)"
    assert (out, err) == ("", f"sessionscribe: {line}\n")
    assert "Traceback" not in Path(LOG).read_text()
    failure = Failure.read(FAILED)
    assert (failure.session, failure.rule, failure.message, failure.log) == (
        "talk",
        "merge_transcript",
        str(error),
        LOG,
    )
    assert not Path(OUTPUTS["provenance"]).exists()


def test_an_unforeseen_error_is_one_line_and_its_traceback_is_in_the_log(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        work(RuntimeError("first line\nsecond line"))
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert "talk: RuntimeError: first line second line." in err
    assert "Traceback" in Path(LOG).read_text()


def test_success_takes_the_mark_of_an_earlier_failure_away() -> None:
    with pytest.raises(SystemExit):
        work(RuntimeError("x"))
    assert FAILED.exists()
    work()
    assert not FAILED.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_disk_too_full_for_the_log_still_gives_one_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Failure, path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Failure, "write", full)
    Path(LOG).parent.mkdir(parents=True)
    Path(LOG).symlink_to("/dev/full")
    with pytest.raises(SystemExit) as caught:
        work(OSError(errno.ENOSPC, "No space left on device", OUTPUTS["merged"]))
    assert caught.value.code == os.EX_IOERR
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert "results/merge/talk.json: the disk is full" in err
    work()
    assert Path(OUTPUTS["provenance"]).exists(), "a log without room is no reason to fail"


# A job and the Snakemake that started it.

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, sys.argv[2]])
print(child.pid, flush=True)
time.sleep(60)
"""
JOB = """
import sys, time
sys.path.insert(0, {scripts!r})
from sessionscribe.jobs.job import job
with job("merge_transcript", {{"session": "talk", "key": "0" * 12}}, log="job.log", outputs={{}}) as say:
    say("at work")
    time.sleep(60)
"""


def wait_for(what: Any, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.05)
    return False


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")
@pytest.mark.parametrize("name", ["snakemake", "other"])
def test_a_job_ends_soon_after_its_snakemake_was_killed(here: Path, name: str) -> None:
    (here / "parent.py").write_text(textwrap.dedent(PARENT))
    (here / "job.py").write_text(textwrap.dedent(JOB.format(scripts=str(SCRIPTS))))
    command = [sys.executable, "parent.py", name, "job.py"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        try:
            assert wait_for(
                lambda: (here / "job.log").exists() and "at work" in (here / "job.log").read_text()
            )
            parent.kill()
            ended = wait_for(lambda: not alive(pid), 10 if name == "snakemake" else 3)
            assert ended == (name == "snakemake"), "only a Snakemake's end is the job's end"
        finally:
            parent.kill()
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


def test_failures_are_valid_json(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        work(RuntimeError('quote " and ünïcode'))
    assert 'quote " and ünïcode' in json.loads(FAILED.read_text())["message"]


def test_jobs_in_threads_of_one_process_have_their_own_logs(capfd: pytest.CaptureFixture[str]) -> None:
    started = threading.Barrier(2)

    def run(name: str) -> None:
        with job.job("nothing", {"session": name}, log=f"logs/{name}.log", outputs={}) as say:
            started.wait(10)
            for number in range(20):
                print(f"print of {name}")
                print(f"error of {name}", file=sys.stderr)
                say(f"{number} of {name}")
                time.sleep(0.001)

    threads = [threading.Thread(target=run, args=(name,)) for name in ("alpha", "beta")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, other in (("alpha", "beta"), ("beta", "alpha")):
        text = Path(f"logs/{name}.log").read_text()
        assert text.count(f"print of {name}\n") == text.count(f"error of {name}\n") == 20
        assert other not in text
    print("after the jobs")
    assert capfd.readouterr() == ("after the jobs\n", "")


def test_a_job_leaves_what_it_used() -> None:
    with job.job("nothing", TASK, log=LOG, outputs={"merged": OUTPUTS["merged"]}, queued_s=1.5):
        metrics.heard(600)
        metrics.loaded("small", 2)
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
    used = JobUsage.read(Path("logs/usage/talk/nothing.talk.json"))
    assert (used.session, used.rule, used.output, used.ok) == ("talk", "nothing", OUTPUTS["merged"], True)
    assert (used.queued_s, used.audio_s, used.gpu_s, used.loads) == (1.5, 600, 0, {"small": 2})
    assert used.wall_s >= 0.05
    assert used.cpu_s >= 0.05
    assert 5 < used.peak_memory_mb < 50_000


def test_a_failed_job_leaves_what_it_used_too(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        work(RuntimeError("no"))
    assert not JobUsage.read(Path("logs/usage/talk/merge_transcript.talk.json")).ok
