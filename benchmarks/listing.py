"""How long it takes to see what lies on S3: sessions of 240 parts each, listed and sorted.

    python benchmarks/listing.py [--sessions N …] [--latency MS]

A real S3 server (rclone's) on loopback, behind a proxy that makes every answer wait. It prints one JSON
object a size: seconds, CPU seconds of this side, requests for lists. Bars: 2 s for 100 sessions,
12 s for 1,000.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import resource
import selectors
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from remotes import serving  # noqa: E402
from sessionscribe import sources  # noqa: E402

PARTS = 240
BARS_S = {100: 2.0, 1000: 12.0}
LIST = re.compile(rb"GET /[^ ]*list-type=2")


def pass_on(listener: socket.socket, port: int, latency_s: float, lists: Any) -> None:
    """Pass connections on; what the server answers comes later. Counts requests for lists."""
    while True:
        client, _ = listener.accept()
        threading.Thread(target=_pass_on, args=(client, port, latency_s, lists), daemon=True).start()


def _pass_on(client: socket.socket, port: int, latency_s: float, lists: Any) -> None:
    server = socket.create_connection(("127.0.0.1", port))
    with client, server, selectors.DefaultSelector() as ready:
        ready.register(client, selectors.EVENT_READ, server)
        ready.register(server, selectors.EVENT_READ, client)
        asked = False
        while True:
            for key, _ in ready.select():
                source: socket.socket = key.fileobj  # type: ignore[assignment]
                data = source.recv(1 << 18)
                if not data:
                    return
                if source is client:
                    with lists.get_lock():
                        lists.value += len(LIST.findall(data))
                    asked = True
                elif asked:  # the first of an answer
                    time.sleep(latency_s)
                    asked = False
                key.data.sendall(data)


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
            listener, lists = (
                socket.create_server(("127.0.0.1", 0), backlog=128),
                multiprocessing.Value("i", 0),
            )
            arguments = (listener, server.port, latency_s, lists)
            proxy = multiprocessing.Process(target=pass_on, args=arguments, daemon=True)
            proxy.start()
            os.environ["RCLONE_CONFIG_FAR_ENDPOINT"] = f"http://127.0.0.1:{listener.getsockname()[1]}"
            before, began = _cpu(), time.perf_counter()
            groups = sources.discover(["far:rec/users"])
            spent, cpu = time.perf_counter() - began, _cpu() - before
            proxy.kill()
    assert len(groups) == sessions
    assert all(len(group.files) == PARTS for group in groups)
    return {"sessions": sessions, "seconds": round(spent, 2), "cpu_s": round(cpu, 2), "lists": lists.value}


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
