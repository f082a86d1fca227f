"""Real servers on loopback, by rclone itself: S3 with authentication, WebDAV, SFTP; and remotes for them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sessionscribe.storage import listing
from sessionscribe.storage.rclone import end_with_parent, executable

OTHERS = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("webdav", "sftp")]
"""The kinds of server besides S3, as parameters."""
KEY, SECRET = "TESTACCESSKEY", "test-secret-access-key"
# Without any cache of folders (0), rclone's server goes in circles where several requests meet in a folder:
# 80 CPU-seconds of one test were that. With a long one, it does not see what gets there by another way.
SEEING = "--dir-cache-time=1ms"
PATIENT = "--dir-cache-time=1m"


def free_port() -> int:
    """Return a port of loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Server:
    """A server of a folder, and the environment that makes a remote ``name`` of it."""

    kind: str
    folder: Path
    name: str
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What makes the remote known to rclone."""
        url = f"http://127.0.0.1:{self.port}"
        settings = {
            "s3": {"PROVIDER": "Rclone", "ENDPOINT": url, "ACCESS_KEY_ID": KEY, "SECRET_ACCESS_KEY": SECRET},
            "webdav": {"URL": url, "USER": KEY, "PASS": _obscured(SECRET)},
            "sftp": {
                "HOST": "127.0.0.1",
                "PORT": str(self.port),
                "USER": KEY,
                "PASS": _obscured(SECRET),
            },
        }[self.kind]
        stem = f"RCLONE_CONFIG_{self.name.upper()}"
        return {f"{stem}_TYPE": self.kind, **{f"{stem}_{name}": value for name, value in settings.items()}}

    def start(self, *options: str) -> None:
        """Start it, and wait until it answers."""
        who = {
            "s3": [f"--auth-key={KEY},{SECRET}"],
            "webdav": [f"--user={KEY}", f"--pass={SECRET}"],
            "sftp": [f"--user={KEY}", f"--pass={SECRET}"],
        }[self.kind]
        address = f"--addr=127.0.0.1:{self.port}"
        command = [executable(), "serve", self.kind, *who, address, SEEING, *options]
        in_main_thread = threading.current_thread() is threading.main_thread()
        self.process = subprocess.Popen(
            [*command, str(self.folder)],
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "RCLONE_CONFIG": os.devnull},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # It ends with the tests, however they end. The kernel goes by the thread; a test's own may end.
            preexec_fn=end_with_parent if in_main_thread else None,  # noqa: PLW1509 -- one system call
        )
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert self.process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.02)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def serving(kind: str, folder: Path, name: str = "far", *options: str) -> Iterator[Server]:
    """Serve a folder until the block ends; the remote is known in this process and its children."""
    server = Server(kind, folder, name)
    listing._features.clear()  # the remote of this name may have been of another kind
    before = dict(os.environ)
    os.environ.update(server.environment, RCLONE_CONFIG=os.devnull)
    server.start(*options)
    try:
        yield server
    finally:
        server.kill()
        listing._features.clear()
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def flipping(server: Server, place: int) -> Iterator[None]:
    """Let a byte of what the server sends arrive as another: the one at ``place`` of each connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pass_on(source: socket.socket, target: socket.socket, flipped: int | None) -> None:
        position = 0
        with contextlib.suppress(OSError):
            while data := bytearray(source.recv(1 << 16)):
                if flipped is not None and position <= flipped < position + len(data):
                    data[flipped - position] ^= 1
                position += len(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                behind = socket.create_connection(("127.0.0.1", server.port))
                for ends in ((client, behind, None), (behind, client, place)):
                    threading.Thread(target=pass_on, args=ends, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    name = f"RCLONE_CONFIG_{server.name.upper()}_ENDPOINT"
    before, os.environ[name] = os.environ[name], f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        yield
    finally:
        os.environ[name] = before
        listener.close()


def _obscured(secret: str) -> str:
    done = subprocess.run([executable(), "obscure", secret], capture_output=True, text=True, check=True)
    return done.stdout.strip()
