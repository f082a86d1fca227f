"""A folder that bundles are kept in, on this machine or on a remote."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import IO

from sessionscribe.artifacts.bundle import SessionBundle
from sessionscribe.core.errors import UserError
from sessionscribe.core.files import atomic_path
from sessionscribe.sharing.bundle_import import bundles_in
from sessionscribe.sharing.bundle_reader import open_bundle
from sessionscribe.storage import drive_desktop, listing, ranges, transfer
from sessionscribe.storage.listing import Item
from sessionscribe.storage.locations import is_remote

SCRATCH = Path(".sessionscribe")


@contextmanager
def scratch(root: Path) -> Iterator[Path]:
    """Yield a folder of the project for files that go after the ``with``."""
    (root / SCRATCH).mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bundle-", dir=root / SCRATCH) as folder:
        yield Path(folder)


"""Where bundles lie on their way, below the project's folder."""


@dataclass(frozen=True)
class Place:
    """A folder, or a bundle in one: a path, ``drive-desktop:path``, ``remote:path`` or ``s3://bucket/path``.

    ``s3_remote`` is the remote that stands for `s3://`.
    """

    name: str
    s3_remote: str = ""

    @property
    def is_remote(self) -> bool:
        """Whether it is rclone's to reach."""
        return is_remote(self.name)

    @property
    def path(self) -> Path:
        """Where it is on this machine."""
        if drive_desktop.is_drive_desktop(self.name):
            return drive_desktop.find_new(self.name)
        return Path(self.name)

    def put(self, files: list[Path]) -> None:
        """Copy files of one folder to it; each has its name there when all of it is there."""
        if self.is_remote:
            transfer.upload(files, files[0].parent, self.name, s3_remote=self.s3_remote)
            return
        for file in files:
            if (self.path / file.name).resolve() != file.resolve():
                with atomic_path(self.path / file.name) as temporary:
                    shutil.copyfile(file, temporary)

    def listed(self) -> list[Item]:
        """Return the bundles of a remote place.

        Raises:
            UserError: it is not there, or cannot be read.
        """
        found = listing.list_files(self.name, s3_remote=self.s3_remote)
        return [item for item in found if item.path.suffix == ".zip"]

    @contextmanager
    def fetched(self, root: Path) -> Iterator[dict[str, Path]]:
        """Yield the bundles by name, as files of this machine; copies of remote ones go after the ``with``.

        Raises:
            UserError: there is none.
        """
        if not self.is_remote:
            found = bundles_in(self.path) if self.path.is_dir() else [self.path]
            if not found or not found[0].is_file():
                raise UserError("there is no bundle", where=self.name, hint="Name a `.zip`, or their folder")
            yield {str(path): path for path in found}
            return
        with scratch(root) as folder:
            copies = {}
            for number, item in enumerate(self.listed()):
                copies[item.source] = folder / f"{number}.zip"
                target = copies[item.source]
                transfer.download(item.source, target, item.checksum, s3_remote=self.s3_remote)
            if not copies:
                raise UserError("there is no bundle", where=self.name, hint="Name a `.zip`, or their folder")
            yield copies

    def contents(self) -> dict[str, SessionBundle]:
        """Return what the bundles here say of themselves, by name; what is broken counts as not there.

        Of remote ones only their beginnings are read.
        """
        found = {}

        def note(name: str, source: Path | IO[bytes]) -> None:
            with suppress(UserError), open_bundle(source, name, max_gb=inf) as bundle:
                found[name] = bundle.about

        if not self.is_remote:
            for path in bundles_in(self.path) if self.path.is_dir() else [self.path]:
                note(path.name, path)
            return found
        with suppress(UserError):  # there is no such folder yet
            items = self.listed()
            with ranges.serve(s3_remote=self.s3_remote) as remote:
                for item in items:
                    with remote.recording(item.source, item.size).open() as file:
                        note(item.path.name, file)
        return found
