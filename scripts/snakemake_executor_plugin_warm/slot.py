"""Where a worker can be, what one is to the pool, and how a job ends that has no reply."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol


class NoWorkerError(Exception):
    """No worker runs the job: the run was cancelled, or no runner is left, which the user has been told."""


class Worker(Protocol):
    """What runs jobs, for a while: a process here, or one on another machine."""

    @property
    def alive(self) -> bool:
        """Whether it can take a job, and end it; once it cannot, it never can again."""

    def run(self, request: dict[str, Any], give_back: Callable[[], bool]) -> dict[str, Any]:
        """Have a request run; ``give_back`` is asked whether another worker is free for it meanwhile."""

    def lose(self) -> None:
        """Let go of it after its connection was lost."""

    def end(self) -> None:
        """Let it end."""

    def wait(self, seconds: float) -> None:
        """Wait until it is gone, and see to it if that takes longer."""

    def kill(self) -> None:
        """End it in the middle of its jobs."""


@dataclass(eq=False)
class WorkerSlot:
    """Where one worker at a time can be.

    Args:
        name: the runner's.
        start: starts a worker; it is given the log of the job that it is started for.
        lanes: jobs that a worker runs at once.
        waiting: jobs more that it may have, whose files are brought to it meanwhile.
        tries: how often a connection is made again without a success in between, and how often a job is
            tried again whose worker died.
        release: lets go of what outlives workers there, such as a machine that was started.
    """

    name: str
    start: Callable[[str | None], Worker]
    lanes: int
    waiting: int = 0
    tries: int = 0
    release: Callable[[], None] = lambda: None
    worker: Worker | None = None
    jobs: int = 0
    scripts: set[str] = field(default_factory=set)
    idle_since: float = 0.0
    failures: int = 0
    not_before: float = 0.0
    unusable: str = ""
    closing: bool = False

    def begin(self, log: str | None) -> None:
        """Start a worker."""
        self.worker, self.jobs, self.scripts = self.start(log), 0, set()
        self.idle_since = time.monotonic()

    @property
    def has_worker(self) -> bool:
        """Whether a worker is there and can take jobs."""
        return self.worker is not None and self.worker.alive
