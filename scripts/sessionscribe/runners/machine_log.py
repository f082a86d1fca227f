"""When machines were started and stopped: a line of JSON for each event, in ``logs/usage/machines.jsonl``.

It is written as things happen, so that it also tells of runs that were killed.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sessionscribe.runners import json_lines
from sessionscribe.runners.usage_log import TIME

MACHINES = Path("logs/usage/machines.jsonl")
Event = Literal["running", "start", "refused", "ready", "stop", "stopped"]
"""Found to be up, so not ours; its start is asked for; that was refused; ssh answers; its stop is asked for;
it was seen to be off."""


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


def read(file: Path, offset: int = 0) -> list[dict[str, Any]]:
    """Return the events after the first ``offset`` bytes."""
    return [found for found in json_lines.read(file, offset) if {"time", "runner", "event"} <= found.keys()]
