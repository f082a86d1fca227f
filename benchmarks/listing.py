"""How long it takes to see what lies on S3: sessions of 240 parts each, listed and sorted.

    python benchmarks/listing.py [--sessions N …] [--latency MS]

A real S3 server (rclone's) on loopback, behind a proxy that makes every answer wait. S3 has an index and
machines of its own, where rclone's server reads and hashes every file for every list, on the cores that are
measured. So the first listing, which is not measured, asks that server, and the proxy knows the answers from
then on. It prints one JSON object a size: seconds, CPU seconds of this side, requests for lists.
Bars: 2 s for 100 sessions, 12 s for 1,000.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import re
import resource
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from remotes import serving  # noqa: E402
from sessionscribe.manifest import sources  # noqa: E402
from sessionscribe.storage import listing  # noqa: E402

PARTS = 240
BARS_S = {100: 2.0, 1000: 12.0}
LIST = re.compile(rb"GET /[^ ]*list-type=2")


class Proxy:
    """Answers from memory, after a while, what the server behind it has answered before.

    Args:
        port: the server's.
        latency_s: how long every answer takes that is known.
    """

    def __init__(self, port: int, latency_s: float) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.lists = multiprocessing.Value("i", 0)
        self._port, self._latency_s = port, latency_s
        self._answers: dict[bytes, bytes] = {}

    def run(self) -> None:
        """Serve every connection until the process is killed."""
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        waiting = b""
        with client:
            while data := client.recv(1 << 16):
                waiting += data
                while b"\r\n\r\n" in waiting:  # nobody sends a body
                    head, waiting = waiting.split(b"\r\n\r\n", 1)
                    client.sendall(self._answer(head))

    def _answer(self, head: bytes) -> bytes:
        asked = head.split(b"\r\n", 1)[0]
        with self.lists.get_lock():
            self.lists.value += bool(LIST.match(asked))
        if asked in self._answers:
            time.sleep(self._latency_s)
        else:
            self._answers[asked] = self._fetch(head, asked.split()[0].decode())
        return self._answers[asked]

    def _fetch(self, head: bytes, method: str) -> bytes:
        with socket.create_connection(("127.0.0.1", self._port)) as server:
            server.sendall(head + b"\r\n\r\n")
            answer = http.client.HTTPResponse(server, method=method)
            answer.begin()
            body = answer.read()
        length = answer.getheader("Content-Length", "0") if method == "HEAD" else len(body)
        given = [(k, v) for k, v in answer.getheaders() if k not in ("Content-Length", "Transfer-Encoding")]
        lines = [f"HTTP/1.1 {answer.status} {answer.reason}", *(f"{k}: {v}" for k, v in given)]
        return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode() + body


def make_tree(folder: Path, sessions: int) -> None:
    """Make sessions of small parts; those of a session are one file."""
    for number in range(sessions):
        place = folder / f"rec/users/{number % 7}/{number:04}"
        place.mkdir(parents=True)
        (place / "chunk-000.webm").write_bytes(b"%100d" % number)
        for part in range(1, PARTS):
            os.link(place / "chunk-000.webm", place / f"chunk-{part:03}.webm")


def measure(sessions: int, latency_s: float) -> dict[str, float]:
    """List a tree of sessions through the proxy."""
    with tempfile.TemporaryDirectory() as temporary:
        make_tree(Path(temporary), sessions)
        with serving("s3", Path(temporary), "far") as server:
            proxy = Proxy(server.port, latency_s)
            process = multiprocessing.Process(target=proxy.run, daemon=True)
            process.start()
            address = f"http://127.0.0.1:{proxy.listener.getsockname()[1]}"
            os.environ["RCLONE_CONFIG_FAR_ENDPOINT"] = address
            sources.discover(["far:rec/users"])
            listing._features.clear()  # what is asked once a process is part of it
            proxy.lists.value = 0
            before, began = _cpu(), time.perf_counter()
            groups = sources.discover(["far:rec/users"])
            spent, cpu = time.perf_counter() - began, _cpu() - before
            process.kill()
    assert len(groups) == sessions
    assert all(len(group.files) == PARTS for group in groups)
    return {
        "sessions": sessions,
        "seconds": round(spent, 2),
        "cpu_s": round(cpu, 2),
        "lists": proxy.lists.value,
    }


def _cpu() -> float:
    """Return the CPU seconds of this process and of its children that have ended: not of server and proxy."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def main() -> None:
    """Measure each size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--latency", type=float, default=100, help="of every answer, in milliseconds")
    options = parser.parse_args()
    for sessions in options.sessions:
        found = measure(sessions, options.latency / 1000)
        bar = BARS_S.get(sessions)
        print(json.dumps(found | ({"ok": found["seconds"] <= bar} if bar else {})), flush=True)


if __name__ == "__main__":
    main()
