"""Rewrite the exports of sessions edited in the browser, half a minute after the last edit."""

from __future__ import annotations

import asyncio
import math
import time

from anyio import to_thread

from sessionscribe.core.errors import complain, describe
from sessionscribe.web.archive import Archive
from sessionscribe.web.runs import Runs

AFTER_S = 30.0


class Exports:
    """The sessions whose exports must be rewritten, and the runs that do so."""

    def __init__(self, archive: Archive, runs: Runs) -> None:
        self._archive, self._runs = archive, runs
        self._edited: dict[str, float] = {}

    def follow(self, session: str) -> None:
        """Note that a session was edited."""
        self._edited[session] = time.monotonic()

    def write(self, edited_before: float = math.inf) -> None:
        """Rewrite the exports of sessions last edited before a time, unless a run is active.

        Sessions that need a model first are left to the next run.
        """
        edited = {name: time_s for name, time_s in self._edited.copy().items() if time_s <= edited_before}
        plans = self._archive.plan().sessions if edited else {}
        steps = {name: plans[name].pending.values() for name in edited if name in plans}
        due = [name for name, found in steps.items() if found and not any(step.model for step in found)]
        if not due or self._runs.run(due, "export"):
            for name, time_s in edited.items():
                if self._edited.get(name) == time_s:
                    del self._edited[name]

    async def keep_writing(self) -> None:
        """Rewrite exports until cancelled."""
        while True:
            await asyncio.sleep(1)
            try:
                await to_thread.run_sync(self.write, time.monotonic() - AFTER_S)
            except Exception as error:  # such as a full disk; try again later
                complain(describe(error, "results/export"))
                await asyncio.sleep(AFTER_S)
