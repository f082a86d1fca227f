"""Sources of recordings: local files, remote files, and splices of them."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from sessionscribe.core.files import SizedFile


class Source(Protocol):
    """A file to read a recording from: a path, or an object for a remote file."""

    def open(self, mode: Literal["rb"], /) -> io.BufferedReader:
        """Open it for reading."""

    def stat(self) -> os.stat_result:
        """Return its size and type."""


@dataclass(frozen=True)
class Splice:
    """A recording made of byte ranges ``(start, stop)`` of another one and of other bytes."""

    source: Source
    parts: tuple[bytes | tuple[int, int], ...]

    def __str__(self) -> str:
        return str(self.source)

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return sum(len(part) if isinstance(part, bytes) else part[1] - part[0] for part in self.parts)

    def open(self, mode: Literal["rb"] = "rb") -> io.BufferedReader:
        """Open it for reading."""
        return io.BufferedReader(_SpliceFile(self.source.open(mode), self))

    def stat(self) -> os.stat_result:
        """Return its type and size."""
        status = list(self.source.stat()[:10])
        status[6] = self.size
        return os.stat_result(status)


class _SpliceFile(SizedFile):
    def __init__(self, file: BinaryIO, splice: Splice) -> None:
        super().__init__(str(splice), splice.size)
        self._file, self._parts = file, splice.parts

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        offset = self._position
        for part in self._parts:
            length = len(part) if isinstance(part, bytes) else part[1] - part[0]
            if offset >= length:
                offset -= length
                continue
            wanted = min(len(buffer), length - offset)
            if isinstance(part, bytes):
                content = part[offset : offset + wanted]
            else:
                self._file.seek(part[0] + offset)
                content = self._file.read(wanted)
            buffer[: len(content)] = content
            self._position += len(content)
            return len(content)
        return 0

    def close(self) -> None:
        self._file.close()
        super().close()


def is_local(source: Source) -> bool:
    """Return whether a recording is on this machine, so that it can be read as a whole."""
    return isinstance(source, Path) or hasattr(source, "path")
