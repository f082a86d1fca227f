"""Make ``.venv`` what the pinned requirement files say, and do nothing when it already is.

Run by ``envs/setup.sh`` with the interpreter that ``.venv`` is made with, or with ``.venv``'s own; standard
library only. ``--dry-run`` prints the commands of a set-up instead.

``.venv/.ready-<hash>`` exists only after a set-up went through to its end, and names what it was made from.
``.venv/.incomplete`` exists from the first install to the last: when a set-up starts and finds it, an earlier
one was interrupted, and every package is put in place again.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"
INCOMPLETE = VENV / ".incomplete"
CHOICE = VENV / ".choice.json"
SLURM = VENV / "slurm"
WANTED = VENV / ".requirements.txt"
REQUIREMENTS = ROOT / "envs" / "requirements-dev.txt"
LIGHT_REQUIREMENTS = ROOT / "envs" / "requirements-light.txt"
SLURM_REQUIREMENTS = ROOT / "envs" / "requirements-slurm.txt"
UV_REQUIREMENTS = ROOT / "envs" / "uv.txt"
WEB = ROOT / "envs" / "web"
LIBRARIES = VENV / "share" / "sessionscribe" / "web"
"""What the pages of `sessionscribe serve` load: files of npm packages, with their licences."""
SHIPPED = {
    "htmx.org": ("dist/htmx.min.js", "LICENSE"),
    "uplot": ("dist/uPlot.iife.min.js", "dist/uPlot.min.css", "LICENSE"),
}
FROM_REGISTRY = "registry"
TORCH = ("torch", "torchaudio")
TORCH_FAMILY = re.compile(r"torch|torchaudio|triton|cuda-.*|nvidia-(?!ml-py|.*-cu12).*")
"""What comes with a build of torch."""
FOR_NVIDIA = re.compile(r"triton|nvidia-.*-cu12")
"""What is of use with NVIDIA's driver only: CTranslate2's cuBLAS, torch's compiler of kernels."""
DRIVER = Path("/dev/nvidiactl")
SILENT_S = 5.0
"""A step that says nothing for so long is said to be at work."""
# Settings of the user's shell that would point uv at another environment or loosen what the files pin.
# Those that choose the registry or the cache stay.
FOREIGN_SETTINGS = frozenset(
    {
        "VIRTUAL_ENV",
        "CONDA_PREFIX",
        "PYTHONPATH",
        "PYTHONHOME",
        "UV_TORCH_BACKEND",
        "UV_CONSTRAINT",
        "UV_OVERRIDE",
        "UV_EXCLUDE",
        "UV_EXCLUDE_NEWER",
        "UV_SYSTEM_PYTHON",
        "UV_PRERELEASE",
        "UV_RESOLUTION",
        "UV_NO_VERIFY_HASHES",
        "UV_BUILD_CONSTRAINT",
        "UV_NO_BUILD",
        "UV_NO_BINARY",
        "PIP_USER",
        "PIP_TARGET",
        "PIP_PREFIX",
        "PIP_REQUIRE_VIRTUALENV",
    }
)


class SetUpError(Exception):
    """What stopped the set-up, in one line for the user."""


def pinned_blocks(text: str) -> dict[str, str]:
    """Split a pinned requirement file into its entries, one per package name (hashes included)."""
    blocks: dict[str, str] = {}
    for block in re.findall(r"^[^\s#][^\n]*(?:\n[ \t][^\n]*)*\n?", text, flags=re.MULTILINE):
        name = re.split(r"[=\s\[]", block, maxsplit=1)[0].lower()
        blocks[name] = blocks.get(name, "") + block
    return blocks


@dataclass(frozen=True)
class Choice:
    """What the user asked for, which holds until something else is asked for.

    ``backend`` is the build of torch, as uv names it, or "" for the pinned one. With ``light`` nothing is
    there that only speakers, Slurm or development need, and nothing is compiled before it is used. With
    ``gpu`` what only a GPU needs is there without a driver, too.
    """

    backend: str = ""
    light: bool = False
    gpu: bool = False

    @classmethod
    def remembered(cls) -> Choice:
        """Return what the set-up before was asked for."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            return cls(**json.loads(CHOICE.read_text(encoding="utf-8")))
        return cls()

    def asked(self) -> Choice:
        """Return it with what is asked for now."""
        changes: dict[str, Any] = {}
        if backend := os.environ.get("TORCH_BACKEND", "").strip():
            changes["backend"] = "" if backend == FROM_REGISTRY else backend
        for name in ("light", "gpu"):
            if given := os.environ.get(name.upper(), "").strip():
                if given not in ("0", "1"):
                    raise SetUpError(f"{name.upper()} is 0 or 1, not {given}")
                changes[name] = given == "1"
        return replace(self, **changes)

    @property
    def requirements(self) -> Path:
        """The pinned requirements that it is about."""
        return LIGHT_REQUIREMENTS if self.light else REQUIREMENTS


def wanted(choice: Choice, *, driver: bool) -> str:
    """Return the pinned requirements that this machine needs of those that are chosen."""
    left_out = [FOR_NVIDIA] * (not (driver or choice.gpu)) + [TORCH_FAMILY] * bool(choice.backend)
    blocks = pinned_blocks(choice.requirements.read_text(encoding="utf-8"))
    return "".join(b for name, b in blocks.items() if not any(p.fullmatch(name) for p in left_out))


def install_commands(choice: Choice, *, previous: Choice = Choice(), repair: bool = False) -> list[list[str]]:
    """List the commands that fill ``.venv``, once uv and ``WANTED`` are in it.

    Without a backend everything comes from the package registry, and every file is checked against the hash
    that we pin. With one, torch and torchaudio come in the pinned versions from where uv finds the builds of
    that backend, whose hashes we do not have; all other packages are checked as usual.
    """
    uv = [str(UV), "pip"]
    python = ["--python", str(PYTHON)]
    # A few pure-Python packages have no wheel; what builds them is pinned and checked as well.
    build = ["--preview-features=build-dependency-hashes", "--require-build-hashes"]
    checked = ["--require-hashes", *build, "--build-constraints", str(choice.requirements)]
    again = ["--reinstall"] if repair else []
    if previous.backend and not (choice.backend or choice.light or repair):
        # 2.11.0+cpu satisfies ==2.11.0: without being told, uv would keep the other build.
        again = [f"--reinstall-package={name}" for name in TORCH]
    commands = [[*uv, "sync", *python, *checked, *again, str(WANTED)]]
    if choice.backend and not choice.light:
        pins = pinned_blocks(choice.requirements.read_text(encoding="utf-8"))
        torch = [pins[name].split(maxsplit=1)[0] for name in TORCH]
        commands.append([*uv, "install", *python, "--torch-backend", choice.backend, *torch])
    own = [*uv, "install", *python, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    if choice.light:
        return [*commands, own]
    # Beside all else: Snakemake imports every plugin that it finds, and this one imports pandas.
    beside = ["--target", str(SLURM), "--upgrade", "--no-deps", "--require-hashes"]
    slurm = [*uv, "install", *python, *beside, "--requirement", str(SLURM_REQUIREMENTS)]
    return [*commands, slurm, own]


def state_hash(choice: Choice, *, driver: bool) -> str:
    """Name the state that a finished set-up stands for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    parts = [project.get("build-system"), project.get("project"), project.get("tool", {}).get("setuptools")]
    about = [parts, asdict(choice), wanted(choice, driver=driver), str(ROOT)]
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for path in (UV_REQUIREMENTS, SLURM_REQUIREMENTS):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def at_work(what: str) -> Iterator[None]:
    """Say what is done, and every few seconds that it still is."""
    began, ended = time.monotonic(), threading.Event()
    print(f"{what} ...", flush=True)

    def tell() -> None:
        while not ended.wait(SILENT_S):
            print(f"  {time.monotonic() - began:.0f} s", flush=True)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()


def run(command: list[str], what: str) -> None:
    """Run one command of the set-up; on a terminal uv shows its progress itself."""
    env = {key: value for key, value in os.environ.items() if key not in FOREIGN_SETTINGS}
    shows = command[0] == str(UV) and sys.stderr.isatty()
    try:
        with contextlib.nullcontext() if shows else at_work(what):
            subprocess.run(command, cwd=ROOT, env=env, check=True)
    except subprocess.CalledProcessError as error:
        raise SetUpError(f"exit status {error.returncode} from: {shlex.join(command)}") from error
    except OSError as error:
        raise SetUpError(f"{error}: {shlex.join(command)}") from error


def answers(command: list[str]) -> str:
    """Return what a command prints, nothing when it does not work."""
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def venv_setting(key: str) -> str:
    """Read one line of ``.venv/pyvenv.cfg``."""
    with contextlib.suppress(OSError):
        for line in (VENV / "pyvenv.cfg").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition("=")
            if name.strip() == key:
                return value.strip()
    return ""


def check_interpreter() -> None:
    """Refuse to continue with another Python than the one asked for."""
    have, asked = venv_setting("version"), f"{sys.version_info.major}.{sys.version_info.minor}"
    if PYTHON.exists() and have and have.split(".")[:2] != asked.split("."):
        raise SetUpError(f".venv was made with Python {have}, PYTHON asks for {asked}: `make clean` first")


def make_venv() -> None:
    """Create ``.venv``, anew when it does not work or was made for another folder, and put uv into it."""
    made_for = venv_setting("command").rpartition(" -m venv ")[2]
    moved = bool(made_for) and not made_for.endswith(str(VENV))
    if moved or not answers([str(PYTHON), "-m", "pip", "--version"]):
        base = getattr(sys, "_base_executable", None) or sys.executable
        run([base, "-m", "venv", "--clear", str(VENV)], "Making an empty environment")
    wanted = next(iter(pinned_blocks(UV_REQUIREMENTS.read_text(encoding="utf-8")).values())).split()[0]
    if answers([str(UV), "--version"]).split()[:2] != wanted.split("=="):
        pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run(
            [
                *pip,
                "--no-deps",
                "--require-hashes",
                "--force-reinstall",
                "--requirement",
                str(UV_REQUIREMENTS),
            ],
            "Getting uv",
        )


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Let a second set-up of this checkout wait for the first. The kernel ends the lock with the process."""
    descriptor = os.open(ROOT / "envs", os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def compile_all() -> None:
    """Compile all packages: where Python may not write, each job would do it again (8 CPU-s for pyannote).

    uv would do it, too, and say nothing for a minute.
    """
    folders = [*VENV.glob("lib/python*/site-packages"), SLURM]
    files = [str(path) for folder in folders for path in folder.rglob("*.py")]
    shown, live = time.monotonic(), sys.stdout.isatty()
    print(f"Compiling {len(files)} files ...", flush=True)
    with ProcessPoolExecutor() as pool:
        for done, _ in enumerate(pool.map(compile_file, files, chunksize=50), 1):
            if time.monotonic() - shown >= (0.2 if live else SILENT_S):
                shown = time.monotonic()
                print(f"  {done / len(files):.0%}", end="\r" if live else "\n", flush=True)


def compile_file(path: str) -> bool:
    """Compile one file, if that was not done; some packages have files that no Python of ours can compile."""
    return bool(compileall.compile_file(path, quiet=2))


def add_libraries() -> None:
    """Get the browser's libraries with npm, by the hashes that we pin; without npm there are none."""
    stamp = LIBRARIES / hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()[:16]
    npm = shutil.which("npm")
    if stamp.exists() or npm is None:
        return
    with tempfile.TemporaryDirectory(dir=VENV) as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(WEB / name, folder)
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
        run([npm, "ci", "--prefix", folder, *quiet], "Getting the browser's libraries")
        shutil.rmtree(LIBRARIES, ignore_errors=True)
        LIBRARIES.mkdir(parents=True)
        for package, files in SHIPPED.items():
            for file in map(Path, files):
                name = f"{package}.LICENSE" if file.name == "LICENSE" else file.name
                shutil.copy(Path(folder, "node_modules", package, file), LIBRARIES / name)
    stamp.touch()


def set_up(choice: Choice, previous: Choice, *, driver: bool) -> None:
    """Bring ``.venv`` to the pinned state."""
    began = time.monotonic()
    how_much = "0.3 GB" if choice.light else "3 GB" if driver or choice.gpu else "2 GB"
    print(f"Setting up .venv (the first time fetches about {how_much} from the package registry)", flush=True)
    repair = INCOMPLETE.exists()
    for stamp in VENV.glob(".ready-*"):
        stamp.unlink()
    make_venv()
    INCOMPLETE.touch()
    WANTED.write_text(wanted(choice, driver=driver), encoding="utf-8")
    packages, *others = install_commands(choice, previous=previous, repair=repair)
    run(packages, "Getting and installing packages")
    for command in others:
        run(command, "Installing the rest")
    if not choice.light:
        compile_all()
    CHOICE.write_text(json.dumps(asdict(choice)), encoding="utf-8")
    INCOMPLETE.unlink()
    (VENV / f".ready-{state_hash(choice, driver=driver)}").touch()
    light = ", without speakers (LIGHT=1; `make setup LIGHT=0` adds the rest)" if choice.light else ""
    print(f"Set up in {time.monotonic() - began:.0f} s{light}.", flush=True)


def main() -> int:
    """Set up when needed, then link the profiles."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dry-run", action="store_true", help="print the commands that fill .venv")
    dry_run = parser.parse_args().dry_run

    previous, driver = Choice.remembered(), DRIVER.exists()
    try:
        choice = previous.asked()
        if dry_run:
            for command in install_commands(choice, previous=previous, repair=INCOMPLETE.exists()):
                print(shlex.join(command))
            return 0
        check_interpreter()
        ready = VENV / f".ready-{state_hash(choice, driver=driver)}"
        if not ready.exists():
            with only_one():
                if not ready.exists():
                    set_up(choice, previous, driver=driver)
        try:
            add_libraries()
        except SetUpError as error:
            print(f"set-up: `sessionscribe serve` will lack its libraries: {error}", file=sys.stderr)
        # With .venv's Python: it is Snakemake's own library that knows the configuration folder.
        return subprocess.run([PYTHON, "-I", ROOT / "envs" / "link_profiles.py"], check=False).returncode
    except SetUpError as error:
        print(f"set-up: {error}", file=sys.stderr)
        print(
            "  The next `make setup` goes on from here; see envs/README.md for another registry.",
            file=sys.stderr,
        )
        return 2


if __name__ == "__main__":
    sys.exit(main())
