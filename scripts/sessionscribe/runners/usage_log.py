"""Logs of what machines were used for, and of when they were started and stopped: one JSON object per line.

``logs/usage/runners.jsonl`` has a line for each connection, written when it ends, ``machines.jsonl`` one for
each event, written when it happens, so that it is complete even if the run is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from sessionscribe.runners.costs import PRICES, known_prices, price_of

USAGE_LOG = Path("logs/usage/runners.jsonl")
MACHINES = Path("logs/usage/machines.jsonl")
Event = Literal["running", "start", "refused", "ready", "stop", "stopped"]
"""Found running, so not ours; start requested; start refused; ssh answers; stop requested; seen to be off."""
TIME = "%Y-%m-%dT%H:%M:%SZ"


class Entry:
    """The use of a machine, from the request for it until its release.

    Args:
        runner: the runner's name, such as ``ssh:gpu-box``.

    Attributes:
        machine: the provider's name for such machines, such as ``g5.xlarge``; "" if there is none.
    """

    def __init__(self, runner: str) -> None:
        self.runner, self.machine = runner, ""
        self._began, self._started = time.time(), time.monotonic()
        self._busy_s = 0.0
        self._work: dict[str, dict[str, dict[str, float]]] = {}
        self._jobs, self._busy_since = 0, 0.0
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Count the time of the ``with`` block as work; simultaneous jobs count once."""
        with self._lock:
            self._jobs += 1
            if self._jobs == 1:
                self._busy_since = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._jobs -= 1
                if self._jobs == 0:
                    self._busy_s += time.monotonic() - self._busy_since

    def finished(self, session: str, rule: str, seconds: float, audio_s: float) -> None:
        """Count a successful job: how long it took, and the length of its audio."""
        with self._lock:
            rules = self._work.setdefault(session, {})
            done = rules.setdefault(rule, {"jobs": 0, "seconds": 0, "audio_s": 0})
            for name, amount in (("jobs", 1), ("seconds", seconds), ("audio_s", audio_s)):
                done[name] = round(done[name] + amount, 3)

    def close(self, project: Path, about: Mapping[str, Any], sent: int = 0, received: int = 0) -> None:
        """Append the entry, with the present price, to the log of a project.

        Args:
            project: the project's folder.
            about: the guard's description of the machine.
            sent: bytes sent to the machine.
            received: bytes received from it.
        """
        wall_s = time.monotonic() - self._started
        record = {
            "runner": self.runner,
            "machine": self.machine,
            "host": about.get("host", ""),
            "accelerator": about.get("accelerator", ""),
            "start": time.strftime(TIME, time.gmtime(self._began)),
            "stop": time.strftime(TIME, time.gmtime(self._began + wall_s)),
            "wall_s": round(wall_s, 3),
            "busy_s": round(self._busy_s, 3),
            "idle_s": round(wall_s - self._busy_s, 3),
            "bytes_up": sent,
            "bytes_down": received,
            "work": self._work,
        }
        price = price_of(record, known_prices(project / PRICES))
        record["price"] = price.model_dump(mode="json") if price else None
        _append(project / USAGE_LOG, record)


def note_event(project: Path, runner: str, event: Event, machine: str = "") -> None:
    """Append an event to the log of a project; ``machine`` is the provider's name for such machines."""
    now = time.strftime(TIME, time.gmtime())
    record = {"time": now, "runner": runner, "event": event, "machine": machine}
    _append(project / MACHINES, record)


def read_usage(file: Path, offset: int = 0) -> list[dict[str, Any]]:
    """Return the entries after the first ``offset`` bytes of a log."""
    return [record for record in _read(file, offset) if {"runner", "work"} <= record.keys()]


def read_events(file: Path, offset: int = 0) -> list[dict[str, Any]]:
    """Return the events after the first ``offset`` bytes of a log."""
    return [record for record in _read(file, offset) if {"time", "runner", "event"} <= record.keys()]


def _append(file: Path, record: Mapping[str, Any]) -> None:
    """Append a line in one write, since other processes append, too. On a full disk the line is lost."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, f"{json.dumps(record, ensure_ascii=False)}\n".encode())
        finally:
            os.close(descriptor)


def _read(file: Path, offset: int) -> Iterator[dict[str, Any]]:
    """Yield the records of a log, except lines that a full disk cut off."""
    try:
        lines = file.read_bytes()[offset:].decode(errors="replace").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        with contextlib.suppress(ValueError):
            record = json.loads(line)
            if isinstance(record, dict):
                yield record
