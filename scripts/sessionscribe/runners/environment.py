"""On the machine: the Python environment of the pinned requirements, made once.

    python3 environment.py REQUIREMENTS UV_REQUIREMENTS FOLDER

Prints a line of JSON, as a worker does: ``python`` is the environment's interpreter. FOLDER is named by the
requirements' hash, so what is ready there is right. Every package is checked against its pinned hash, uv
included, which installs the others.

Needs nothing but Python's own library with the module venv.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

READY = ".ready"
OLDEST = (3, 11)
FOREIGN = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME")
CANDIDATES = ("python3", "python3.13", "python3.12", "python3.11", "python3.14")


def find_python() -> str | None:
    """Return an interpreter that is new enough and can make environments."""
    check = f"import sys, ensurepip, venv; sys.exit(sys.version_info < {OLDEST})"
    for name in CANDIDATES:
        path = shutil.which(name)
        if path and subprocess.run([path, "-c", check], capture_output=True, check=False).returncode == 0:
            return path
    return None


def commands(python: str, requirements: Path, uv_requirements: Path, folder: Path) -> list[list[str]]:
    """Return the commands that make the environment."""
    inside, uv = str(folder / "bin/python"), str(folder / "bin/uv")
    pip = [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    checked = ["--require-hashes", "--preview-features=build-dependency-hashes", "--require-build-hashes"]
    pins = ["--build-constraints", str(requirements), str(requirements)]
    return [
        [python, "-m", "venv", "--clear", str(folder)],
        [*pip, "--no-deps", "--require-hashes", "--requirement", str(uv_requirements)],
        [uv, "pip", "sync", "--quiet", "--python", inside, *checked, "--compile-bytecode", *pins],
    ]


def main(requirements: Path, uv_requirements: Path, folder: Path) -> int:
    """Make the environment if it is not there; print its interpreter."""
    ready = folder / READY
    name = hashlib.sha256(requirements.read_bytes()).hexdigest()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runners on one machine
        if not ready.exists():
            python = find_python()
            if python is None:
                version = ".".join(map(str, OLDEST))
                print(
                    f"there is no Python {version} or newer with the modules venv and ensurepip",
                    file=sys.stderr,
                )
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
