"""Let writes, fsyncs and renames of a small run fail once, and look at what the following run makes of it.

    python tests/failure/fault_demo.py                # the first and the last call on each file, three ways
    python tests/failure/fault_demo.py --all          # every call
    python tests/failure/fault_demo.py --sample 60    # so many of them, chosen by --seed

A library before the C library (``faults.c``) names the calls on files of the project, in all processes of
the run, and lets some fail: no room (ENOSPC), a broken disk (EIO), or the process dies in the middle of it.
Whatever that run says, the next one must succeed, as a user would start it, and end with a calm run's bytes.

Faults are tried in groups, each in a session of its own. Where a group is not survived, or a fault did not
happen because another one ended the run, each is tried by itself; so are those in files of all sessions.
"""

from __future__ import annotations

import argparse
import errno
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import yaml
from kill_demo import RUN_TIMEOUT_S, run_to_its_end, started

from project import TOY, Project, copy_project, cut_audio

KINDS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "died": 0}
SOURCE = Path(__file__).with_name("faults.c")
RUN = ("--configfile", "config/test.yaml")
SESSION = "talk"
OF_SESSION = re.compile(rf"\b{SESSION}\b")
OF_ALL = re.compile(r" (\.|kill-test|logs/preflight|logs/usage/models)")
"""Names of calls on which all sessions depend: Snakemake's own, and those of the check of models."""
LETTERS = "abcdefghijklmnop"
"""The endings of the sessions of a group."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong: call ``number`` of a name, from 1."""

    kind: str
    number: int
    call: str

    def __str__(self) -> str:
        return f"{self.kind} {self.number} {self.call}"

    def packed(self) -> bytes:
        """Return it as ``faults.c`` has it."""
        return struct.pack("232sqqq", self.call.encode(), self.number, KINDS[self.kind], 0)

    def of_session(self, ending: str) -> Fault:
        """Return the same fault in the files of another session."""
        return Fault(self.kind, self.number, OF_SESSION.sub(SESSION + ending, self.call))


class Faults:
    """The library, and what the processes of a run share with it."""

    def __init__(self, folder: Path) -> None:
        self._library, self._plan, self._list = (folder / name for name in ("faults.so", "plan", "list"))
        command = ["cc", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC"]
        subprocess.run([*command, "-o", str(self._library), str(SOURCE), "-ldl"], check=True)

    @contextmanager
    def at(self, project: Project, faults: Sequence[Fault], *, no_locks: int = 0) -> Iterator[None]:
        """Let calls of what is started fail so; without any, they are listed.

        With ``no_locks`` files cannot be locked either, and that is the error.
        """
        self._plan.write_bytes(b"".join(fault.packed() for fault in faults))
        self._list.write_bytes(b"")
        given = {
            "LD_PRELOAD": str(self._library),
            "FAULTS_FOLDER": str(project.root),
            "FAULTS_NO_LOCKS": str(no_locks),
            **({"FAULTS_PLAN": str(self._plan)} if faults else {"FAULTS_LIST": str(self._list)}),
        }
        os.environ.update(given)
        try:
            yield
        finally:
            for name in given:
                del os.environ[name]

    @property
    def calls(self) -> Counter[str]:
        """How many calls there were, by name."""
        return Counter(self._list.read_text().splitlines())

    @property
    def happened(self) -> list[bool]:
        """Which of the faults happened."""
        records = struct.iter_unpack("232sqqq", self._plan.read_bytes())
        return [calls >= number for _, number, _, calls in records]


def small(to: Path, *, speakers: bool = True, endings: str = "") -> Project:
    """Return a project with one short recording: every kind of job once, or those without speakers.

    With ``endings`` there are several, with a letter each at the end of their names.
    """
    project = copy_project(to)
    if not speakers:
        settings = yaml.safe_load(project.settings.read_text())
        project.settings.write_text(yaml.safe_dump(settings | {"diarize": {"model": "off"}}))
    for ending in endings or ("",):
        cut_audio(TOY / "recordings/meeting.mp4", project / f"recordings/{SESSION}{ending}.flac", 20, 32)
    done = project.sessionscribe("add", "recordings")
    if done.code:
        raise RuntimeError(done.text)
    return project


class Bench:
    """Projects before their first run, and what a calm run makes of them."""

    def __init__(self, folder: Path, *, speakers: bool) -> None:
        folder.mkdir()
        self._folder, self._speakers, self._faults = folder, speakers, Faults(folder)

    @cache  # noqa: B019 -- there are two
    def calm(self, endings: str) -> tuple[Project, dict[str, bytes], Counter[str]]:
        """Return a project with such sessions, and the results and calls of a run."""
        fresh = small(self._folder / f"fresh{endings}", speakers=self._speakers, endings=endings)
        calm = fresh.copy(self._folder / f"calm{endings}")
        with self._faults.at(calm, []):
            seconds = run_to_its_end(calm, RUN)
        wanted, calls = calm.results(), self._faults.calls
        print(f"calm: {seconds:.0f} s, {calls.total()} calls, {len(wanted)} files", flush=True)
        return fresh, wanted, calls

    def faults(self, *, every: bool) -> Iterator[Fault]:
        """Yield all faults, or those of the first and the last call of each name."""
        _, _, calls = self.calm("")
        for call, count in calls.items():
            for number in range(1, count + 1) if every else sorted({1, count}):
                yield from (Fault(kind, number, call) for kind in KINDS)

    def survive(self, faults: Sequence[Fault]) -> Iterator[tuple[Fault, str]]:
        """Yield for each fault a line that begins with `ok`, `none` or `BAD`."""
        endings = LETTERS if len(faults) > 1 else ""
        fresh, wanted, _ = self.calm(endings)
        project = fresh.copy(self._folder / "run")
        planned = [fault.of_session(ending) for fault, ending in zip(faults, endings or ("",), strict=False)]
        with self._faults.at(project, planned), started(project, RUN) as running:
            code = running.process.wait(RUN_TIMEOUT_S)
            said = running.log.read_text(errors="replace")
        happened = self._faults.happened
        line = self._after(project, code, said, faults, wanted)
        shutil.rmtree(project.root)
        for fault, did in zip(faults, happened, strict=True):
            if len(faults) > 1 and not (did and line.startswith("ok")):
                yield from self.survive([fault])
            else:
                yield fault, line if did else "none the run made fewer calls"

    def _after(
        self, project: Project, code: int, said: str, faults: Sequence[Fault], wanted: dict[str, bytes]
    ) -> str:
        if "Traceback" in said and not any(fault.kind == "died" for fault in faults):
            return f"BAD a traceback: {said[-2000:]}"
        try:
            run_to_its_end(project, RUN)
        except RuntimeError as error:
            return f"BAD the run ended with {code}, the next one failed: {error}"
        found = project.results()
        if other := sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name)):
            return f"BAD not the same bytes: {', '.join(other[:5])}"
        return f"ok  the run ended with {code}"


def groups(faults: Sequence[Fault]) -> list[list[Fault]]:
    """Return what is tried at a time: faults of which none ends the run, where nothing dies or everything."""
    found: dict[object, list[Fault]] = {}
    counts: Counter[bool] = Counter()
    for fault in faults:
        dies = fault.kind == "died"
        if OF_ALL.search(fault.call) or (dies and fault.call.endswith(".tsv")):
            found[fault] = [fault]
        else:
            found.setdefault((dies, counts[dies] // len(LETTERS)), []).append(fault)
            counts[dies] += 1
    return list(found.values())


def shard(text: str) -> slice:
    """Return which groups of all are meant by `1/2`."""
    number, count = map(int, text.split("/"))
    return slice(number - 1, None, count)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 where every fault was survived."""
    parser = argparse.ArgumentParser(description="Let writes, fsyncs and renames fail once.")
    parser.add_argument(
        "--all", action="store_true", help="every call, not only the first and last on a file"
    )
    parser.add_argument("--sample", type=int, metavar="N", help="so many faults (default: all)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of sample and order (default: 1)")
    parser.add_argument("--without-speakers", action="store_true", help="only a run without them")
    parser.add_argument(
        "--shard", type=shard, default=slice(None), metavar="K/N", help="a part of the faults"
    )
    parser.add_argument("--done", type=Path, metavar="FILE", help="what was printed before: not tried again")
    options = parser.parse_args(arguments)
    done = options.done.read_text().splitlines() if options.done else []
    survived = {line.partition(": ok ")[0] for line in done if ": ok " in line}
    kinds: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="fault-demo-") as scratch:
        seen: set[Fault] = set()
        for speakers in (False,) if options.without_speakers else (False, True):
            bench = Bench(Path(scratch).resolve() / str(speakers), speakers=speakers)
            faults = [fault for fault in bench.faults(every=options.all) if fault not in seen]
            seen.update(faults)
            random.Random(options.seed).shuffle(faults)
            faults = [fault for fault in faults[: options.sample] if str(fault) not in survived]
            print(f"{len(faults)} faults in {len({fault.call for fault in faults})} names", flush=True)
            for group in groups(faults)[options.shard]:
                for fault, line in bench.survive(group):
                    kinds[line.split()[0]] += 1
                    print(f"{fault}: {line}", flush=True)
        survived, bad = kinds["ok"], kinds["BAD"]
        print(f"{survived} of {survived + bad} faults survived (seed {options.seed})", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
