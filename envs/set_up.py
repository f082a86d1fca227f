"""Make ``.venv`` what the pinned requirement files say, and do nothing when it already is.

Run by ``envs/setup.sh`` with the interpreter that ``.venv`` is made with, or with ``.venv``'s own; standard
library only. ``--dry-run`` prints the commands of a set-up instead.

``.venv/.ready-<hash>`` exists only after a set-up went through to its end, and names what it was made from.
``.venv/.incomplete`` exists from the first install to the last: when a set-up starts and finds it, an earlier
one was interrupted, and every package is put in place again.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"
INCOMPLETE = VENV / ".incomplete"
BACKEND = VENV / ".torch-backend"
SLURM = VENV / "slurm"
WITHOUT_TORCH = VENV / ".requirements-without-torch.txt"
REQUIREMENTS = ROOT / "envs" / "requirements-dev.txt"
SLURM_REQUIREMENTS = ROOT / "envs" / "requirements-slurm.txt"
UV_REQUIREMENTS = ROOT / "envs" / "uv.txt"
FROM_REGISTRY = "registry"
TORCH = ("torch", "torchaudio")
TORCH_FAMILY = re.compile(r"(torch|torchaudio|triton|(nvidia|cuda)-.*)")
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


def without_torch(text: str) -> str:
    """Leave out torch, torchaudio and the packages that come with a build of theirs (CUDA's, triton)."""
    return "".join(b for name, b in pinned_blocks(text).items() if not TORCH_FAMILY.fullmatch(name))


def install_commands(backend: str, *, previous: str = "", repair: bool = False) -> list[list[str]]:
    """List the commands that fill ``.venv``, once uv is in it.

    Without a backend everything comes from the package registry, and every file is checked against the hash
    that we pin. With one, torch and torchaudio come in the pinned versions from where uv finds the builds of
    that backend, whose hashes we do not have; all other packages are checked as usual.
    """
    uv = [str(UV), "pip"]
    python = ["--python", str(PYTHON)]
    # A few pure-Python packages have no wheel; what builds them is pinned and checked as well.
    build = ["--preview-features=build-dependency-hashes", "--require-build-hashes"]
    checked = ["--require-hashes", *build, "--build-constraints", str(REQUIREMENTS)]
    again = ["--reinstall"] if repair else []
    # Where Python may not write bytecode, every job would compile what it imports: 8 CPU-s for pyannote.
    again.append("--compile-bytecode")
    if not backend:
        # 2.11.0+cpu satisfies ==2.11.0: without being told, uv would keep the other build.
        swap = [f"--reinstall-package={name}" for name in TORCH] if previous and not repair else []
        commands = [[*uv, "sync", *python, *checked, *again, *swap, str(REQUIREMENTS)]]
    else:
        pins = pinned_blocks(REQUIREMENTS.read_text(encoding="utf-8"))
        wanted = [pins[name].split(maxsplit=1)[0] for name in TORCH]
        commands = [
            [*uv, "sync", *python, *checked, *again, str(WITHOUT_TORCH)],
            [*uv, "install", *python, "--torch-backend", backend, *wanted],
        ]
    # Beside all else: Snakemake imports every plugin that it finds, and this one imports pandas.
    beside = ["--target", str(SLURM), "--upgrade", "--no-deps", "--require-hashes"]
    commands.append([*uv, "install", *python, *beside, "--requirement", str(SLURM_REQUIREMENTS)])
    own = [*uv, "install", *python, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    return [*commands, own]


def state_hash(backend: str) -> str:
    """Name the state that a finished set-up stands for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    parts = [project.get("build-system"), project.get("project"), project.get("tool", {}).get("setuptools")]
    digest = hashlib.sha256(json.dumps([parts, backend, str(ROOT)], sort_keys=True).encode())
    for path in (REQUIREMENTS, UV_REQUIREMENTS, SLURM_REQUIREMENTS):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def run(command: list[str]) -> None:
    """Run one command of the set-up; its output is the user's progress display."""
    env = {key: value for key, value in os.environ.items() if key not in FOREIGN_SETTINGS}
    try:
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
        run([base, "-m", "venv", "--clear", str(VENV)])
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
            ]
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


def set_up(backend: str, previous: str) -> None:
    """Bring ``.venv`` to the pinned state."""
    began = time.monotonic()
    print("Setting up .venv (the first time fetches about 3 GB from the package registry) ...", flush=True)
    repair = INCOMPLETE.exists()
    for stamp in VENV.glob(".ready-*"):
        stamp.unlink()
    make_venv()
    INCOMPLETE.touch()
    WITHOUT_TORCH.write_text(without_torch(REQUIREMENTS.read_text(encoding="utf-8")), encoding="utf-8")
    for command in install_commands(backend, previous=previous, repair=repair):
        run(command)
    BACKEND.write_text(backend, encoding="utf-8")
    INCOMPLETE.unlink()
    (VENV / f".ready-{state_hash(backend)}").touch()
    print(f"Set up in {time.monotonic() - began:.0f} s.", flush=True)


def main() -> int:
    """Set up when needed, then link the profiles."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dry-run", action="store_true", help="print the commands that fill .venv")
    dry_run = parser.parse_args().dry_run

    previous = BACKEND.read_text(encoding="utf-8").strip() if BACKEND.exists() else ""
    asked = os.environ.get("TORCH_BACKEND", "").strip()
    backend = "" if asked == FROM_REGISTRY else asked or previous
    if dry_run:
        for command in install_commands(backend, previous=previous, repair=INCOMPLETE.exists()):
            print(shlex.join(command))
        return 0
    try:
        check_interpreter()
        ready = VENV / f".ready-{state_hash(backend)}"
        if not ready.exists():
            with only_one():
                if not ready.exists():
                    set_up(backend, previous)
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
