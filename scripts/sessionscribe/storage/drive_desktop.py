"""Folders of Google Drive for desktop, and of its substitutes on Linux, on this machine.

A source `drive-desktop:Recordings/talk.m4a` is found below whichever folder has it, so that one manifest
serves machines with their Drive in different places. Files are read in place.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from sessionscribe.core.errors import UserError
from sessionscribe.storage.locations import DRIVE_DESKTOP

MY_DRIVE = (  # noqa: SIM905 -- a list would take a line for each name
    "My Drive|Meine Ablage|Mon disque|Mon Drive|Mi unidad|Il mio Drive|Meu Drive|O meu disco|Mijn Drive|"
    "Mój dysk|Min enhet|Mit drev|Oma Drive|Můj disk|Saját meghajtó|Drive'ım|Мой диск|Мій диск|マイドライブ|"
    "내 드라이브|我的云端硬盘|我的雲端硬碟"
).split("|")
"""Names of the folder of a user's own files: they depend on the language of the system."""
SHARED = (  # noqa: SIM905
    "Shared drives|Geteilte Ablagen|Drive partagés|Unidades compartidas|Drive condivisi|"
    "Drives compartilhados|Gedeelde Drives|Общие диски|共有ドライブ|共享云端硬盘"
).split("|")
"""Names of the folder of shared drives."""
IN_HOME = (
    "Library/CloudStorage/GoogleDrive-*",  # macOS, since 2022
    ".",  # macOS, mirrored
    "My Drive (*",  # that of a second account
    *("Google Drive", "GoogleDrive", "Google Drive File Stream", "google-drive"),
)
"""Folders in the user's home that contain `My Drive`, or are themselves that folder."""
MOUNTED = (
    "mnt/[a-z]",  # WSL: a Windows drive, streamed
    "mnt/[a-z]/Users/*",  # WSL: mirrored
    "mnt/[a-z]/Users/*/My Drive (*",
    "Volumes/GoogleDrive*",  # macOS, before 2022
    "run/user/*/gvfs/google-drive:*",  # GNOME
)
"""The same elsewhere on the machine."""
MISSING = "does not exist"


def roots(top: Path = Path("/")) -> list[Path]:
    """Return the Drive folders of this machine: users' own and shared drives. ``top`` is for tests."""
    home = Path.home()
    insync = glob.glob("Insync/*/Google Drive", root_dir=home) or glob.glob("Insync/*", root_dir=home)
    candidates = [*_found(home, IN_HOME), *(home / name for name in sorted(insync)), *_found(top, MOUNTED)]
    found: dict[Path, None] = {}
    for candidate in candidates:
        if not _is_folder(candidate):
            continue
        named = [candidate / name for name in (*MY_DRIVE, *SHARED) if _is_folder(candidate / name)]
        for folder in named or ([candidate] if _may_be_mirrored(candidate) else []):
            found[folder] = None
    return list(found)


def _found(top: Path, patterns: Iterable[str]) -> Iterator[Path]:
    for pattern in patterns:
        yield from (top / name for name in sorted(glob.glob(pattern, root_dir=top)))


def _may_be_mirrored(folder: Path) -> bool:
    """Return whether a folder without `My Drive` in it has, by its name, the files themselves."""
    name = folder.name.lower().replace(" ", "")
    return name.startswith(("googledrive", "google-drive", "mydrive(")) or folder.parent.name == "Insync"


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # an empty drive, or a mount whose server is gone
        return False


def is_drive_desktop(source: str) -> bool:
    """Return whether a source names a place in a Drive folder."""
    return source.startswith(f"{DRIVE_DESKTOP}:")


def may_be_in_drive(source: str) -> bool:
    """Return whether a path begins with the name of a Drive folder (`My Drive/…`)."""
    return source.partition("/")[0] in (*MY_DRIVE, *SHARED)


def find_new(source: str, folders: Sequence[Path] | None = None) -> Path:
    """Return the path on this machine of a source that may not exist yet.

    A new folder goes into the Drive folder itself if there is only one. A path that begins with the name of
    a Drive folder (`Shared drives/…`) goes into no other.

    Raises:
        UserError: there is no Drive folder, or none that the path could be in.
    """
    path = PurePosixPath(source.removeprefix(f"{DRIVE_DESKTOP}:").strip("/"))
    errors: list[UserError] = []
    for there in (path, *path.parents):
        try:
            return find(f"{DRIVE_DESKTOP}:{there}", folders) / path.relative_to(there)
        except UserError as error:
            if error.what != MISSING and there.name:
                raise
            errors.append(error)
            if str(there) in (*MY_DRIVE, *SHARED):  # a Drive folder that is not here
                break
    raise errors[0]


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
        raise UserError(f"exists {len(found)} times ({places})", where=source, hint="Name one by its path")
    raise UserError(MISSING, where=source, hint=f"Searched: {', '.join(map(str, known))}")
