"""What machines were used for, and when they were started and stopped: logs of one JSON object a line.

``logs/usage/runners.jsonl`` has a line for each connection, written when it ends. ``machines.jsonl`` beside
it has one for each event, written as it happens, so that it also tells of runs that were killed.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sessionscribe.runners import json_lines
from sessionscribe.runners.costs import PRICES, known_prices, price_of

USAGE_LOG = Path("logs/usage/runners.jsonl")
MACHINES = Path("logs/usage/machines.jsonl")
Event = Literal["running", "start", "refused", "ready", "stop", "stopped"]
"""Found to be up, so not ours; its start is asked for; that was refused; ssh answers; its stop is asked for;
it was seen to be off."""
TIME = "%Y-%m-%dT%H:%M:%SZ"


class Entry:
    """The use of a machine from when it was asked for until it was let go.

    Args:
        runner: its name, as ``ssh:gpu-box``.

    Attributes:
        machine: what its provider calls machines like it, as ``g5.xlarge``; "" where there is no such name.
    """

    def __init__(self, runner: str) -> None:
        self.runner, self.machine = runner, ""
        self._began, self._started = time.time(), time.monotonic()
        self._busy_s = 0.0
        self._work: dict[str, dict[str, dict[str, float]]] = {}
        self._at_work, self._since = 0, 0.0
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Count the time of the ``with`` as work; two jobs at once count once."""
        with self._lock:
            self._at_work += 1
            if self._at_work == 1:
                self._since = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._at_work -= 1
                if self._at_work == 0:
                    self._busy_s += time.monotonic() - self._since

    def finished(self, session: str, rule: str, seconds: float, audio_s: float) -> None:
        """Count a job that went well: how long it took, and the audio that it worked through."""
        with self._lock:
            done = self._work.setdefault(session, {}).setdefault(
                rule, {"jobs": 0, "seconds": 0, "audio_s": 0}
            )
            for name, amount in (("jobs", 1), ("seconds", seconds), ("audio_s", audio_s)):
                done[name] = round(done[name] + amount, 3)

    def close(self, project: Path, about: Mapping[str, Any], sent: int = 0, received: int = 0) -> None:
        """Append the record, with what machines like it cost now, to the log of a project.

        Args:
            project: the project's folder.
            about: what the guard said of the machine.
            sent: bytes that went there.
            received: bytes that came from there.
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
        json_lines.append(project / USAGE_LOG, record)


@dataclass(frozen=True)
class MachineLog:
    """The log of one machine: ``runner`` is its name."""

    runner: str
    file: Path

    def note(self, event: Event, machine: str = "") -> None:
        """Append an event; ``machine`` is what its provider calls machines like it."""
        now = time.strftime(TIME, time.gmtime())
        json_lines.append(self.file, {"time": now, **self._about(event, machine)})

    def shell_words(self, event: Event) -> tuple[str, str]:
        """Return the file, and all of a line but its beginning with the time."""
        return str(self.file), json.dumps(self._about(event, ""), ensure_ascii=False)[1:]

    def _about(self, event: Event, machine: str) -> dict[str, str]:
        return {"runner": self.runner, "event": event, "machine": machine}


def read_events(file: Path, offset: int = 0) -> list[dict[str, Any]]:
    """Return the events after the first ``offset`` bytes."""
    return [found for found in json_lines.read(file, offset) if {"time", "runner", "event"} <= found.keys()]
