"""Where a notebook runs, and what that place gives: a folder that stays, secrets, how long it lasts."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any


class Platform:
    """A machine of one's own, and what all platforms share."""

    name = "This machine"
    gpu_menu = "Take a machine that has one"

    def mount(self, folder: str) -> Path:
        """Return the folder that stays when the machine goes.

        Raises:
            OSError: there is none.
        """
        found = Path(folder).absolute()
        found.mkdir(parents=True, exist_ok=True)
        return found

    def inputs(self) -> list[Path]:
        """Return other folders in which bundles and recordings may lie."""
        return []

    def secret(self, name: str) -> str:
        """Return a secret that the user has stored here and lets this notebook read; "" if there is none."""
        return os.environ.get(name, "")

    def has_arrived(self, path: Path) -> bool | None:
        """Return whether a file in the folder that stays will stay; None: nobody says."""
        return path.exists()

    def used_s(self) -> float:
        """Return how long the machine has been ours, in seconds: others are made for the session."""
        return 0.0 if type(self) is Platform else age_s()

    def release(self) -> None:
        """Give the machine back, which ends this notebook."""


class Colab(Platform):
    """Google Colab. What is written to its mounted Drive may get lost on the way, whatever its size."""

    name = "Google Colab"
    gpu_menu = "Choose one (Runtime, Change runtime type)"

    def mount(self, folder: str) -> Path:
        """Mount Google Drive and return a folder of it, by its path from the top (``MyDrive/…``)."""
        place = Path("drive").absolute()
        try:
            _google("drive").mount(str(place))
        except Exception as error:  # refused, or the window was closed: each version has its own kind
            raise OSError(f"Google Drive was not mounted ({' '.join(str(error).split())})") from error
        return super().mount(str(place / folder))

    def secret(self, name: str) -> str:
        """Return a secret of the panel with the key symbol; "" if it is not there or not allowed."""
        try:
            return str(_google("userdata").get(name) or "")
        except Exception:  # not there, not allowed, or no answer: each is a kind of Colab's own
            return ""

    def has_arrived(self, path: Path) -> bool | None:
        """Return whether Drive has given a file its number; before that it is on this machine only."""
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
    """Kaggle: inputs are datasets, and what lies in the working folder at the end is the output."""

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
        """Return a secret of the menu *Add-ons*; "" if it is not there or not attached."""
        try:
            return str(importlib.import_module("kaggle_secrets").UserSecretsClient().get_secret(name))
        except Exception:  # not there, not attached, no network
            return ""


def age_s() -> float:
    """Return for how many seconds this container or machine has been there.

    That is the age of its first process: in a container, `/proc/uptime` may be that of a host.
    """
    up_s = float(Path("/proc/uptime").read_text().split()[0])
    started = int(Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19])
    return up_s - started / os.sysconf("SC_CLK_TCK")


def detect() -> Platform:
    """Return where this notebook runs."""
    if Kaggle.WORKING.is_dir():
        return Kaggle()
    try:
        _google("drive")
    except ImportError:
        return Platform()
    return Colab()


def _google(module: str) -> Any:
    return importlib.import_module(f"google.colab.{module}")
