"""Read parts of remote files on demand, to probe them or to convert them without a local copy.

One rclone process serves all remotes on a Unix socket that only this user can open, so a part costs one or
two requests and no process. Remote files can be read and seeked like local ones; sequential reads use ever
larger blocks.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import os
import socket
import stat
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sessionscribe.core.errors import UserError
from sessionscribe.core.files import SizedFile
from sessionscribe.storage import rclone
from sessionscribe.storage.locations import rclone_path
from sessionscribe.storage.refusals import explain

FIRST_BLOCK, LAST_BLOCK = 1 << 17, 1 << 23
WAITS_S = (0.5, 1.0, 2.0, 4.0)
"""Seconds to wait before each further try, in addition to rclone's own retries."""
START_S = 20.0
REQUEST_S = 90.0
BY_STATUS = {401: "StatusCode: 401", 403: "StatusCode: 403", 404: "object not found"}
FINAL = ("credentials", "missing", "remote", "clock", "quota", "refused")


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=REQUEST_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Ranges:
    """Reads parts of remote files through a running rclone that listens at ``address``.

    Once a remote has stayed away, there are no more retries.
    """

    def __init__(self, address: Path) -> None:
        self._address, self._gave_up = address, False

    def recording(self, source: str, size: int) -> RemoteRecording:
        """Return a remote recording of ``size`` bytes."""
        # Its beginning and end are needed several times: for its format, its index, its duration.
        plain = functools.partial(self.read, source)
        cached = functools.lru_cache(maxsize=4)(plain)

        def read(start: int, length: int) -> bytes:
            return (cached if length <= FIRST_BLOCK else plain)(start, length)

        return RemoteRecording(source, size, read)

    def read(self, source: str, start: int, length: int) -> bytes:
        """Return ``length`` bytes of a remote file from ``start`` on, with retries after temporary failures.

        Raises:
            UserError: the file does not exist, access is refused, or the remote stays away.
        """
        for wait in (*WAITS_S, None):
            try:
                return self._request(source, start, length)
            except (OSError, http.client.HTTPException) as error:
                reason, what, hint = explain([str(error)], type(error).__name__)
                if reason == "missing":  # rclone's server answers 404 for any file that it cannot open
                    place = rclone_path(source)
                    rclone.run("cat", "--head=1", "--", place, where=source, patience=rclone.HASTE)
                    reason, what, hint = explain([], "it could not be opened")
                if reason in FINAL or wait is None or self._gave_up:
                    self._gave_up |= reason == "unreachable"
                    raise UserError(what, where=source, hint=hint) from error
                time.sleep(wait)
        raise AssertionError

    def _request(self, source: str, start: int, length: int) -> bytes:
        remote, _, path = rclone_path(source).partition(":")
        # The remote is in brackets, which end at the first `]`; the path after them may have any characters.
        target = urllib.parse.quote(f"/[{remote}:]/{path.lstrip('/')}", safe="/", errors="surrogateescape")
        connection = _Connection(self._address)
        with contextlib.closing(connection):
            connection.request("GET", target, headers={"Range": f"bytes={start}-{start + length - 1}"})
            answer = connection.getresponse()
            content = answer.read()
        if answer.status not in (200, 206):
            text = content.decode(errors="replace")
            raise OSError(f"{text} {BY_STATUS.get(answer.status, '')}".strip())
        if len(content) != length:
            raise OSError(f"EOF after {len(content)} of {length} bytes")
        return content


class _RangeFile(SizedFile):
    """A remote file, open for reading."""

    def __init__(self, name: str, size: int, read: Callable[[int, int], bytes]) -> None:
        super().__init__(name, size)
        self._read, self._start = read, 0
        self._block = b""
        self._length = FIRST_BLOCK

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from the current block; read the next block first if this one is used up."""
        view = memoryview(buffer)
        if self._position >= self._size or not view:
            return 0
        if not self._start <= self._position < self._start + len(self._block):
            goes_on = bool(self._block) and self._position == self._start + len(self._block)
            self._length = min(2 * self._length, LAST_BLOCK) if goes_on else FIRST_BLOCK
            wanted = min(self._length, self._size - self._position)
            self._block, self._start = self._read(self._position, wanted), self._position
        offset = self._position - self._start
        count = min(len(view), len(self._block) - offset)
        view[:count] = self._block[offset : offset + count]
        self._position += count
        return count


@dataclass(frozen=True)
class RemoteRecording:
    """A recording that is read in place; it has the methods of a path that probing needs."""

    source: str
    size: int
    read: Callable[[int, int], bytes]

    def __str__(self) -> str:
        return self.source

    def open(self, mode: Literal["rb"] = "rb") -> io.BufferedReader:
        """Open it for reading."""
        return io.BufferedReader(_RangeFile(self.source, self.size, self.read))

    def stat(self) -> os.stat_result:
        """Return a file status with its size."""
        return os.stat_result((stat.S_IFREG | 0o444, 0, 0, 1, 0, 0, self.size, 0, 0, 0))


@contextlib.contextmanager
def serve() -> Iterator[Ranges]:
    """Run an rclone that serves parts of remote files until this block ends.

    Raises:
        UserError: it does not start.
    """
    # The path of a socket must be short, and macOS's folder for temporary files is long.
    with tempfile.TemporaryDirectory(prefix="sessionscribe-", dir="/tmp") as folder:
        address = Path(folder) / "rclone"
        options = ("--rc-no-auth", "--rc-serve", "--log-level=ERROR", *rclone.HASTE)
        with rclone.started("rcd", f"--rc-addr=unix://{address}", *options) as child:
            until = time.monotonic() + START_S
            while not address.exists():
                if child.poll() is not None or time.monotonic() > until:
                    hint = "Check whether `rclone version` works"
                    raise UserError("rclone does not start", where="rclone rcd", hint=hint)
                time.sleep(0.02)
            yield Ranges(address)
