"""Checks which recordings of the manifest still exist, with one listing per folder."""

from __future__ import annotations

import os
from collections.abc import Collection

from sessionscribe.core.errors import UserError
from sessionscribe.stages.ingest import remote
from sessionscribe.storage import drive_desktop, listing
from sessionscribe.storage.locations import name_of, parent


class Presence:
    """The set of existing sources; those that cannot be checked count as existing.

    Names are case-sensitive on all file systems.

    Args:
        found: sources that are known to exist.
    """

    def __init__(self, found: Collection[str]) -> None:
        self._found = found
        self._names: dict[str, Collection[str] | None] = {}

    def __contains__(self, source: str) -> bool:
        """Return whether a source exists."""
        if source in self._found:
            return True
        try:
            path = remote.local_path(source)
        except UserError as error:
            return error.what != drive_desktop.MISSING
        folder = parent(source) if path is None else str(path.parent)
        if folder not in self._names:
            self._names[folder] = self._list(folder, local=path is not None)
        names = self._names[folder]
        return names is None or (name_of(source) if path is None else path.name) in names

    def _list(self, folder: str, *, local: bool) -> Collection[str] | None:
        """Return the names in a folder; None if it cannot be listed."""
        try:
            return frozenset(os.listdir(folder) if local else listing.names(folder))
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except (OSError, UserError):
            return None
