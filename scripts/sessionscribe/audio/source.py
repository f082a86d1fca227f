"""What recordings are read from: files, copies of remote ones, and what is put together from them."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from sessionscribe.core.files import SizedFile


class Source(Protocol):
    """What a recording is read from: a path, or an object that opens like one (on a remote)."""

    def open(self, mode: Literal["rb"], /) -> io.BufferedReader:
        """Open it for reading, from its first byte on."""
        ...

    def stat(self) -> os.stat_result:
        """Return its size and kind."""
        ...


@dataclass(frozen=True)
class Splice:
    """A recording that is put together from stretches of another one, ``(start, stop)``, and bytes."""

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
        """Return its kind and size."""
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
    """Return whether all of a recording can be read at no great cost."""
    return isinstance(source, Path) or hasattr(source, "path")
