"""The machine that a notebook runs on: its permanent folder, its secrets, its age."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any


class Platform:
    """A machine of one's own; the base class of all platforms."""

    name = "This machine"
    gpu_menu = "Take a machine that has one"

    def mount(self, folder: str) -> Path:
        """Return the folder that outlives the machine.

        Raises:
            OSError: it is not available.
        """
        found = Path(folder).absolute()
        found.mkdir(parents=True, exist_ok=True)
        return found

    def inputs(self) -> list[Path]:
        """Return other folders that may contain bundles and recordings."""
        return []

    def secret(self, name: str) -> str:
        """Return a secret that the user has stored for this notebook, or ""."""
        return os.environ.get(name, "")

    def has_arrived(self, path: Path) -> bool | None:
        """Return whether a file in the permanent folder is stored safely, or None if unknown."""
        return path.exists()

    def used_s(self) -> float:
        """Return for how many seconds the machine has been in use; on other platforms, that is its age."""
        return 0.0 if type(self) is Platform else age_s()

    def release(self) -> None:
        """Give the machine back, which ends this notebook."""


class Colab(Platform):
    """Google Colab. Files of any size on its mounted Drive may get lost before they are stored."""

    name = "Google Colab"
    gpu_menu = "Choose one (Runtime, Change runtime type)"

    def mount(self, folder: str) -> Path:
        """Mount Google Drive and return a folder of it, given as ``MyDrive/…``."""
        place = Path("drive").absolute()
        try:
            _google("drive").mount(str(place))
        except Exception as error:  # refused, or the window was closed: a different error in each version
            raise OSError(f"Google Drive was not mounted ({' '.join(str(error).split())})") from error
        return super().mount(str(place / folder))

    def secret(self, name: str) -> str:
        """Return a secret from the panel with the key symbol, or "" if it is missing or not allowed."""
        try:
            return str(_google("userdata").get(name) or "")
        except Exception:  # Colab's own errors: missing, not allowed, no answer
            return ""

    def has_arrived(self, path: Path) -> bool | None:
        """Return whether Drive has assigned an id to a file; before, it exists on this machine only."""
        try:
            return not os.getxattr(path, "user.drive.id").startswith(b"local")
        except FileNotFoundError:
            return False
        except OSError:
            return None

    def release(self) -> None:
        """Release the machine."""
        _google("runtime").unassign()


class Kaggle(Platform):
    """Kaggle: datasets are inputs, and the files in the working folder at the end are the output."""

    name = "Kaggle"
    gpu_menu = "Choose one (Settings, Accelerator)"
    WORKING = Path("/kaggle/working")

    def mount(self, folder: str) -> Path:
        """Return the folder of the notebook's output."""
        return self.WORKING

    def inputs(self) -> list[Path]:
        """Return the datasets that were added to the notebook."""
        return sorted(path for path in self.WORKING.with_name("input").glob("*") if path.is_dir())

    def secret(self, name: str) -> str:
        """Return a secret from the menu *Add-ons*, or "" if it is missing or not attached."""
        try:
            return str(importlib.import_module("kaggle_secrets").UserSecretsClient().get_secret(name))
        except Exception:  # missing, not attached, no network
            return ""


def age_s() -> float:
    """Return the age of this container or machine in seconds.

    That is the age of its first process: in a container, `/proc/uptime` may be that of the host.
    """
    up_s = float(Path("/proc/uptime").read_text().split()[0])
    started = int(Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19])
    return up_s - started / os.sysconf("SC_CLK_TCK")


def detect() -> Platform:
    """Return the platform that this notebook runs on."""
    if Kaggle.WORKING.is_dir():
        return Kaggle()
    try:
        _google("drive")
    except ImportError:
        return Platform()
    return Colab()


def _google(module: str) -> Any:
    return importlib.import_module(f"google.colab.{module}")
