"""What machines were used for: one line of JSON for each connection, in ``logs/usage/runners.jsonl``."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sessionscribe.runners import json_lines
from sessionscribe.runners.costs import Price, price_of

USAGE_LOG = Path("logs/usage/runners.jsonl")
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

    def close(
        self, file: Path, about: Mapping[str, Any], sent: int, received: int, prices: Sequence[Price] = ()
    ) -> None:
        """Append the record.

        Args:
            file: the usage log.
            about: what the guard said of the machine.
            sent: bytes that went there.
            received: bytes that came from there.
            prices: what machines cost now; the first that fits is noted.
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
        price = price_of(record, prices)
        record["price"] = price.model_dump(mode="json") if price else None
        json_lines.append(file, record)
