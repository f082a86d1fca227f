"""Let every write, fsync and rename of a small run fail once, and look at what the following run makes of it.

    python tests/failure/fault_demo.py                # every call, three ways: hours
    python tests/failure/fault_demo.py --sample 60    # so many of them, chosen by --seed

A library before the C library (``faults.c``) counts the calls on files of the project, in all processes of
the run, and lets one fail: no room (ENOSPC), a broken disk (EIO), or the process dies in the middle of it.
Whatever that run says, the next one must succeed, as a user would start it, and end with a calm run's bytes.
"""

from __future__ import annotations

import argparse
import errno
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import yaml
from kill_demo import RUN_TIMEOUT_S, run_to_its_end, started

from project import TOY, Project, copy_project, cut_audio

KINDS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "died": 0}
SOURCE = Path(__file__).with_name("faults.c")
RUN = ("--configfile", "config/test.yaml")
NO_CALL = 0


class Faults:
    """The library, and the counter that the processes of a run share."""

    def __init__(self, folder: Path) -> None:
        self._library, self._count = folder / "faults.so", folder / "count"
        command = ["cc", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC"]
        subprocess.run([*command, "-o", str(self._library), str(SOURCE), "-ldl"], check=True)

    @contextmanager
    def at(self, number: int, code: int, project: Project, *, no_locks: int = 0) -> Iterator[None]:
        """Let call ``number`` of what is started fail so; `NO_CALL` only counts.

        With ``no_locks`` files cannot be locked either, and that is the error.
        """
        self._count.write_bytes(bytes(16))
        given = {
            "LD_PRELOAD": str(self._library),
            "FAULTS_FOLDER": str(project.root),
            "FAULTS_COUNT": str(self._count),
            "FAULTS_AT": str(number),
            "FAULTS_ERRNO": str(code),
            "FAULTS_NO_LOCKS": str(no_locks),
        }
        os.environ.update(given)
        try:
            yield
        finally:
            for name in given:
                del os.environ[name]

    @property
    def calls(self) -> int:
        """How many calls there were."""
        return int(struct.unpack("qq", self._count.read_bytes())[0])

    @property
    def failed(self) -> bool:
        """Whether one of them was made to fail."""
        return bool(struct.unpack("qq", self._count.read_bytes())[1])


def small(to: Path, *, speakers: bool = True) -> Project:
    """Return a project with one short recording: every kind of job once, or those without speakers."""
    project = copy_project(to)
    if not speakers:
        settings = yaml.safe_load(project.settings.read_text())
        project.settings.write_text(yaml.safe_dump(settings | {"diarize": {"model": "off"}}))
    cut_audio(TOY / "recordings/meeting.mp4", project / "recordings/talk.flac", 20, 32)
    done = project.sessionscribe("add", "recordings/talk.flac")
    if done.code:
        raise RuntimeError(done.text)
    return project


def fail_once(project: Project, faults: Faults, number: int, kind: str, wanted: dict[str, bytes]) -> str:
    """Run with a fault, run again; return a line about it that begins with `ok`, `none` or `BAD`."""
    with faults.at(number, KINDS[kind], project), started(project, RUN) as running:
        code = running.process.wait(RUN_TIMEOUT_S)
        said = running.log.read_text(errors="replace")
    if not faults.failed:
        return "none the run made fewer calls"
    if "Traceback" in said and kind != "died":
        return f"BAD a traceback: {said[-2000:]}"
    try:
        run_to_its_end(project, RUN)
    except RuntimeError as error:
        return f"BAD the run ended with {code}, the next one failed: {error}"
    found = project.results()
    if other := sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name)):
        return f"BAD not the same bytes: {', '.join(other[:5])}"
    return f"ok  the run ended with {code}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 where every fault was survived."""
    parser = argparse.ArgumentParser(description="Let every write, fsync and rename fail once.")
    parser.add_argument("--sample", type=int, metavar="N", help="so many faults (default: all)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of the sample (default: 1)")
    parser.add_argument("--without-speakers", action="store_true", help="a run that takes half of the time")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="fault-demo-") as scratch:
        folder = Path(scratch).resolve()
        faults, fresh = Faults(folder), small(folder / "fresh", speakers=not options.without_speakers)
        calm = fresh.copy(folder / "calm")
        with faults.at(NO_CALL, 0, calm):
            seconds = run_to_its_end(calm, RUN)
        calls, wanted = faults.calls, calm.results()
        points = [(number, kind) for number in range(1, calls + 1) for kind in KINDS]
        if options.sample:
            points = sorted(random.Random(options.seed).sample(points, min(options.sample, len(points))))
        print(f"calm: {seconds:.0f} s, {calls} calls, {len(wanted)} files; {len(points)} faults", flush=True)
        kinds: Counter[str] = Counter()
        for number, kind in points:
            project = fresh.copy(folder / "run")
            line = fail_once(project, faults, number, kind, wanted)
            kinds[line.split()[0]] += 1
            print(f"call {number:4} {kind:6}: {line}", flush=True)
            shutil.rmtree(folder / "run")
        survived, failed = kinds["ok"], kinds["BAD"]
        print(f"{survived} of {survived + failed} faults survived (seed {options.seed})", flush=True)
    return 1 if kinds["BAD"] else 0


if __name__ == "__main__":
    sys.exit(main())
