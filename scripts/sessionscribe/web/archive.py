"""The project behind the pages: its plan, cached until a file changes, and the latest transcripts."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sessionscribe.batch import report as reports
from sessionscribe.batch.scan import PendingJobs, pending_jobs
from sessionscribe.config.settings import Config
from sessionscribe.editing.shown import Shown
from sessionscribe.formats.page import ShownParagraph, View, view
from sessionscribe.planning import status
from sessionscribe.planning.plan import Plan
from sessionscribe.planning.session import SessionPlan
from sessionscribe.planning.status import SessionStatus
from sessionscribe.stages.correct.apply import Overlaid

KEPT = 3
"""Transcripts to keep in memory; one of four hours takes 100 MB."""


@dataclass(frozen=True)
class Page:
    """A transcript as it is shown; ``base`` is a hash of its corrections file."""

    session: Shown
    laid: Overlaid
    base: str

    @cached_property
    def view(self) -> View:
        """The content of its page."""
        return view(self.laid.transcript)

    @property
    def paragraphs(self) -> list[ShownParagraph]:
        """Its paragraphs of text."""
        return [part for part in self.view.paragraphs if isinstance(part, ShownParagraph)]


class Archive:
    """All sessions of a project; safe to use from several threads.

    Args:
        load: reads the settings.
        files: the settings files.
        root: the project's folder, which is the working directory.
    """

    def __init__(self, load: Callable[[], Config], files: Sequence[Path], root: Path) -> None:
        self.root = root
        self._load, self._files = load, files
        self._config: tuple[object, Config] | None = None
        self._lock = threading.RLock()
        self._seen: tuple[object, ...] = ()
        self._plan: Plan | None = None
        self._statuses: list[SessionStatus] = []
        self._pages: OrderedDict[str, tuple[object, Shown, Page | None]] = OrderedDict()

    @property
    def config(self) -> Config:
        """The settings, read again (50 ms) when one of their files changes."""
        seen = tuple(map(_stat, self._files))
        if self._config is None or self._config[0] != seen:
            self._config = (seen, self._load())
        return self._config[1]

    def signature(self) -> str:
        """Return a hash of everything that the plan depends on."""
        return hashlib.sha256(repr(tuple(self._signs())).encode()).hexdigest()[:16]

    def _signs(self) -> Iterator[object]:
        config = self.root / "config"
        for path in (self.root / self.config.manifest, *self._files, *config.glob("*.tsv")):
            yield _stat(path)
        for folder in ("config/corrections", "results/provenance", "logs/failed"):
            try:
                with os.scandir(self.root / folder) as entries:
                    yield sorted((entry.name, entry.stat().st_mtime_ns) for entry in entries)
            except OSError:
                yield None

    def plan(self) -> Plan:
        """Return the plan."""
        with self._lock:
            seen = tuple(self._signs())
            if self._plan is None or seen != self._seen:
                self._plan, self._seen = Plan(self.config, self.root), seen
                self._statuses = status.collect(self._plan)
            return self._plan

    def statuses(self) -> list[SessionStatus]:
        """Return the status of every session, in the manifest's order."""
        with self._lock:
            self.plan()
            return self._statuses

    def session(self, name: str) -> SessionPlan | None:
        """Return the steps of a session, possibly of an outdated plan; None if it is not in the manifest."""
        # Planning thousands of sessions takes seconds: an edit waits only if the manifest has changed.
        is_known = self._plan and self._seen[:1] == (_stat(self.root / self.config.manifest),)
        known = self._plan.sessions.get(name) if self._plan and is_known else None
        return known or self.plan().sessions.get(name)

    def names(self) -> list[str]:
        """Return the names of all sessions."""
        return list(self.plan().sessions)

    def recorded(self, since: str, until: str) -> list[str]:
        """Return the sessions known to be recorded between two days (YYYY-MM-DD)."""
        days = {
            name: [row.recorded_at[:10] for row in plan.session.rows if row.recorded_at]
            for name, plan in self.plan().sessions.items()
        }
        return [name for name, found in days.items() if any(since <= day <= until for day in found)]

    def pending(self) -> PendingJobs:
        """Return pending work in the order of a batch."""
        last = next(reports.newest_first(self.root), None)
        return pending_jobs(self.plan(), last.failures if last else (), self.config.batch)

    def page(self, name: str) -> Page:
        """Return the transcript of a session in the manifest.

        Raises:
            UserError: it has not been transcribed, or its corrections file cannot be understood.
        """
        with self._lock:
            made = tuple(_stat(self.root / f"results/{stage}/{name}.json") for stage in ("diarize", "name"))
            seen = (*made, *self.config.export.names.items())
            kept = self._pages.get(name)
            if kept is None or kept[0] != seen:  # reading a transcript of four hours takes a second
                kept = (seen, Shown.of(name, self.config, self.root, self.plan), None)
            shown = kept[1]
            base = base_of(shown.corrections)
            page = kept[2] if kept[2] and kept[2].base == base else Page(shown, shown.laid(), base)
            self._pages[name] = (seen, shown, page)
            self._pages.move_to_end(name)
            while len(self._pages) > KEPT:
                self._pages.popitem(last=False)
            return page


def base_of(corrections: Path) -> str:
    """Return a hash of a corrections file; "" if there is none."""
    return hashlib.sha256(corrections.read_bytes()).hexdigest() if corrections.is_file() else ""


def _stat(path: Path) -> tuple[str, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return str(path), found.st_mtime_ns, found.st_size, found.st_ino
