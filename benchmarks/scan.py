"""What it costs to find out what there is to do: `snakemake -n`, a first run's start, `sessionscribe status`.

    python benchmarks/scan.py [--short] [--folder FOLDER]

It makes archives of finished sessions (files of the right names and sizes, records with the right keys; the
audio and the transcripts are holes), takes 1 % of the chunk transcripts away, and runs each command in a new
process. It prints one JSON object: CPU seconds of the process and its children, wall seconds, peak memory,
and what the CPU seconds would be on a quiet machine, going by an empty workflow before and after each one.
`--short` makes small archives: it checks that exactly the missing chunks are found, not how fast.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sessionscribe.planning.steps import Step

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

PARTS = ("Snakefile", "rules", "scripts", "profiles", "envs")
MODELS = ROOT / "tests/data/models"
SETTINGS = f"""\
chunk: {{target_s: 600}}
transcribe: {{model: "{MODELS}/toy-whisper", language: en, device: cpu, compute_type: int8}}
diarize: {{model: "{MODELS}/toy-diarization", device: cpu}}
"""
# Sizes of real files, in bytes: a chunk of ten minutes, the rest of a session per chunk of it.
CHUNK_BYTES, FLAC_BYTES, SMALL_BYTES = 180_000, 9_000_000, 2_000
EMPTY = "rule all:\n    input: [],\n"
STARTED = re.compile(r"^(?:local)?rule (?!all:)\w+:$")
SIZES = (("100 × 120", 100, 120), ("1000 × 120", 1000, 120))
SHORT = (("3 × 4", 3, 4), ("5 × 4", 5, 4))
CHUNK = re.compile(r"^ +output: (results/transcribe/\S+/mix\.\d+\.json)$", re.MULTILINE)
# The bars are CPU seconds on a quiet machine, on which the empty workflow takes `EMPTY_CPU_S`. A slower or
# busier one is measured by what the empty workflow takes there in the same run.
EMPTY_CPU_S = 0.65
BARS_CPU_S = {
    "dry run, 100 × 120, finished": EMPTY_CPU_S + 1.0,
    "dry run, 100 × 120, 1 % missing": EMPTY_CPU_S + 1.0,
    "dry run, 1000 × 120, 1 % missing": 9.0,
    "first job, 100 × 24": 5.0,
    "status, 100 × 120, finished": 1.0,
    "status, 100 × 120, 1 % missing": 1.0,
    "status, 1000 × 120, finished": 4.0,
    "status, 1000 × 120, 1 % missing": 4.0,
}
BARS_PEAK_MB = {"dry run, 1000 × 120, 1 % missing": 220.0}


@dataclass(frozen=True)
class Cost:
    """What a process and its children took."""

    cpu_s: float
    wall_s: float
    peak_mb: float


@dataclass(frozen=True)
class Measured(Cost):
    """The same, and what the empty workflow took just then: machines are not always as fast."""

    empty_cpu_s: float

    @property
    def quiet_cpu_s(self) -> float:
        """What it would have taken on a quiet machine."""
        return self.cpu_s * EMPTY_CPU_S / self.empty_cpu_s


def make(folder: Path, sessions: int, chunks: int, *, finished: bool) -> None:
    """Make a project of `sessions` recordings of `chunks` chunks each; with results where `finished`."""
    from sessionscribe.config import loading  # noqa: PLC0415 -- not in the process that measures
    from sessionscribe.manifest import manifest  # noqa: PLC0415 -- not in the process that measures
    from sessionscribe.planning.plan import Plan  # noqa: PLC0415

    (folder / "config").mkdir(parents=True)
    for part in PARTS:
        (folder / part).symlink_to(ROOT / part)
    (folder / "config/config.yaml").write_text(SETTINGS, encoding="utf-8")
    rows = [
        manifest.Row(
            session=f"session-{number:04}",
            layout="recording",
            track="mix",
            source=f"recordings/session-{number:04}.m4a",
            checksum=f"{number:064x}",
            duration_s=chunks * 600.0,
        )
        for number in range(sessions)
    ]
    manifest.write(folder / "config/sessions.tsv", rows)
    if not finished:
        return
    os.chdir(folder)
    plan = Plan(loading.load([Path("config/config.yaml")]))
    for session in plan.sessions.values():
        for step in session.pending.values():
            for output in step.outputs:
                hole(Path(output), chunks)
            if not step.keyed:
                record(step)


def hole(path: Path, chunks: int) -> None:
    """Write a file of a plausible size that ends as ours do and takes no room."""
    if path.suffix == ".flac":
        size = FLAC_BYTES * chunks
    elif path.parts[1] == "transcribe" or path.suffix == ".npz":
        size = CHUNK_BYTES
    else:
        size = SMALL_BYTES * chunks
    end = b"PK\5\6" + bytes(18) if path.suffix == ".npz" else b"}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size - len(end))
        file.seek(0, os.SEEK_END)
        file.write(end)


def record(step: Step) -> None:
    """Write the settings and the record of a step, as its jobs do, without waiting for the disk."""
    from sessionscribe.artifacts.provenance import Output, Provenance  # noqa: PLC0415
    from sessionscribe.planning.results import settings_text  # noqa: PLC0415
    from sessionscribe.planning.steps import Folder  # noqa: PLC0415

    def entry(path: str) -> Output:
        return Output(path=path, size=Path(path).stat().st_size, sha256="0" * 64)

    read = [path for need in step.needs if isinstance(need, Folder) for path in need.outputs]
    made = Provenance(
        rule=step.rule,
        key=step.key,
        outputs=[entry(path) for path in step.outputs],
        inputs=[entry(path) for path in read],
        options=step.settings.get("options", {}),
        versions={
            "sessionscribe": "0",
            "python": "3",
            "faster-whisper": "1",
            "ctranslate2": "4",
            "torch": "2",
        },
    )
    for name, text in ((step.settings_file, settings_text(step.settings)), (step.record, made.text())):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")


def chunk_files(folder: Path) -> list[str]:
    """Return the chunk transcripts of an archive, relative to it."""
    found = (folder / "results/transcribe").glob("*/*/mix.*.json")
    return sorted(str(path.relative_to(folder)) for path in found)


def take_away(folder: Path, share: float) -> set[str]:
    """Delete a share of the chunk transcripts, scattered, always the same ones; return their names."""
    every = chunk_files(folder)
    taken = set(random.Random(1).sample(every, max(1, round(share * len(every)))))
    for name in taken:
        (folder / name).unlink()
    return taken


def snakemake(*arguments: str) -> list[str]:
    """Return the command for Snakemake with the everyday profile."""
    return [sys.executable, "-m", "snakemake", *arguments, "--profile", "profiles/local", "--cores", "2"]


def cost(folder: Path, command: list[str]) -> tuple[Cost, str]:
    """Run a command in a folder to its end; return what it took and what it printed."""
    with (folder / "output.txt").open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began
    printed = (folder / "output.txt").read_text(encoding="utf-8")
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} in {folder} failed:\n{printed[-2000:]}")
    return Cost(used.ru_utime + used.ru_stime, wall_s, used.ru_maxrss / 1000), printed


def until_first_job(folder: Path) -> Cost:
    """Run Snakemake until its log says that it starts a job, end it, and return what it took until then."""
    logs = folder / ".snakemake/log"
    before, said = set(logs.glob("*")), ""
    began = time.perf_counter()
    process = subprocess.Popen(
        snakemake("--executor", "local"),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not any(STARTED.match(line.strip()) for line in said.splitlines()):
        if process.poll() is not None:
            raise RuntimeError(f"no job was started in {folder}:\n{said[-2000:]}")
        time.sleep(0.01)
        said = "".join(path.read_text(encoding="utf-8") for path in set(logs.glob("*.log")) - before)
    wall_s = time.perf_counter() - began
    fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    cpu_s = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")  # its own and that of ended children
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return Cost(cpu_s, wall_s, int(status.split("VmHWM:")[1].split()[0]) / 1000)


def made_archive(folder: Path, sessions: int, chunks: int, *, finished: bool) -> Path:
    """Make an archive in a process of its own, so that ours stays small."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, __file__, "--make", str(sessions), str(chunks), str(int(finished))]
    subprocess.run([*command, "--folder", str(folder)], check=True)
    return folder


def scan(folder: Path, *, short: bool) -> dict[str, Measured]:
    """Make the archives and measure each command on them.

    Raises:
        RuntimeError: a command failed, or found something else than what is missing.
    """
    found: dict[str, Measured] = {}
    empty = folder / "empty"
    empty.mkdir(parents=True)
    (empty / "Snakefile").write_text(EMPTY, encoding="utf-8")
    (empty / "profiles").symlink_to(ROOT / "profiles")

    def measure(name: str, work: Callable[[], tuple[Cost, str]]) -> str:
        """Take what a command costs, between two runs of the empty workflow; return what it printed."""
        before = cost(empty, snakemake("--dry-run"))[0].cpu_s
        taken, printed = work()
        after = cost(empty, snakemake("--dry-run"))[0].cpu_s
        found[name] = Measured(**asdict(taken), empty_cpu_s=(before + after) / 2)
        return printed

    status = [sys.executable, "-m", "sessionscribe.cli.main", "status"]
    for name, sessions, chunks in SHORT if short else SIZES:
        archive = made_archive(folder / name, sessions, chunks, finished=True)
        for state in ("finished", "1 % missing"):
            taken = take_away(archive, 0.01) if state == "1 % missing" else set()
            look = partial(cost, archive, snakemake("--dry-run"))
            named = set(CHUNK.findall(measure(f"dry run, {name}, {state}", look)))
            if named != taken:
                raise RuntimeError(f"{archive}: overlooked or not missing: {sorted(named ^ taken)[:5]}")
            printed = measure(f"status, {name}, {state}", partial(cost, archive, status))
            if printed.count(" complete\n") != sessions - len({path.split("/")[2] for path in taken}):
                raise RuntimeError(f"{archive}: the status is wrong:\n{printed[:2000]}")
    name, sessions, chunks = ("3 × 2", 3, 2) if short else ("100 × 24", 100, 24)
    first = made_archive(folder / f"new {name}", sessions, chunks, finished=False)
    measure(f"first job, {name}", lambda: (until_first_job(first), ""))
    return found


def main() -> int:
    """Run the benchmark, or make one archive."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="small archives: does it work?")
    parser.add_argument(
        "--folder", type=Path, help="where to work and leave the archives (default: a temporary one)"
    )
    parser.add_argument("--make", nargs=3, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        sessions, chunks, finished = arguments.make
        make(arguments.folder, sessions, chunks, finished=bool(finished))
        return 0
    with tempfile.TemporaryDirectory(prefix="scan-") as temporary:
        found = scan(arguments.folder or Path(temporary), short=arguments.short)
    quiet = {name: figure.quiet_cpu_s for name, figure in found.items()}
    slow = [name for name, bar in BARS_CPU_S.items() if quiet.get(name, 0.0) > bar]
    big = [name for name, bar in BARS_PEAK_MB.items() if name in found and found[name].peak_mb > bar]
    figures = {
        name: {key: round(value, 2) for key, value in (asdict(figure) | {"quiet_cpu_s": quiet[name]}).items()}
        for name, figure in found.items()
    }
    print(
        json.dumps(
            {
                "ok": not slow and not big,
                "figures": figures,
                "bars_cpu_s": BARS_CPU_S,
                "bars_peak_mb": BARS_PEAK_MB,
                "above": slow + big,
            },
            indent=1,
            ensure_ascii=False,
        )
    )
    return 0 if not slow and not big else 1


if __name__ == "__main__":
    sys.exit(main())
