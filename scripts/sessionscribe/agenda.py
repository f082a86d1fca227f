"""What is there, what is missing or stale, and hence what there is to do.

An output counts as made when its record in ``results/provenance`` names the wanted key and the size that the
file really has; a chunk transcript when a whole file lies in the folder that its fingerprint names. So a
deleted, cut or outdated file is found whatever the times of files say, and in a copy made elsewhere as well.
One scan costs a few listings per session.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from sessionscribe import manifest, models
from sessionscribe.config import Config
from sessionscribe.errors import UserError
from sessionscribe.manifest import Session
from sessionscribe.steps import MODEL_RULES, SessionSteps, Step, decoders

PREFLIGHT = "logs/preflight/models.txt"


@dataclass
class SessionAgenda:
    """A session's steps and the ones among them that are still to do (``pending``, by first output).

    ``flags`` are what the jobs that are done found worth a look.
    """

    session: Session
    steps: list[Step]
    fp: str = ""
    pending: dict[str, Step] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)

    def of(self, rule: str) -> list[Step]:
        """Return the steps of a rule."""
        return [step for step in self.steps if step.rule == rule]

    def needs_models(self) -> bool:
        """Tell whether there is work for a model."""
        return any(uses_model(step) for step in self.pending.values())

    def done(self, rule: str) -> int:
        """Return how many steps of a rule are done."""
        return sum(step.outputs[0] not in self.pending for step in self.of(rule))


class Agenda:
    """All sessions' steps against what lies in ``root``.

    Args:
        config: the settings.
        root: the project's folder; every path of a step is relative to it.
    """

    def __init__(self, config: Config, root: Path = Path()) -> None:
        self.config, self.root = config, root
        self._identity = cache(models.identity)
        self._diarizer = self._find_diarizer()
        self._decoders = list(decoders(config, self._identity))
        wanted = set(config.sessions)
        found = manifest.read(root / config.manifest)
        if missing := wanted - found.keys():
            raise manifest.unknown_session(sorted(missing)[0], found, root / config.manifest)
        self.sessions = {name: self._plan(s) for name, s in found.items() if not wanted or name in wanted}
        self._steps = {out: step for s in self.sessions.values() for step in s.steps for out in step.outputs}

    def _find_diarizer(self) -> tuple[str, str]:
        model = models.resolve(self.config.diarize.model, models.DIARIZATION, setting="diarize.model")
        return model, self._identity(model)

    def _plan(self, session: Session) -> SessionAgenda:
        """Lay out a session's steps with the decoder that has most of it, and see which are done."""
        plans = [SessionSteps(session, self.config, d, self._diarizer) for d in self._decoders]
        # Of equals, the first: what suits this machine best.
        chosen = max(plans, key=lambda plan: len(self._listing(session.name, plan.fp)))
        agenda = SessionAgenda(session, chosen.steps, chosen.fp)
        self._find_pending(agenda)
        return agenda

    def _listing(self, session: str, fp: str) -> dict[str, int]:
        """Return name and size of the files in a fingerprint folder."""
        return _sizes(self.root / "results/transcribe" / session / fp) if fp else {}

    def _find_pending(self, agenda: SessionAgenda) -> None:
        records = self._records(agenda.session.name)
        listing = self._listing(agenda.session.name, agenda.fp)
        known = self._merged_sizes(agenda, records)
        for step in agenda.steps:
            if step.record:
                done = self._is_recorded(step, records.get(step.record))
            else:
                done = self._is_whole(step.outputs[0], listing, known)
            if not done or any(need.outputs[0] in agenda.pending for need in step.needs):
                agenda.pending[step.outputs[0]] = step
            elif step.record:
                agenda.flags += records[step.record].get("flags", [])

    def _merged_sizes(self, agenda: SessionAgenda, records: dict[str, dict[str, Any]]) -> dict[str, int]:
        """Return the sizes that chunk transcripts had when they were merged as they would be merged now."""
        for step in agenda.of("merge_transcript"):
            record = records.get(step.record, {})
            if record.get("key") == step.key:
                return {entry["path"]: entry["size"] for entry in record.get("inputs", ())}
        return {}

    def _records(self, session: str) -> dict[str, dict[str, Any]]:
        folder = f"results/provenance/{session}"
        records = {}
        for name in _sizes(self.root / folder):
            try:
                record = json.loads((self.root / folder / name).read_bytes())
            except (OSError, ValueError):
                continue  # a broken record is none
            if isinstance(record, dict):
                records[f"{folder}/{name}"] = record
        return records

    def _is_recorded(self, step: Step, record: dict[str, Any] | None) -> bool:
        if record is None or record.get("key") != step.key:
            return False
        sizes = {entry["path"]: entry["size"] for entry in record.get("outputs", ())}
        return all(self._size(path) == sizes.get(path, -1) for path in step.outputs)

    def _size(self, path: str) -> int:
        try:
            return os.stat(self.root / path).st_size
        except OSError:
            return -2

    def _is_whole(self, path: str, listing: dict[str, int], known: dict[str, int]) -> bool:
        """Tell whether a chunk transcript is whole: of the size merged before, or ended as we end files."""
        size = listing.get(os.path.basename(path), 0)
        if path in known:
            return size == known[path]
        return size > 2 and _ends_well(self.root / path)

    def outputs(self) -> list[str]:
        """Return every file that is to be made."""
        return [out for s in self.sessions.values() for step in s.pending.values() for out in step.outputs]

    def needs_models(self) -> bool:
        """Tell whether there is work for a model."""
        return any(session.needs_models() for session in self.sessions.values())

    def preflight_task(self) -> dict[str, list[str]]:
        """Return the models that the pending work needs, for ``check_models``."""
        steps = [step for s in self.sessions.values() for step in s.pending.values() if uses_model(step)]
        wanted: dict[str, set[str]] = {"speech": set(), "diarization": set()}
        for step in steps:
            wanted["speech" if step.stage == "transcribe" else "diarization"].add(
                step.task["options"]["model"]
            )
        return {kind: sorted(found) for kind, found in wanted.items()}

    def force(self, names: Iterable[str], *, everything: bool) -> None:
        """Hold the steps of these rules or files, and what follows from them, to be done again."""
        asked = set(names)
        for agenda in self.sessions.values():
            for step in agenda.steps:
                again = everything or step.rule in asked or not asked.isdisjoint(step.outputs)
                if again or any(need.outputs[0] in agenda.pending for need in step.needs):
                    agenda.pending[step.outputs[0]] = step

    def forced(self) -> set[str]:
        """Return the files that must be made even where a file of that name lies there."""
        return {*self.outputs(), *([PREFLIGHT] if self.needs_models() else [])}

    def is_pending(self, path: str) -> bool:
        """Tell whether a file is still to be made."""
        step = self._step(path)
        return step.outputs[0] in self.sessions[step.session].pending

    def awaits_models(self, path: str) -> bool:
        """Tell whether the job that makes ``path`` is to wait until the models are checked.

        The first job of a session waits too, so that hours of conversion do not come before the message.
        """
        step = self._step(path)
        if not self.is_pending(path):
            return False
        return self.needs_models() if step.rule == "fetch_recording" else uses_model(step)

    def task(self, path: str) -> dict[str, Any]:
        """Return what the job that makes ``path`` is told.

        Raises:
            UserError: no session of the manifest, with the present settings, has such a file.
        """
        return self._step(path).task

    def _step(self, path: str) -> Step:
        try:
            return self._steps[path]
        except KeyError:
            what = "belongs to no session, as the manifest and the settings are"
            hint = "`sessionscribe status` lists the sessions"
            raise UserError(what, where=path, hint=hint) from None

    def forget(self) -> None:
        """Remove the records of what is to be redone and has the wanted key already.

        A run that dies when it has made anew only what comes before cannot leave them valid. Records with
        another key stay: they are valid again when the settings are as they were.
        """
        for name, agenda in self.sessions.items():
            records = self._records(name)
            for step in agenda.pending.values():
                if records.get(step.record, {}).get("key") == step.key:
                    (self.root / step.record).unlink(missing_ok=True)


def uses_model(step: Step) -> bool:
    """Tell whether a step's job loads a model: diarization of speakers' tracks does not."""
    return step.rule in MODEL_RULES and step.task.get("method") != "tracks"


def _sizes(folder: Path) -> dict[str, int]:
    try:
        with os.scandir(folder) as entries:
            return {e.name: e.stat().st_size for e in entries if e.is_file() and not e.name.startswith(".")}
    except (FileNotFoundError, NotADirectoryError):
        return {}


def _ends_well(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-2, os.SEEK_END)
        return file.read() == b"}\n"
