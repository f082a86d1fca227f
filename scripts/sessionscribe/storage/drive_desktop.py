"""Folders that Google Drive for desktop, or what stands in for it on Linux, keeps on this machine.

A source `drive-desktop:Recordings/talk.m4a` is found below whichever of them has it, so that one manifest
serves machines that keep their Drive in different places. Nothing is copied: the file is read where it lies.
"""

from __future__ import annotations

import os
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sessionscribe.core.errors import UserError
from sessionscribe.storage.locations import DRIVE_DESKTOP

# The folder of one's own files is named in the language of the system.
MY_DRIVE = (
    "My Drive",
    "Meine Ablage",
    "Mon disque",
    "Mon Drive",
    "Mi unidad",
    "Il mio Drive",
    "Meu Drive",
    "O meu disco",
    "Mijn Drive",
    "Mój dysk",
    "Min enhet",
    "Mit drev",
    "Oma Drive",
    "Můj disk",
    "Saját meghajtó",
    "Drive'ım",
    "Мой диск",
    "Мій диск",
    "マイドライブ",
    "내 드라이브",
    "我的云端硬盘",
    "我的雲端硬碟",
)
SHARED = (
    "Shared drives",
    "Geteilte Ablagen",
    "Drive partagés",
    "Unidades compartidas",
    "Drive condivisi",
    "Drives compartilhados",
    "Gedeelde Drives",
    "Общие диски",
    "共有ドライブ",
    "共享云端硬盘",
)

MISSING = "does not exist"
"""What the error says where no folder has a file of that name."""


@dataclass(frozen=True)
class Machine:
    """Where to look: the user's home, and what may be the root of a drive or of a mounted one."""

    home: Path
    drives: tuple[Path, ...] = ()
    mounts: tuple[Path, ...] = ()


def this_machine() -> Machine:
    """Return where Drive folders may lie on this machine."""
    if os.name == "nt":
        return Machine(Path.home(), tuple(Path(f"{letter}:/") for letter in string.ascii_uppercase[2:]))
    # `/mnt/g` is how WSL shows a Windows drive; gvfs is where GNOME shows an online account's.
    wsl = tuple(Path("/mnt") / letter for letter in string.ascii_lowercase[2:])
    mounts = (Path("/Volumes"), Path(f"/run/user/{os.getuid()}/gvfs"))
    return Machine(Path.home(), wsl, mounts)


def roots(machine: Machine | None = None) -> list[Path]:
    """Return the Drive folders of a machine: those that hold one's own files, and shared drives."""
    found: dict[Path, None] = {}
    for candidate in _candidates(machine or this_machine()):
        if not _is_folder(candidate):
            continue
        named = [candidate / name for name in (*MY_DRIVE, *SHARED) if _is_folder(candidate / name)]
        for folder in named or ([candidate] if _may_be_mirrored(candidate) else []):
            found[folder] = None
    return list(found)


def _candidates(machine: Machine) -> Iterator[Path]:
    """Yield folders that hold `My Drive`, or are one's own files themselves."""
    home = machine.home
    yield from sorted(_children(home / "Library/CloudStorage", "GoogleDrive-"))  # macOS, since 2022
    yield from machine.drives  # Windows, streaming: a drive letter
    yield home  # Windows and macOS, mirroring: ~/My Drive
    yield from sorted(_children(home, "My Drive ("))  # a second account's
    for name in ("Google Drive", "GoogleDrive", "Google Drive File Stream", "google-drive"):
        yield home / name
    for account in sorted(_children(home / "Insync", "")):
        yield account / "Google Drive" if _is_folder(account / "Google Drive") else account
    for mount in machine.mounts:
        yield from sorted(_children(mount, "GoogleDrive"))  # macOS, before 2022
        yield from sorted(_children(mount, "google-drive:"))  # GNOME


def _may_be_mirrored(folder: Path) -> bool:
    """Tell by its name whether a folder without `My Drive` in it holds the files themselves."""
    name = folder.name.lower().replace(" ", "")
    return name.startswith(("googledrive", "google-drive", "mydrive(")) or folder.parent.name == "Insync"


def _children(folder: Path, prefix: str) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.name.startswith(prefix)]
    except OSError:
        return []


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # an empty drive, a mount whose server is gone
        return False


def is_drive_desktop(source: str) -> bool:
    """Return whether a source names a place in a Drive folder."""
    return source.startswith(f"{DRIVE_DESKTOP}:")


def may_be_in_drive(source: str) -> bool:
    """Return whether a path begins with the name of a Drive folder (`My Drive/…`)."""
    return source.partition("/")[0] in (*MY_DRIVE, *SHARED)


def find_new(source: str, folders: Sequence[Path] | None = None) -> Path:
    """Return the path on this machine of a source that need not be there yet.

    A new folder comes below the Drive folder itself, where there is only one. What begins with the name of a
    Drive folder (`Shared drives/…`) comes below no other.

    Raises:
        UserError: there is no Drive folder, or none that the path could be in.
    """
    path, missing = source.removeprefix(f"{DRIVE_DESKTOP}:").strip("/"), ""
    first: UserError | None = None
    while True:
        try:
            return find(f"{DRIVE_DESKTOP}:{path}", folders) / missing
        except UserError as error:
            first = first or error
            if not path:
                raise first from None
            if error.what != MISSING:
                raise
            if path in (*MY_DRIVE, *SHARED):  # a Drive folder that is not here
                raise first from None
            path, _, name = path.rpartition("/")
            missing = f"{name}/{missing}".rstrip("/")


def find(source: str, folders: Sequence[Path] | None = None) -> Path:
    """Return the path on this machine of a source `drive-desktop:path`.

    The path may begin with the name of the root (`My Drive/…`, in any language) or below it.

    Raises:
        UserError: there is no Drive folder, it has no such file, or several have it.
    """
    wanted = source.removeprefix(f"{DRIVE_DESKTOP}:").strip("/")
    known = list(roots() if folders is None else folders)
    if not known:
        hint = "Start Google Drive for desktop, or name the folder by its path"
        raise UserError("there is no Google Drive folder on this machine", where=source, hint=hint)
    first, _, rest = wanted.partition("/")
    kinds = next((kind for kind in (MY_DRIVE, SHARED) if first in kind), ())
    matches = [root / (rest if root.name in kinds else wanted) for root in known]
    found = [path for path in matches if path.exists()]
    if len(found) == 1:
        return found[0]
    if found:
        places = ", ".join(str(path) for path in found)
        raise UserError(f"is there {len(found)} times ({places})", where=source, hint="Name one by its path")
    looked = ", ".join(map(str, known))
    raise UserError(MISSING, where=source, hint=f"Looked in: {looked}")
