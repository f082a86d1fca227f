"""A session's steps, and which of them are still to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sessionscribe.manifest.manifest import Session
from sessionscribe.planning.results import Results
from sessionscribe.planning.steps import Folder, SessionSteps, Step, paths, sources


@dataclass(slots=True, eq=False)
class SessionPlan:
    """A session's steps, and which of them are still to do.

    Attributes:
        session: its rows of the manifest.
        fp: the key in the name of the folder of chunk transcripts.
        lay_out: returns the steps.
        pending: the steps that are still to do, by first output.
        missing: the missing files of pending steps: settings, outputs and records.
        absent: audio that was not published, with the step that recreates it.
        blocked: steps that cannot be done now: they are skipped, or need recordings that are not here
            (``lacking``).
        unavailable: files that cannot be made for lack of a recording, and that other steps can do without.
        changed: the outdated keys in the names of settings files, by step.
    """

    session: Session
    fp: str
    lay_out: Callable[[], SessionSteps]
    pending: dict[str, Step] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    absent: dict[str, Step] = field(default_factory=dict)
    blocked: dict[str, Step] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)
    unavailable: set[str] = field(default_factory=set)
    changed: dict[str, str] = field(default_factory=dict)
    _steps: SessionSteps | None = None

    @property
    def steps(self) -> SessionSteps:
        """All steps; laid out again if they were dropped."""
        if self._steps is None:
            self._steps = self.lay_out()
        return self._steps

    def drop_steps(self) -> None:
        """Drop the steps to save memory: few sessions of a large archive need them again."""
        self._steps = None

    @property
    def totals(self) -> Counter[str]:
        """The number of steps of each rule."""
        counts = Counter[str]()
        for work in self.steps.works:
            counts[work.rule] += len(work.names) if isinstance(work, Folder) else 1
        return counts

    def of(self, rule: str) -> list[Step]:
        """Return the steps of a rule."""
        return [step for step in self.steps if step.rule == rule]

    def done(self, rule: str) -> int:
        """Return how many steps of a rule are done."""
        undone = (*self.pending.values(), *self.blocked.values())
        return self.totals[rule] - sum(step.rule == rule for step in undone)

    def targets(self) -> list[str]:
        """Return the files to request from Snakemake so that it makes everything that is due.

        Snakemake does not look behind existing files. So these are the missing files, except those that are
        read by a step that lacks something itself, and the outputs of steps that no pending step reads.
        """
        read: set[str] = set()
        surely: set[str] = set()
        for step in self.pending.values():
            found = {path for source in sources(step.inputs) for path in paths(source)}
            read |= found
            if step.keyed or not self.missing.isdisjoint((step.settings_file, *step.outputs, step.record)):
                surely |= found
        targets: list[str] = []
        for first, step in self.pending.items():
            lacking = [path for path in (*step.outputs, step.record) if path in self.missing]
            if not surely.isdisjoint(lacking):
                continue
            if lacking:
                targets.append(lacking[0])
            elif not step.keyed and step.settings_file in self.missing:
                targets += [step.settings_file, first]
            elif first not in read:
                targets.append(first)
        return targets

    def hold_back(self, files: set[str]) -> None:
        """Move the pending steps that make these files, and all that depend on them, to ``blocked``."""
        held = set(files)
        while found := {
            first: step
            for first, step in self.pending.items()
            if not held.isdisjoint((*step.outputs, *(p for s in sources(step.inputs) for p in paths(s))))
        }:
            held.update(path for step in found.values() for path in step.outputs)
            self.blocked |= found
            self.pending = {path: step for path, step in self.pending.items() if path not in found}

    def needs_models(self) -> bool:
        """Return whether a pending step needs a model."""
        return any(step.model for step in self.pending.values())

    def records(self, root: Path) -> list[dict[str, Any]]:
        """Return the records of the steps that are done."""
        results = Results(root)
        recreated = {step.outputs[0] for step in self.absent.values()}  # for other steps only
        undone = (self.pending.keys() | self.blocked.keys()) - recreated
        done = (work for work in self.steps.works if isinstance(work, Step) and work.outputs[0] not in undone)
        return [results.record(step.record) for step in done]
