"""The worker: runs scripts of Snakemake rules in one process, as its standard input says.

    python serve.py [--lanes N]

Every line of standard input is a request, every line of standard output the reply to one, both JSON objects:

    {"id": 1, "script": "/…/transcribe_chunk.py", "rule": "transcribe_chunk", "threads": 2, "queued_s": 0.01,
     "input": [["audio", "talk.flac"], …], "output": […], "params": […], "wildcards": […], "resources": […],
     "log": [[null, "logs/talk.log"]]}
    {"id": 1, "code": 0, "error": "", "usage": {"wall_s": …, "cpu_s": …, "max_rss": …, …}}

On another machine a request also has `files`, the SHA-256 of every file that the job reads, by path, and
`returns`, the paths that may be wanted of it. Where a file is not what it should be, the job is not run and
the reply lists the paths as `spoilt`; else `made` has the SHA-256 of those of `returns` that the job wrote,
and `contents` the small ones themselves (zlib, base64), which then need not be fetched.

The script sees an object `snakemake` like the one that Snakemake gives it, and with it whatever modules and
models earlier jobs of this process loaded. When the input ends, the process ends at once, in the middle of a
job as well: so it cannot outlive who started it. Needs nothing but Python's own library.
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
import resource
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
SMALL = 1 << 20
"""Bytes of files that a reply may hold: to fetch them would take longer."""


class Names(list[Any]):
    """A list some of whose entries have names, as `snakemake.input` is: by place, as attribute, by key.

    A named list among them counts as its entries, unless they are not to be `spread` (params).
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

    def keys(self) -> Any:
        """Return the names."""
        return self._names.keys()

    def items(self) -> Any:
        """Return names and entries."""
        return self._names.items()


class LaneStderr(io.TextIOBase):
    """Standard error of each lane: the log of its job. It remembers the last lines of each."""

    def __init__(self) -> None:
        self._lane = threading.local()

    def begin(self, log: str | None) -> None:
        """Send what this thread writes to a job's log, after what it holds.

        What native code and other threads write goes to the log of the job that began last. Where that cannot
        be written (a full disk), what they say is lost, not the job.
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
        """Return what this thread wrote since `begin`."""
        return "".join(self._lane.lines).strip()

    def writable(self) -> bool:
        """Tell libraries that it can be written."""
        return True

    def fileno(self) -> int:
        """Return the descriptor, for libraries that write to it directly."""
        return 2

    def write(self, text: str) -> int:
        """Write at once. On a full disk lines are lost, not the reply to the job."""
        if hasattr(self._lane, "lines"):
            self._lane.lines.append(text)
        with suppress(OSError):
            os.write(getattr(self._lane, "log", 2), text.encode("utf-8", "backslashreplace"))
        return len(text)


def serve(requests: TextIO, replies: TextIO, lanes: int) -> None:
    """Run requests, `lanes` at once, until the input ends; then end the process."""
    waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    errors, answering = LaneStderr(), threading.Lock()
    sys.stderr = errors

    def lane() -> None:
        while True:
            reply = run(waiting.get(), errors)
            with answering:
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
        spoilt = _spoilt(request["files"])
        if spoilt:
            nothing: dict[str, Any] = {"usage": {}, "made": {}, "contents": {}}
            return {"id": request["id"], "code": 1, "error": "", "spoilt": spoilt, **nothing}
        _clear(request["returns"])
    errors.begin(next((path for _, path in request["log"]), None))
    before, code = _usage(), 1
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
    after = _usage()
    spent = {name: after[name] - before[name] for name in after}
    usage = {**spent, **_peak()}
    reply = {"id": request["id"], "code": code, "error": errors.text() if code else "", "usage": usage}
    if "files" in request:
        # Of a job that failed only what it noted about that.
        dropped = set(Names(request["output"])) if code else set()
        wanted = [path for path in request["returns"] if path not in dropped and os.path.isfile(path)]
        reply["made"] = {path: _sha256(path) for path in wanted}
        reply["contents"] = _contents(reply["made"])
    return reply


def _spoilt(files: dict[str, str]) -> list[str]:
    """Return those of a job's files that are not there as they should be."""
    found = []
    for path, checksum in files.items():
        try:
            about = os.stat(path)
            same = _known_sha256(path, about.st_ino, about.st_size, about.st_ctime_ns) == checksum
        except OSError:
            same = False
        if not same:
            found.append(path)
    return found


@lru_cache(maxsize=100_000)
def _known_sha256(path: str, *_about: int) -> str:
    return _sha256(path)


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _contents(paths: Iterable[str]) -> dict[str, str]:
    """Return what files hold, as many of them as fit into `SMALL`."""
    found, room = {}, SMALL
    for path in paths:
        if (size := os.path.getsize(path)) <= room:
            room -= size
            found[path] = base64.b64encode(zlib.compress(Path(path).read_bytes(), 1)).decode()
    return found


def _clear(paths: list[str]) -> None:
    """Remove what an earlier job left under these names, and make their folders, as is done at home."""
    for path in paths:
        with suppress(FileNotFoundError):
            os.unlink(path)
        with suppress(OSError):  # a full disk: the job will say so
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)


def _snakemake(request: dict[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(
        input=Names(request["input"]),
        output=Names(request["output"]),
        params=Names(request["params"], spread=False),
        wildcards=Names(request["wildcards"]),
        resources=Names(request["resources"]),
        log=Names(request["log"]),
        rule=request["rule"],
        threads=request["threads"],
        queued_s=request.get("queued_s", 0.0),
        scriptdir=str(Path(request["script"]).parent),
        bench_iteration=0,
    )


@cache
def _code(script: str) -> CodeType:
    """Compile a script, and let it import what lies beside it."""
    folder = str(Path(script).parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return compile(Path(script).read_bytes(), script, "exec")


def _parse_alone() -> None:
    """Let no lane parse Python while another one does: before Python 3.11.8 that fails now and then.

    numpy parses the header of every array that it reads (python/cpython#106905: a garbage collection in the
    middle of it lets another thread run).
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


def _usage() -> dict[str, float]:
    """Return what this process has used so far: seconds and, where /proc says, bytes read and written."""
    found = {"wall_s": time.monotonic(), "cpu_s": time.process_time(), "read": 0.0, "written": 0.0}
    fields = _proc("io")
    return found | {"read": fields.get("read_bytes", 0), "written": fields.get("write_bytes", 0)}


def _peak() -> dict[str, float]:
    """Return the most memory that the process had (since a job of ours last began), in bytes."""
    fields = _proc("status")
    if "VmHWM" in fields:
        return {"max_rss": fields["VmHWM"] * 1024, "max_vms": fields["VmPeak"] * 1024}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"max_rss": peak, "max_vms": peak}


def _proc(name: str) -> dict[str, int]:
    """Return the numbers of a file of /proc/self; empty where there is none."""
    try:
        lines = Path("/proc/self", name).read_text().splitlines()
    except OSError:
        return {}
    pairs = [(key, value.split()) for key, _, value in (line.partition(":") for line in lines)]
    return {key: int(values[0]) for key, values in pairs if values and values[0].isdigit()}


def main() -> None:
    """Serve: the replies go to what was standard output, which from then on is the log."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lanes", type=int, default=1, help="jobs at once")
    lanes = parser.parse_args().lanes
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if sys.version_info < (3, 11, 8):
        _parse_alone()
    serve(requests, replies, lanes)


if __name__ == "__main__":
    main()
