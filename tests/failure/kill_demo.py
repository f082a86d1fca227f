"""Kill the workflow at random moments and look at what the following run makes of it.

    python tests/failure/kill_demo.py --times 20 --seed 1

Each time a fresh copy of the project is run, its whole process tree is killed (SIGKILL) at a random moment,
and it is run again as a user would, with no other option. That run must succeed, must leave every chunk
transcript and every finished diarization that was whole as it is, and must end with the bytes of a calm run.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from project import ROOT, TOY, Project, copy_project

TOY_RUN = ["--profile", "demo", "--configfile=tests/data/toy/config.yaml"]
TAG = "SESSIONSCRIBE_KILL_TEST"
RUN_TIMEOUT_S = 600


@dataclass(frozen=True)
class Running:
    """A started `sessionscribe run`, and the mark by which all of its processes are known."""

    process: subprocess.Popen[bytes]
    mark: str
    log: Path

    def pids(self) -> list[int]:
        """Return all processes that it started, however far down and whoever their parent is now."""
        mark, found = f"{TAG}={self.mark}".encode(), []
        for folder in Path("/proc").iterdir():
            try:
                if folder.name.isdigit() and mark in (folder / "environ").read_bytes().split(b"\0"):
                    state = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
                    found += [int(folder.name)] if state not in "ZX" else []
            except OSError:
                continue
        return found

    def kill_all(self) -> int:
        """Kill every process of it, and return how many there were."""
        killed: set[int] = set()
        while pids := self.pids():
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
                killed.add(pid)
            time.sleep(0.02)
        self.process.wait()
        return len(killed)


@contextmanager
def started(project: Project, arguments: Sequence[str]) -> Iterator[Running]:
    """Start `sessionscribe run` in a session of its own; nothing of it is left afterwards."""
    mark, log = uuid.uuid4().hex, project / "kill-test.log"
    command = [sys.executable, "-m", "sessionscribe.cli.main", "run", *arguments]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=project.root,
            env=project.environment(**{TAG: mark}),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Running(process, mark, log)
    try:
        yield running
    finally:
        running.kill_all()


def dear_files(project: Project) -> dict[str, tuple[int, int]]:
    """Return when each dear file that is whole was made, and its inode."""
    patterns = ("results/transcribe/*/*/*.json", "results/diarize/*/*/*.npz")
    found = [path for pattern in patterns for path in project.root.glob(pattern) if path.name[0] != "."]
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in found}


def run_to_its_end(project: Project, arguments: Sequence[str]) -> float:
    """Run it undisturbed and return how long it took (s)."""
    begin = time.monotonic()
    with started(project, arguments) as running:
        code = running.process.wait()
    if code:
        raise RuntimeError(f"the run ended with {code}:\n{running.log.read_text(errors='replace')[-3000:]}")
    return time.monotonic() - begin


def kill_once(
    make: Callable[[], Project], wanted: dict[str, bytes], arguments: Sequence[str], after_s: float
) -> str:
    """Run, kill after `after_s` seconds, run again; return a line about it that begins with `ok` or `BAD`."""
    project = make()
    with started(project, arguments) as running:
        with suppress(subprocess.TimeoutExpired):
            running.process.wait(after_s)
        killed = running.kill_all()
    before = dear_files(project)
    try:
        again_s = run_to_its_end(project, arguments)
    except RuntimeError as error:
        return f"BAD the following run failed: {error}"
    what = f"{killed} processes, {len(before)} dear files whole; the next run took {again_s:.0f} s"
    after = dear_files(project)
    if redone := [name for name in before if after.get(name) != before[name]]:
        return f"BAD {what}; made again though whole: {', '.join(sorted(redone))}"
    found = project.results()
    if other := sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name)):
        return f"BAD {what}; not the same bytes: {', '.join(other[:5])}"
    return f"ok  {what}"


def toy(to: Path) -> Project:
    """Copy the project with the small models and recordings of the tests."""
    project = copy_project(to)
    subprocess.run(["cp", "-a", f"{TOY}/.", str(project / "tests/data/toy")], check=True)
    return project


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 where every kill went well."""
    parser = argparse.ArgumentParser(description="Kill the workflow at random moments; see what follows.")
    parser.add_argument("--times", type=int, default=20, metavar="N", help="how many kills (default: 20)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of the moments (default: 1)")
    parser.add_argument("--project", type=Path, help="a project before its first run (default: the toy)")
    parser.add_argument("--reference", type=Path, help="the same after an undisturbed run, to save one")
    parser.add_argument("--seconds", type=float, help="how long the undisturbed run took")
    parser.add_argument("--config", action="append", default=[], help="settings file (default: the toy's)")
    options = parser.parse_args(arguments)
    how = [f"--configfile={name}" for name in options.config] or TOY_RUN
    dice = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="kill-demo-") as scratch:
        folder = Path(scratch)

        def make(name: str) -> Project:
            if options.project is None:
                return toy(folder / name)
            (folder / name).mkdir()
            return Project(options.project).copy(folder / name)

        seconds = options.seconds or 0.0
        reference = Project(options.reference) if options.reference else make("reference")
        if not options.reference:
            seconds = run_to_its_end(reference, how)
        wanted = reference.results()
        print(f"undisturbed: {seconds:.0f} s, {len(wanted)} files ({ROOT})", flush=True)
        bad = 0
        for number in range(1, options.times + 1):
            after_s = dice.uniform(0.02, 0.98) * seconds
            line = kill_once(lambda: make(f"kill-{number}"), wanted, how, after_s)  # noqa: B023
            bad += not line.startswith("ok")
            print(f"kill {number:2} after {after_s:5.1f} s: {line}", flush=True)
            subprocess.run(["rm", "-rf", str(folder / f"kill-{number}")], check=True)
        print(f"{options.times - bad} of {options.times} kills went well (seed {options.seed})", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
