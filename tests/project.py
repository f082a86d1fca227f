"""A copy of the project in a folder of its own, and Snakemake run in it, as a user would."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import yaml

import forks

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "resources/demo"
SAME_KERNEL = {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")}
"""What tells OpenBLAS which processor this is: a machine that a test makes up is the same one."""

TOY = ROOT / "tests/data/toy"
SPEECH_MODEL = ROOT / "tests/data/models/toy-whisper"
DIARIZATION_MODEL = ROOT / "tests/data/models/toy-diarization"
HASTY = """
from snakemake.cli import main
from snakemake_executor_plugin_warm import waiting

waiting.PATIENCE_S = waiting.LOOK_S = 0.5
main()
"""
"""A program: Snakemake that says at once, not after a minute, why what it submitted waits."""
APART = {"natural_voices"}  # rules/*.smk that are workflows of their own
PARTS = (
    *("Snakefile", "rules", "scripts", "config", "profiles", "envs"),
    *("tests/data/models", "tests/data/toy/config.yaml"),
)
SETTINGS = {
    "chunk": {"target_s": 8, "search_s": 2},
    "transcribe": {
        "model": "tests/data/models/toy-whisper",
        "device": "cpu",
        "compute_type": "int8",
        "window_s": 10,
        "beam_size": 1,
    },
    "diarize": {"model": "tests/data/models/toy-diarization", "device": "cpu", "chunk_s": 12},
}

Once = Callable[[str, Callable[[Path], object]], Path]
"""The fixture ``once``: a folder's name, and what fills it, to that folder."""


def tracked_files() -> list[Path]:
    """Return the project's files as git sees them: tracked, or new and not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *PARTS]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.decode()
    return [Path(name) for name in sorted(set(listed.split("\0"))) if name and (ROOT / name).is_file()]


def copy_project(to: Path) -> Project:
    """Copy the project's files (no results) to a folder and set up small, quick settings there."""
    for name in tracked_files():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, to / name)
    for compiled in (ROOT / "scripts").rglob("__pycache__"):  # or each copy would compile everything
        half_written = shutil.ignore_patterns("*.pyc.*")
        shutil.copytree(compiled, to / compiled.relative_to(ROOT), ignore=half_written)
    shutil.copy2(ROOT / "tests/data/models/xvector.py", to / "scripts/sessionscribe/engines")
    project = Project(to)
    project.settings.write_text(yaml.safe_dump(SETTINGS), encoding="utf-8")
    return project


def cut_audio(source: Path, target: Path, start_s: float, stop_s: float) -> Path:
    """Write a stretch of a recording's audio to a file of its own, as 16 kHz mono."""
    target.parent.mkdir(parents=True, exist_ok=True)
    codec = {".flac": "flac", ".wav": "pcm_s16le", ".webm": "libopus", ".ogg": "libopus"}[target.suffix]
    rate = 48_000 if codec == "libopus" else 16_000
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        out = made.add_stream(codec, rate, layout="mono")
        clock = 0
        for frame in given.decode(given.streams.audio[0]):
            if frame.time is None or not start_s <= frame.time < stop_s:
                continue
            for part in resampler.resample(frame):
                part.pts, clock = clock, clock + part.samples
                made.mux(out.encode(part))
        made.mux(out.encode(None))
    return target


@dataclass(frozen=True)
class Done:
    """What a command gave."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


@dataclass(frozen=True)
class Project:
    """A project folder."""

    root: Path

    @property
    def settings(self) -> Path:
        return self.root / "config/test.yaml"

    def __truediv__(self, name: str) -> Path:
        return self.root / name

    def copy(self, to: Path) -> Project:
        """Copy it with times and all; the code, of 800 files that nobody changes, is linked if it can be."""
        to.mkdir(exist_ok=True)
        shutil.copytree(self.root / "scripts", to / "scripts", copy_function=_link)
        others = [str(path) for path in self.root.iterdir() if path.name != "scripts"]
        subprocess.run(["cp", "-a", "--reflink=auto", *others, str(to)], check=True, capture_output=True)
        return Project(to)

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment in which commands run: this interpreter, the copy's own code."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SNAKEMAKE", "HF_", "PYTEST"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
        return kept | {"PYTHONPATH": str(self.root / "scripts"), "PATH": path, "HF_HUB_OFFLINE": "1", **more}

    def command(self, *command: str, timeout: float = 600, **environment: str) -> Done:
        """Run a command in the folder."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, module: str, *arguments: str, said: Path, **environment: str) -> subprocess.Popen[bytes]:
        """Start ``python -m MODULE`` in the folder as a terminal would, so that it can be signalled."""
        with said.open("wb") as file:
            return subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=self.root,
                env=self.environment(**environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # What runs in the background of a shell has its children ignore it.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
            )

    def program(self, module: str, *arguments: str, **environment: str) -> Done:
        """Run ``python -m MODULE`` in the folder."""
        return Done(*forks.run(module, arguments, self.root, self.environment(**environment)))

    def sessionscribe(self, *arguments: str, **environment: str) -> Done:
        """Run ``sessionscribe`` with this folder's quick settings."""
        first, *rest = arguments
        given = ["--configfile", "config/test.yaml"] if "--configfile" not in rest else []
        return self.program("sessionscribe.cli.main", first, *given, *rest, **environment)

    def snakemake(self, *arguments: str, profile: str | None = "local", **environment: str) -> Done:
        """Run ``snakemake`` with this folder's quick settings, by a profile or bare."""
        how = ["--profile", f"profiles/{profile}"] if profile else []
        given = ["--configfile", "config/test.yaml"] if "--configfile" not in arguments else []
        # Targets first: options that take several values would swallow them.
        return self.program("snakemake", *arguments, *given, "--cores", "2", *how, **environment)

    def log(self) -> str:
        """Return all that Snakemake said in its last run that was no plan."""
        return max((self.root / ".snakemake/log").iterdir()).read_text(encoding="utf-8")

    def plan(self, *arguments: str, profile: str | None = "local") -> Counter[str]:
        """Return how many jobs of each rule a dry run names."""
        done = self.snakemake(*arguments, "--dry-run", "--quiet", "host", profile=profile)
        assert done.code == 0, done.text
        return jobs(done.out + done.err)

    def results(self, folder: str = "results") -> dict[str, bytes]:
        """Return path and content of all results."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted((self.root / folder).rglob("*"))
            if path.is_file()
        }

    def status(self) -> dict[str, str]:
        """Return the status word of every session."""
        done = self.sessionscribe("status")
        assert done.code == 0, done.text
        return states(done.out)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copy2(source, target)


def states(table: str) -> dict[str, str]:
    """Return the status word of every session of a table that `sessionscribe status` printed."""
    lines = table.split("\n\n", maxsplit=1)[0].splitlines()[1:]
    return {line.split()[0]: line.split()[-1] for line in lines}


NO_STEPS = {"all", "note_settings", "total"}
STATS = re.compile(r"^(\w+) +(\d+)$")


def jobs(text: str) -> Counter[str]:
    """Return the job counts of Snakemake's table: those of steps; none: nothing to do."""
    found: Counter[str] = Counter()
    for line in text.partition("This was a dry-run")[0].splitlines():
        if (match := STATS.match(line)) and match[1] not in NO_STEPS:
            found[match[1]] = int(match[2])
    return found


def add_small_sessions(project: Project) -> None:
    """Give a project three short sessions, one of each layout, cut from the toy recordings."""
    given = TOY / "recordings"
    folder = project.root / "recordings"
    cut_audio(given / "meeting.mp4", folder / "talk.flac", 20, 45)
    for name in ("alice", "bob"):
        cut_audio(given / f"tracks/{name}.ogg", folder / f"duo/{name}.flac", 8, 20)
    for part in (0, 1):
        (folder / "live").mkdir(exist_ok=True)
        shutil.copy2(given / f"live/chunk-00{part}.webm", folder / "live")
    for arguments in (
        ["recordings/talk.flac"],
        ["recordings/duo", "--layout", "multitrack"],
        ["recordings/live"],
    ):
        done = project.sessionscribe("add", *arguments)
        assert done.code == 0, done.text
