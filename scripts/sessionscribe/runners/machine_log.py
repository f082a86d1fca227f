"""When machines were started and stopped: a line of JSON for each event, in ``logs/usage/machines.jsonl``.

It is written as things happen, so that it also tells of runs that were killed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sessionscribe.runners.usage_log import TIME, append

MACHINES = Path("logs/usage/machines.jsonl")
Event = Literal["running", "start", "refused", "ready", "stop", "stopped"]
"""Found to be up, so not ours; its start is asked for; that was refused; ssh answers; its stop is asked for;
it was seen to be off."""


@dataclass(frozen=True)
class MachineLog:
    """The log of one machine: ``runner`` is its name; nothing is written where there is no ``file``."""

    runner: str
    file: Path | None = None

    def note(self, event: Event, machine: str = "") -> None:
        """Append an event; ``machine`` is what its provider calls machines like it."""
        if self.file:
            append(self.file, {"time": time.strftime(TIME, time.gmtime()), **self._about(event, machine)})

    def shell_words(self, event: Event) -> tuple[str, str]:
        """Return the file ("" where there is none), and all of a line but its beginning with the time."""
        return str(self.file or ""), json.dumps(self._about(event, ""), ensure_ascii=False)[1:]

    def _about(self, event: Event, machine: str) -> dict[str, str]:
        return {"runner": self.runner, "event": event, "machine": machine}


def read(file: Path, offset: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the events after the first ``offset`` bytes; a line that was cut off is left out."""
    try:
        with file.open("rb") as lines:
            lines.seek(offset)
            text = lines.read().decode(errors="replace")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict) and {"time", "runner", "event"} <= found.keys():
            yield found
