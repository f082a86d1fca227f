"""The worker: runs scripts of Snakemake rules in one process, as its standard input requests.

    python serve.py [--lanes N]

Each line of standard input is a request and each line of standard output is a reply, as docs/warm.md
describes. A script sees a `snakemake` object like Snakemake's own, and all modules and models that earlier
jobs have loaded. At the end of its input, the process ends at once, even during a job, so it cannot outlive
whoever started it.

It needs only the standard library, because it is copied to other machines by itself.
"""

from __future__ import annotations

import argparse
import ast
import base64
import gc
import hashlib
import io
import json
import os
import queue
import sys
import threading
import time
import traceback
import zlib
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from types import CodeType, SimpleNamespace
from typing import Any, TextIO

LAST_LINES = 30
MOST_CONTENTS = 1 << 20
"""Total size of the files in a reply, in bytes; larger ones are fetched."""


class Names(list[Any]):
    """A list with named entries, such as `snakemake.input`: by index, attribute or key.

    A named entry that is a list counts as several entries, unless `spread` is False (params).
    """

    def __init__(self, pairs: list[tuple[str | None, Any]], *, spread: bool = True) -> None:
        super().__init__()
        self._names = {name: value for name, value in pairs if name is not None}
        for name, value in pairs:
            self.extend(value if spread and isinstance(value, list) and name is not None else [value])

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_names"][name]
        except KeyError:
            raise AttributeError(name) from None

    def __getitem__(self, key: Any) -> Any:
        return self._names[key] if isinstance(key, str) else super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """Return a named entry, or `default`."""
        return self._names.get(key, default)

    def items(self) -> Any:
        """Return names and entries."""
        return self._names.items()


class LaneStderr(io.TextIOBase):
    """Standard error: what a lane's thread writes goes to the log of its job, and the last lines are kept."""

    def __init__(self) -> None:
        self._lane = threading.local()

    def begin(self, log: str | None) -> None:
        """Append what this thread writes from now on to a job's log.

        Output of native code and of other threads goes to the log of the job that began last. If a log cannot
        be written (a full disk), the output is lost, but the job runs.
        """
        self._lane.lines = deque[str](maxlen=LAST_LINES)
        if getattr(self._lane, "log", 2) != 2:
            os.close(self._lane.log)
        self._lane.log = 2
        if log:
            with suppress(OSError):
                Path(log).parent.mkdir(parents=True, exist_ok=True)
                self._lane.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
                os.dup2(self._lane.log, 1)
                os.dup2(self._lane.log, 2)

    def text(self) -> str:
        """Return the last lines that this thread has written since `begin`."""
        return "".join(self._lane.lines).strip()

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor, for libraries that write to it directly."""
        return 2

    def write(self, text: str) -> int:
        """Write without a buffer; on a full disk, the text is lost."""
        if hasattr(self._lane, "lines"):
            self._lane.lines.append(text)
        with suppress(OSError):
            os.write(getattr(self._lane, "log", 2), text.encode("utf-8", "backslashreplace"))
        return len(text)


def serve(requests: TextIO, replies: TextIO, lanes: int) -> None:
    """Run requests, `lanes` at once, until the input ends; then end the process."""
    waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    errors, replying = LaneStderr(), threading.Lock()
    sys.stderr = errors

    def lane() -> None:
        while True:
            reply = run(waiting.get(), errors)
            with replying:
                replies.write(json.dumps(reply) + "\n")
                replies.flush()

    for number in range(lanes):
        threading.Thread(target=lane, name=f"lane-{number}", daemon=True).start()
    for line in requests:
        waiting.put(json.loads(line))
    os._exit(0)


def run(request: dict[str, Any], errors: LaneStderr) -> dict[str, Any]:
    """Run one script and return the reply."""
    if "files" in request:
        spoilt = [path for path, checksum in request["files"].items() if _known_sha256(path) != checksum]
        if spoilt:
            nothing: dict[str, Any] = {"usage": {}, "made": {}, "contents": {}}
            return {"id": request["id"], "code": 1, "error": "", "spoilt": spoilt, **nothing}
        _clear(request["returns"])
    errors.begin(next((path for _, path in request["log"]), None))
    began, cpu_s, code = time.monotonic(), time.process_time(), 1
    try:
        names = {"__name__": "__main__", "__file__": request["script"], "snakemake": _snakemake(request)}
        exec(_code(request["script"]), names)
        code = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=errors)
        else:
            code = end.code or 0
    except BaseException:
        traceback.print_exc(file=errors)
    usage = {
        "wall_s": time.monotonic() - began,
        "cpu_s": time.process_time() - cpu_s,
        "max_rss": _peak_bytes(),
    }
    error = errors.text() if code else ""
    reply = {"id": request["id"], "code": code, "error": error, "usage": usage}
    if "files" in request:
        # A failed job returns only its notes.
        dropped = set(Names(request["output"])) if code else set()
        wanted = [path for path in request["returns"] if path not in dropped and os.path.isfile(path)]
        reply["made"] = {path: _known_sha256(path) for path in wanted}
        reply["contents"] = _contents(wanted)
    return reply


def _known_sha256(path: str) -> str:
    """Return the SHA-256 of a file, which is read again only if it changes; "" if it cannot be read."""
    try:
        about = os.stat(path)
        return _sha256(path, about.st_ino, about.st_size, about.st_ctime_ns)
    except OSError:
        return ""


@lru_cache(maxsize=100_000)
def _sha256(path: str, *_about: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _contents(paths: Iterable[str]) -> dict[str, str]:
    """Return the contents of those files that fit into a reply."""
    found, room = {}, MOST_CONTENTS
    for path in paths:
        if (size := os.path.getsize(path)) <= room:
            room -= size
            found[path] = base64.b64encode(zlib.compress(Path(path).read_bytes(), 1)).decode()
    return found


def _clear(paths: list[str]) -> None:
    """Remove what an earlier job left under these names, and make their folders, as Snakemake does."""
    for path in paths:
        with suppress(FileNotFoundError):
            os.unlink(path)
        with suppress(OSError):  # a full disk: the job will report it
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)


def _snakemake(request: dict[str, Any]) -> SimpleNamespace:
    lists = {name: Names(request[name]) for name in ("input", "output", "wildcards", "resources", "log")}
    return SimpleNamespace(
        **lists,
        params=Names(request["params"], spread=False),
        rule=request["rule"],
        threads=request["threads"],
        queued_s=request.get("queued_s", 0.0),
        scriptdir=str(Path(request["script"]).parent),
        bench_iteration=0,
    )


@cache
def _code(script: str) -> CodeType:
    """Compile a script, and let it import the modules in its folder."""
    folder = str(Path(script).parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return compile(Path(script).read_bytes(), script, "exec")


def _parse_one_at_a_time() -> None:
    """Keep lanes from parsing Python at the same time, which sometimes fails before Python 3.11.8.

    A garbage collection while it parses lets another thread run (python/cpython#106905), and NumPy parses the
    header of every array that it reads.
    """
    parse, parsing = ast.parse, threading.RLock()

    def parse_alone(*args: Any, **options: Any) -> Any:
        with parsing:
            collects = gc.isenabled()
            gc.disable()
            try:
                return parse(*args, **options)
            finally:
                if collects:
                    gc.enable()

    ast.parse = parse_alone


def _peak_bytes() -> int | None:
    """Return the peak memory of this process, reset when a job of ours begins; None without /proc."""
    with suppress(OSError):
        return 1024 * int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
    return None


def main() -> None:
    """Serve requests; replies go to the original standard output, which then becomes the log."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lanes", type=int, default=1, help="jobs at once")
    lanes = parser.parse_args().lanes
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if sys.version_info < (3, 11, 8):
        _parse_one_at_a_time()
    serve(requests, replies, lanes)


if __name__ == "__main__":
    main()
