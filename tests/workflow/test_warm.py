"""The warm executor: the local one's results; workers that stay, die alone and never outlive Snakemake."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from project import Done, Project
from sessionscribe.artifacts.provenance import JobUsage
from sshd import eventually

SNAKEFILE = """
N = int(config.get("jobs", 4))

rule all:
    input: expand("out/{i}.txt", i=range(N)), "late.txt"

rule make:
    output: text="out/{i}.txt"
    log: "log/{i}.log"
    benchmark: "bench/{i}.tsv"
    threads: 1
    resources: gpu=1
    params: task=lambda w: {"number": int(w.i), "list": ["a", 1.5, None]}
    script: "scripts/make.py"

rule wait:
    input: expand("out/{i}.txt", i=range(N))
    output: "late.txt"
    params: seconds=config.get("wait", 0)
    shell: "sleep {params.seconds}; touch {output}"
"""
IDLE = """
rule all:
    input: "out/1.txt"

rule first:
    output: text="out/0.txt"
    resources: gpu=1
    params: task={"number": 0}
    script: "scripts/make.py"

rule between:
    input: "out/0.txt"
    output: "between.txt"
    shell: "sleep 4; touch {output}"

rule second:
    input: "between.txt"
    output: text="out/1.txt"
    resources: gpu=1
    params: task={"number": 1}
    script: "scripts/make.py"
"""
MAKE = """
import json, os, sys, time
from pathlib import Path
task = snakemake.params.task
if task["number"] == 0 and Path("hold").exists():
    Path("working").write_text(str(os.getpid()))
    time.sleep(600)
if task["number"] == 1 and Path("fail").exists():
    sys.exit("number 1 will not do")
if task["number"] == 1 and Path("die").exists():
    Path("die").unlink()
    os.write(2, b"last words of native code\\n")
    os.kill(os.getpid(), 9)
began = time.time()
if task["number"] < 2 and Path("meet").exists():
    Path(f"here.{task['number']}").touch()
    while not (Path("here.0").exists() and Path("here.1").exists()):
        if time.time() - began > 60:
            sys.exit("waited in vain for the other one")
        time.sleep(0.02)
time.sleep(float(Path("slow").read_text()) if Path("slow").exists() else 0)
with open("who", "a") as who:
    print(json.dumps([os.getpid(), began, time.time()]), file=who)
Path(snakemake.output.text).write_text(repr((
    task, snakemake.threads, snakemake.rule, snakemake.wildcards.get('i'), snakemake.resources.gpu,
    list(snakemake.output), list(snakemake.log), snakemake.params[0] == task,
    dict(snakemake.wildcards.items()),
)))
"""


class Folder(Project):
    """A small workflow of its own."""

    def run(self, *arguments: str, executor: str = "warm") -> Done:
        return self.program("snakemake", *self.options(*arguments, executor=executor))

    def options(self, *arguments: str, executor: str = "warm") -> list[str]:
        how = ["--executor", executor, "--cores", "2", "--scheduler", "greedy"]
        gpu = [] if "--resources" in arguments else ["--resources", "gpu=1"]
        return [*how, *gpu, *arguments]

    def begin(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a run, to be signalled."""
        return self.start("snakemake", *self.options(*arguments), said=self / "said")

    def who(self) -> list[tuple[int, float, float]]:
        """Return process, begin and end of every job that ran to its end."""
        return [tuple(json.loads(line)) for line in (self / "who").read_text().splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    (made / "scripts").mkdir()
    (made / "Snakefile").write_text(SNAKEFILE)
    (made / "scripts/make.py").write_text(MAKE)
    return made


def workers(folder: Folder) -> list[int]:
    """Return the workers that run for this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            ours = entry.name.isdigit() and b"/serve.py" in (entry / "cmdline").read_bytes()
            if ours and (entry / "cwd").resolve() == folder.root and not _is_dead(int(entry.name)):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def _is_dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def test_both_executors_give_the_same_files(folder: Folder) -> None:
    found = {}
    for executor in ("local", "warm"):
        for name in ("out", "log", "bench", ".snakemake"):
            subprocess.run(["rm", "-rf", name], cwd=folder.root, check=True)
        done = folder.run("--benchmark-extended", executor=executor)
        assert done.code == 0, done.text
        found[executor] = folder.results("out")
        header, values = (line.split("\t") for line in (folder / "bench/3.tsv").read_text().splitlines())
        assert header[:3] == ["s", "h:m:s", "max_rss"]
        measured = dict(zip(header, values, strict=True))
        assert (measured["rule_name"], measured["wildcards"]) == ("make", "{'i': '3'}")
    assert len(found["warm"]) == 4
    assert found["warm"] == found["local"]
    assert len({pid for pid, *_ in folder.who()[:4]}) == 4
    assert len({pid for pid, *_ in folder.who()[4:]}) == 1
    assert workers(folder) == []


def test_jobs_without_a_model_have_workers_of_their_own_if_asked(folder: Folder) -> None:
    text = SNAKEFILE.replace("resources: gpu=1", "resources: gpu=lambda w: int(w.i) % 2")
    (folder / "Snakefile").write_text(text)
    assert folder.run("--warm-others", "--cores", "1", "--config", "jobs=6").code == 0
    assert len({pid for pid, *_ in folder.who()}) == 2
    assert workers(folder) == []
    assert folder.run("--forceall", "--cores", "1", "--config", "jobs=6").code == 0
    assert len({pid for pid, *_ in folder.who()[6:]}) == 1 + 3


def test_guests_share_the_workers_with_models(folder: Folder) -> None:
    (folder / "Snakefile").write_text(SNAKEFILE.replace("gpu=1", "gpu=0"))
    assert folder.run("--warm-guests", "make, other", "out/0.txt", "out/3.txt").code == 0
    assert len({pid for pid, *_ in folder.who()}) == 1
    assert workers(folder) == []


def test_a_failed_job_leaves_the_worker_and_the_others(folder: Folder) -> None:
    (folder / "fail").touch()
    done = folder.run("--keep-going")
    assert done.code == 1
    assert "number 1 will not do" in done.err
    assert sorted(folder.results("out")) == ["out/0.txt", "out/2.txt", "out/3.txt"]
    assert len({pid for pid, *_ in folder.who()}) == 1
    (folder / "fail").unlink()
    assert folder.run().code == 0
    assert len(folder.who()) == 4


def test_the_death_of_a_worker_is_its_jobs_failure(folder: Folder) -> None:
    (folder / "die").touch()
    done = folder.run("--keep-going")
    assert done.code == 1
    (message,) = [line for line in done.err.splitlines() if line.startswith("warm: ")]
    assert "make failed: its worker on this machine was killed by SIGKILL (too little memory" in message
    assert "log/1.log" in message
    assert "  last words of native code" in done.err.splitlines()
    assert "last words of native code" in (folder / "log/1.log").read_text()
    assert sorted(folder.results("out")) == ["out/0.txt", "out/2.txt", "out/3.txt"]


def test_a_job_is_tried_again_in_a_new_worker(folder: Folder) -> None:
    (folder / "die").touch()
    done = folder.run("--retries", "1", "--config", "jobs=6")
    assert done.code == 0, done.text
    assert len(folder.results("out")) == 6
    assert 1 <= len({pid for pid, *_ in folder.who()}) <= 2


def test_one_job_at_a_time_if_there_is_one_gpu(folder: Folder) -> None:
    (folder / "slow").write_text("0.2")
    assert folder.run().code == 0
    jobs = sorted(folder.who(), key=lambda job: job[1])
    assert all(before[2] <= after[1] for before, after in pairwise(jobs))


@pytest.mark.parametrize(("arguments", "processes"), [([], 2), (["--warm-lanes", "2"], 1)])
def test_two_jobs_at_once_where_two_are_allowed(folder: Folder, arguments: list[str], processes: int) -> None:
    (folder / "meet").touch()
    done = folder.run("--resources", "gpu=2", *arguments)
    assert done.code == 0, done.text
    assert len({pid for pid, *_ in folder.who()}) == processes


def test_a_dry_run_starts_no_worker_and_forced_jobs_run_again(folder: Folder) -> None:
    done = folder.run("--dry-run")
    assert done.code == 0, done.text
    assert "make" in done.out + done.err
    assert not (folder / "who").exists()
    assert folder.run().code == 0
    assert "Nothing to be done" in folder.run().text
    assert folder.run("--forcerun", "out/2.txt").code == 0
    assert len(folder.who()) == 5


def test_what_json_cannot_bring_across_runs_in_a_process_of_its_own(folder: Folder) -> None:
    text = SNAKEFILE.replace('"list": ["a", 1.5, None]', '"tuple": (1, 2)')
    (folder / "Snakefile").write_text(text)
    done = folder.run()
    assert done.code == 0
    assert "'tuple': (1, 2)" in (folder / "out/0.txt").read_text()
    assert len({pid for pid, *_ in folder.who()}) == 4


def test_the_worker_ends_after_the_last_job_that_needs_it(folder: Folder) -> None:
    running = folder.begin("--config", "wait=8")
    try:
        assert eventually((folder / "out/3.txt").exists, 60)
        assert eventually(lambda: not workers(folder), 20)
        assert running.poll() is None  # the shell job is still at it
        assert running.wait(60) == 0
    finally:
        running.kill()


def test_an_idle_worker_ends_and_another_comes(folder: Folder) -> None:
    (folder / "Snakefile").write_text(IDLE)
    done = folder.run("--warm-idle", "1")
    assert done.code == 0, done.text
    (first, _, ended), (second, began, _) = folder.who()
    assert first != second
    assert began - ended > 3


@pytest.fixture
def at_work(folder: Folder) -> Iterator[tuple[Folder, subprocess.Popen[bytes]]]:
    """A run in the middle of a job that takes ten minutes."""
    (folder / "hold").touch()
    running = folder.begin()
    try:
        assert eventually((folder / "working").exists, 60)
        assert len(workers(folder)) == 1
        yield folder, running
    finally:
        running.kill()
        for pid in workers(folder):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_snakemake(at_work: tuple[Folder, subprocess.Popen[bytes]], number: int) -> None:
    folder, running = at_work
    running.send_signal(number)
    assert eventually(lambda: not workers(folder), 20)
    running.wait(20)
    assert not (folder / "out/0.txt").exists()


def test_sigterm_lets_the_job_finish_and_ends_the_worker(folder: Folder) -> None:
    (folder / "slow").write_text("3")
    running = folder.begin()
    try:
        assert eventually(lambda: workers(folder), 30)
        time.sleep(0.5)
        running.send_signal(signal.SIGTERM)
        running.wait(30)
        assert eventually(lambda: not workers(folder), 20)
        assert len(folder.who()) == 1
    finally:
        running.kill()


def test_a_run_loads_each_model_once(finished: Project) -> None:
    records = [JobUsage.read(path) for path in finished.root.glob("logs/usage/*/*.json")]
    loads = Counter(Path(model).name for record in records for model in record.loads)
    assert loads == {"toy-whisper": 1, "toy-diarization": 1}
    chunks = [record for record in records if record.rule == "transcribe_chunk"]
    assert len(chunks) > 4
    assert all(record.ok and record.audio_s > 0 for record in chunks)


def test_one_job_with_each_model_runs_beside_one_with_the_other(finished: Project) -> None:
    spans: dict[str, list[tuple[float, float]]] = {"transcribe_chunk": [], "embed_chunk": []}
    for path in finished.root.glob("logs/usage/*/*.json"):
        record = JobUsage.read(path)
        if record.rule in spans:
            end = path.stat().st_mtime
            spans[record.rule].append((end - record.wall_s, end))
    for own in spans.values():
        assert all(after - until > -0.1 for (_, until), (after, _) in pairwise(sorted(own)))
    if (os.cpu_count() or 1) > 1:
        assert any(
            start < until and after < end
            for start, end in spans["transcribe_chunk"]
            for after, until in spans["embed_chunk"]
        )


def test_a_model_job_counts_one_core_with_the_profiles_that_limit_such_jobs(new_project: Project) -> None:
    def counted(profile: str | None) -> list[bool]:
        done = new_project.snakemake("-n", "--until", "embed_chunk", profile=profile)
        assert done.code == 0, done.text
        jobs = [text.split("mem_mb=")[0] for text in done.out.split("rule embed_chunk:")[1:]]
        assert all("cpus_per_task=2" in job for job in jobs)
        return ["threads: 2" in job for job in jobs]

    assert counted(None) == [True] * 4
    assert counted("local") == [False] * 4
