"""Runs on the machine: installs the Python environment of the pinned requirements, once.

    python3 environment.py REQUIREMENTS UV_REQUIREMENTS FOLDER [TORCH_BACKEND]

Prints a line of JSON, as a worker does: ``python`` is the environment's interpreter. FOLDER is named after
the hash of the requirements. All packages are checked against their pinned hashes, also uv, which installs
the others. With TORCH_BACKEND (``auto``, ``cu126`` …: see uv), for older drivers, uv installs that build of
the pinned versions of torch and torchaudio, which are not checked, and neither are their dependencies.

Needs only Python's standard library, with the modules venv and ensurepip, or else pip.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

READY = ".ready"
OLDEST = (3, 11)
CANDIDATES = ("python3", "python3.13", "python3.12", "python3.11", "python3.14")
FOREIGN = frozenset(
    f"{tool}_{name}"
    for tool in ("UV", "PIP")
    for name in ("CONSTRAINT", "BUILD_CONSTRAINT", "OVERRIDE", "PRERELEASE", "RESOLUTION", "TARGET", "USER")
) | {"VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME", "UV_SYSTEM_PYTHON", "UV_TORCH_BACKEND"}
"""Variables of the machine that would change the environment."""
TORCH = ("torch", "torchaudio")
TORCH_FAMILY = re.compile(r"torch|torchaudio|triton|cuda-.*|nvidia-(?!ml-py|cublas-cu12).*")
"""Packages that belong to a build of torch. The two that are left out are requirements of others."""
MODULES = ("ensurepip, venv", "pip")
"""Modules that can create environments, in order of preference. Some systems lack one, some the other."""


def find_python(oldest: tuple[int, int], candidates: Sequence[str]) -> tuple[str, str] | None:
    """Return an interpreter that is new enough and can create environments, and with which modules."""
    for modules in MODULES:
        check = f"import sys, {modules}; sys.exit(sys.version_info < {oldest})"
        for path in filter(None, map(shutil.which, candidates)):
            with suppress(OSError):
                if subprocess.run([path, "-c", check], capture_output=True, check=False).returncode == 0:
                    return path, modules
    return None


def blocks(requirements: str) -> list[tuple[str, str]]:
    """Return the name and the lines of each package in pinned requirements."""
    found = re.findall(r"^[^\s#].*(?:\n[ \t].*)*", requirements, flags=re.MULTILINE)
    return [(re.split(r"[=\s\[;]", block, maxsplit=1)[0].lower(), block) for block in found]


def commands(
    python: tuple[str, str], requirements: Path, uv_requirements: Path, folder: Path, backend: str = ""
) -> list[list[str]]:
    """Return the commands that create the environment, with the result of ``find_python``.

    For another build of torch, a file without torch is written beside the requirements.
    """
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
    wanted, installed = requirements, []
    if backend:
        packages = blocks(requirements.read_text(encoding="utf-8"))
        wanted = requirements.with_name(f"without-torch-{requirements.name}")
        kept = [block for name, block in packages if not TORCH_FAMILY.fullmatch(name)]
        wanted.write_text("\n".join([*kept, ""]), encoding="utf-8")
        torch = [block.split()[0] for name, block in packages if name in TORCH]
        more = ["--compile-bytecode", "--torch-backend", backend]
        installed = [[uv, "pip", "install", "--quiet", "--python", inside, *more, *torch]]
    pins = ["--build-constraints", str(requirements), str(wanted)]
    sync = [uv, "pip", "sync", "--quiet", "--python", inside, *checked, "--compile-bytecode", *pins]
    return [*make, sync, *installed]


def main(
    requirements: Path,
    uv_requirements: Path,
    folder: Path,
    backend: str = "",
    *,
    oldest: tuple[int, int] = OLDEST,
    candidates: Sequence[str] = CANDIDATES,
) -> int:
    """Create the environment, unless it exists, and print its interpreter."""
    ready = folder / READY
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)  # two runners on one machine
        if not ready.exists():
            python = find_python(oldest, candidates)
            if python is None:
                version = ".".join(map(str, oldest))
                needs = "with the modules venv and ensurepip, or with pip"
                print(f"there is no Python {version} or newer {needs}", file=sys.stderr)
                return 2
            env = {key: value for key, value in os.environ.items() if key not in FOREIGN}
            for command in commands(python, requirements, uv_requirements, folder, backend):
                done = subprocess.run(command, env=env, stdout=sys.stderr, check=False)
                if done.returncode:
                    print(f"exit code {done.returncode} from: {' '.join(command[:6])} …", file=sys.stderr)
                    return 1
            ready.touch()
    os.utime(folder)  # folders that are not used for long are removed
    print(json.dumps({"id": 1, "python": str(folder / "bin/python")}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:]))
