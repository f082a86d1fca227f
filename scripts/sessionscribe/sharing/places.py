"""Folders for bundles, on this machine or on a remote."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import IO

from sessionscribe.artifacts.bundle import SessionBundle
from sessionscribe.core.errors import UserError
from sessionscribe.core.files import atomic_path
from sessionscribe.sharing.bundle_reader import open_bundle
from sessionscribe.stages.ingest import remote as recordings
from sessionscribe.storage import drive_desktop, listing, ranges, transfer
from sessionscribe.storage.listing import Item
from sessionscribe.storage.locations import is_remote

SCRATCH = Path(".sessionscribe")
"""Where bundles are kept on their way, below the project's folder."""


@contextmanager
def scratch(root: Path) -> Iterator[Path]:
    """Yield a temporary folder in the project."""
    (root / SCRATCH).mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bundle-", dir=root / SCRATCH) as folder:
        yield Path(folder)


def fetched(places: Iterable[str], folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield those small files that exist, with their local paths; remote ones are copied to ``folder``."""
    remote = []
    for place in places:
        with suppress(UserError):  # not in Google Drive's folders
            path = recordings.local_path(place)
            if path is None:
                remote.append(place)
            elif path.is_file():
                yield place, path
    yield from transfer.fetch(remote, folder)


@dataclass(frozen=True)
class Place:
    """A folder for bundles, or a bundle: a path, ``drive-desktop:path``, ``remote:path``, ``s3://bucket/path``."""

    name: str

    @property
    def is_remote(self) -> bool:
        """Whether rclone is needed to reach it."""
        return is_remote(self.name)

    @property
    def path(self) -> Path:
        """Its path on this machine."""
        if drive_desktop.is_drive_desktop(self.name):
            return drive_desktop.find_new(self.name)
        return Path(self.name)

    def put(self, files: list[Path]) -> None:
        """Copy files of one folder to it; each appears under its name when complete."""
        if self.is_remote:
            transfer.upload(files, files[0].parent, self.name)
            return
        for file in files:
            if (self.path / file.name).resolve() != file.resolve():
                with atomic_path(self.path / file.name) as temporary:
                    shutil.copyfile(file, temporary)

    def _bundles(self) -> list[Path]:
        if not self.path.is_dir():
            return [self.path]
        return sorted(path for path in self.path.glob("[!.]*.zip") if path.is_file())

    def _listed(self) -> list[Item]:
        found = listing.list_files(self.name)
        return [item for item in found if item.path.suffix == ".zip"]

    @contextmanager
    def fetched(self, root: Path) -> Iterator[dict[str, Path]]:
        """Yield the bundles by name, with their local paths; copies of remote ones are temporary.

        Raises:
            UserError: there is none.
        """
        with scratch(root) as folder:
            found: dict[str, Path] = {}
            if self.is_remote:
                for number, item in enumerate(self._listed()):
                    found[item.source] = folder / f"{number}.zip"
                    transfer.download(item.source, found[item.source], item.checksum)
            else:
                found = {str(path): path for path in self._bundles() if path.is_file()}
            if not found:
                hint = "Name a bundle (`.zip`), or a folder of them"
                raise UserError("there is no bundle", where=self.name, hint=hint)
            yield found

    def contents(self) -> dict[str, SessionBundle]:
        """Return the manifests of the bundles here, by name; damaged bundles are left out.

        Of remote bundles only the beginnings are read.
        """
        found = {}

        def note(name: str, source: Path | IO[bytes]) -> None:
            with suppress(UserError), open_bundle(source, name, max_gb=inf) as bundle:
                found[name] = bundle.about

        if not self.is_remote:
            for path in self._bundles():
                note(path.name, path)
            return found
        with suppress(UserError):  # there is no such folder yet
            items = self._listed()
            with ranges.serve() as remote:
                for item in items:
                    with remote.recording(item.source, item.size).open() as file:
                        note(item.path.name, file)
        return found
