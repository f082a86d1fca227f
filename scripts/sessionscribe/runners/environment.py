"""On the machine: the Python environment of the pinned requirements, made once.

    python3 environment.py REQUIREMENTS UV_REQUIREMENTS FOLDER

Prints a line of JSON, as a worker does: ``python`` is the environment's interpreter. FOLDER is named by the
requirements' hash, so what is ready there is right. Every package is checked against its pinned hash, uv
included, which installs the others.

Needs nothing but Python's own library, with the modules venv and ensurepip or else with pip.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

READY = ".ready"
OLDEST = (3, 11)
CANDIDATES = ("python3", "python3.13", "python3.12", "python3.11", "python3.14")
MODULES = ("ensurepip, venv", "pip")
"""What an interpreter can make environments with, best first. Some systems leave out one, some the other."""


def can_import(python: str, modules: str, oldest: tuple[int, int]) -> bool:
    """Tell whether an interpreter runs, is new enough, and has these modules."""
    check = f"import sys, {modules}; sys.exit(sys.version_info < {oldest})"
    try:
        return subprocess.run([python, "-c", check], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def find_python(
    oldest: tuple[int, int] = OLDEST, candidates: Sequence[str] = CANDIDATES
) -> tuple[str, str] | None:
    """Return an interpreter that is new enough and can make environments, and by which modules."""
    found = [path for name in candidates if (path := shutil.which(name))]
    usable = ((path, modules) for modules in MODULES for path in found if can_import(path, modules, oldest))
    return next(usable, None)


def commands(
    python: tuple[str, str], requirements: Path, uv_requirements: Path, folder: Path
) -> list[list[str]]:
    """Return the commands that make the environment, with what ``find_python`` found."""
    inside, (outside, modules) = str(folder / "bin/python"), python
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    if modules == "pip":
        tools = folder.with_name(f"{folder.name}-uv")
        uv = str(tools / "bin/uv")
        make = [
            [outside, *pip, "--target", str(tools), "--upgrade", "--requirement", str(uv_requirements)],
            [uv, "venv", "--quiet", "--clear", "--python", outside, str(folder)],
        ]
    else:
        uv = str(folder / "bin/uv")
        make = [
            [outside, "-m", "venv", "--clear", str(folder)],
            [inside, *pip, "--requirement", str(uv_requirements)],
        ]
    checked = ["--require-hashes", "--preview-features=build-dependency-hashes", "--require-build-hashes"]
    pins = ["--build-constraints", str(requirements), str(requirements)]
    sync = [uv, "pip", "sync", "--quiet", "--python", inside, *checked, "--compile-bytecode", *pins]
    return [*make, sync]


def main(
    requirements: Path,
    uv_requirements: Path,
    folder: Path,
    *,
    oldest: tuple[int, int] = OLDEST,
    candidates: Sequence[str] = CANDIDATES,
) -> int:
    """Make the environment if it is not there; print its interpreter."""
    ready = folder / READY
    name = hashlib.sha256(requirements.read_bytes()).hexdigest()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runners on one machine
        if not ready.exists():
            python = find_python(oldest, candidates)
            if python is None:
                version = ".".join(map(str, oldest))
                needs = "with the modules venv and ensurepip, or with pip"
                print(f"there is no Python {version} or newer {needs}", file=sys.stderr)
                return 2
            # What the machine's own settings would do to uv's choice of an environment is not wanted.
            env = {
                key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")
            }
            for command in commands(python, requirements, uv_requirements, folder):
                done = subprocess.run(command, env=env, stdout=sys.stderr, check=False)
                if done.returncode:
                    print(f"exit code {done.returncode} from: {' '.join(command[:6])} …", file=sys.stderr)
                    return 1
            ready.write_text(f"{name}\n")
    os.utime(folder)  # it is in use: what was not for long is removed
    print(json.dumps({"id": 1, "python": str(folder / "bin/python")}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
