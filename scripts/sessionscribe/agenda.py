"""What is there, what is missing or stale, and hence what there is to do.

An output counts as made when its record in ``results/provenance`` names the wanted key and the size that the
file really has; a file of a fingerprint folder when it is whole. So a deleted, cut or outdated file is found
whatever the times of files say, and in a copy made elsewhere as well. One scan costs a listing, a few short
reads and about as many looks at sizes per session; of a finished session hardly anything is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path
from typing import Any

from sessionscribe import absent_audio, clips, manifest, models, names_table, steps
from sessionscribe.config import Config
from sessionscribe.corrections import table as corrections
from sessionscribe.errors import UserError
from sessionscribe.manifest import Session
from sessionscribe.results import Results
from sessionscribe.steps import STAGE_OF, STAGES, Decoder, Folder, Ledger, Step, correct

PREFLIGHT = "logs/preflight/models.txt"
UNABLE = (
    "transcripts will be without speakers: torch and pyannote.audio are not installed here. "
    "`make setup LIGHT=0` installs them; with `diarize.model: off` this is not said"
)
MANIFEST = str(Config.model_fields["manifest"].default)


class SessionAgenda:
    """A session's steps and the ones among them that are still to do (``pending``, by first output).

    ``fp`` names the folder of its chunk transcripts; ``totals`` counts its steps by rule; ``flags`` are what
    the jobs that are done found worth a look, and ``verdict`` is what the audit says, if it was made.
    ``absent`` is audio that was not published, with the step that makes it again; ``blocked`` are steps to do
    that cannot be done here, as they lead back to recordings that are not here (``lacking``).
    """

    def __init__(self, session: Session, fp: str, lay_out: Callable[[], Ledger]) -> None:
        self.session, self.fp = session, fp
        self.pending: dict[str, Step] = {}
        self.absent: dict[str, Step] = {}
        self.blocked: dict[str, Step] = {}
        self.lacking: list[str] = []
        self.totals: Counter[str] = Counter()
        self.flags: list[str] = []
        self.verdict = ""
        self._lay_out = lay_out
        self._plan: Ledger | None = None

    @property
    def plan(self) -> Ledger:
        """All its steps; laid out again where they were dropped."""
        if self._plan is None:
            self._plan = self._lay_out()
        return self._plan

    def drop_plan(self) -> None:
        """Let go of the steps: in a large archive hardly any are asked for."""
        self._plan = None

    @property
    def steps(self) -> list[Step]:
        """All steps, in order."""
        return list(self.plan)

    def of(self, rule: str) -> list[Step]:
        """Return the steps of a rule."""
        return [step for step in self.plan if step.rule == rule]

    def done(self, rule: str) -> int:
        """Return how many steps of a rule are done."""
        undone = (*self.pending.values(), *self.blocked.values())
        return self.totals[rule] - sum(step.rule == rule for step in undone)

    def targets(self) -> list[str]:
        """Return the first outputs of pending steps that no other pending step needs."""
        needed = {need for step in self.pending.values() for need in step.needs}
        folders = {need.path: need.names for need in needed if isinstance(need, Folder)}
        covered = {path for need in needed if isinstance(need, Step) for path in need.outputs}

        def is_needed(path: str) -> bool:
            folder, _, name = path.rpartition("/")
            return path in covered or name in folders.get(folder, ())

        return [path for path in self.pending if not is_needed(path)]

    def needs_models(self) -> bool:
        """Tell whether there is work for a model."""
        return any(step.model for step in self.pending.values())


class Agenda:
    """All sessions' steps against what lies in ``root``.

    Args:
        config: the settings.
        root: the project's folder; every path of a step is relative to it.

    Attributes:
        formats: in which each session is exported.
        sessions: all that are wanted, by name.
    """

    def __init__(self, config: Config, root: Path = Path()) -> None:
        self.root = root
        self._results = Results(root)
        identity = cache(models.identity)
        self._diarizers = steps.diarizers(config, identity)
        self._decoders = list(steps.decoders(config, identity))
        self._options = config.model_dump(mode="json")
        self._corrections = corrections.checksums(root)
        self.formats = tuple(dict.fromkeys(config.export.formats))
        wanted = set(config.sessions)
        found = manifest.read(root / config.manifest)
        if config.manifest != MANIFEST:
            found = manifest.without_clash(found, Path(config.manifest), root / MANIFEST)
        if missing := wanted - found.keys():
            raise manifest.unknown_session(sorted(missing)[0], found, root / config.manifest)
        enrolled = clips.read(config.name.voices, root, cache=steps.CHECKSUMS)
        table = names_table.read(root / config.name.table, found)
        self._remarks = [*enrolled.problems, *table.problems, *corrections.strays(self._corrections, found)]
        self._people = {
            diarizer: steps.people(enrolled.clips, table, self._options, diarizer)
            for diarizer in self._diarizers
        }
        self._voices = self._results.listing(steps.VOICES) if enrolled.clips else {}
        self.sessions = {name: self._look(s) for name, s in found.items() if not wanted or name in wanted}
        self._sum_up()

    def _sum_up(self) -> None:
        pending = [step for session in self.sessions.values() for step in session.pending.values()]
        # Enrolled voices are every session's work and one job's.
        self._outputs = list(dict.fromkeys(output for step in pending for output in step.outputs))
        self._due = frozenset(self._outputs)
        targets = (path for session in self.sessions.values() for path in session.targets())
        self._targets = list(dict.fromkeys(targets))
        self._needs_models = any(step.model for step in pending)

    def _look(self, session: Session) -> SessionAgenda:
        """Lay out a session's steps with the models that have most of it, and see which are done."""
        best, *others = self._diarizers
        agenda = self._look_with(session, best)
        unable = bool(others) and others[-1][0] == models.OFF  # to listen, but not to use what was found
        begun = unable or self._results.size(f"results/diarize/{session.name}") >= 0
        if begun and self._listens(agenda):
            looks = [agenda, *(self._look_with(session, other) for other in others)]
            # Of equals, the first.
            agenda = min(looks, key=self._listens if unable else lambda look: len(look.pending))
            if unable and agenda is looks[-1] and UNABLE not in self._remarks:
                self._remarks.append(UNABLE)
        if not agenda.pending:
            agenda.drop_plan()
        return agenda

    def _listens(self, agenda: SessionAgenda) -> bool:
        """Whether a diarization pipeline has something to do."""
        return any(step.model == model for step in agenda.pending.values() for model, _ in self._diarizers)

    def _look_with(self, session: Session, diarizer: tuple[str, str]) -> SessionAgenda:
        decoder, words, listing = self._choose_decoder(session)
        given = (session, self._options, decoder, words, diarizer)
        own = self._corrections.get(session.name, "")
        lay_out = partial(steps.steps_of, *given, known=self._people[diarizer], corrections=own)
        agenda = SessionAgenda(session, words, lay_out)
        self._find_pending(agenda, listing)
        return agenda

    def _choose_decoder(self, session: Session) -> tuple[Decoder, str, dict[str, int]]:
        """Return a session's decoder, the key of its words and what lies in the folder of that name."""
        choices = []
        for decoder in self._decoders:
            words = steps.words_key(session, self._options, decoder)
            listing = self._results.listing(steps.words_folder(session.name, words)) if words else {}
            choices.append((decoder, words, listing))
        # Of equals, the first: what suits this machine best.
        return max(choices, key=lambda choice: len(choice[2]))

    def _find_pending(self, agenda: SessionAgenda, listing: dict[str, int]) -> None:
        works = agenda.plan.works
        records = {w: self._results.record(w.record) for w in works if isinstance(w, Step)}
        known = _read_before(records)
        listings = {
            steps.words_folder(agenda.session.name, agenda.fp): listing,
            steps.VOICES: self._voices,
        }
        undone: set[Step | Folder] = set()
        for work in works:
            if isinstance(work, Folder):
                agenda.totals[work.rule] += len(work.names)
                missing = self._missing(work, listings, known)
                for name in missing:
                    step = work.step(name)
                    agenda.pending[step.outputs[0]] = step
                if missing:
                    undone.add(work)
                continue
            agenda.totals[work.rule] += 1
            record = records[work]
            if not undone.isdisjoint(work.needs) or not self._is_recorded(work, record):
                agenda.pending[work.outputs[0]] = work
                undone.add(work)
            else:
                agenda.flags += record.get("flags", [])
                agenda.verdict = record.get("verdict") or agenda.verdict
                agenda.absent.update(dict.fromkeys(self._left_out(work, record), work))
        absent_audio.provide(agenda, self.root)

    def _missing(
        self, folder: Folder, listings: dict[str, dict[str, int]], known: dict[str, int]
    ) -> list[str]:
        """Return the names of a folder's files that are not there and whole.

        A file is whole if it has the size with which it was used before, or else if it ends as it should.
        """
        if folder.path not in listings:
            listings[folder.path] = self._results.listing(folder.path)
        listing, missing = listings[folder.path], []
        for name in folder.names:
            size, path = listing.get(name, 0), f"{folder.path}/{name}"
            before = known.get(path)
            if size != before if before is not None else not self._results.is_whole(path, size):
                missing.append(name)
        return missing

    def _is_recorded(self, step: Step, record: dict[str, Any]) -> bool:
        if record.get("key") != step.key:
            return False
        sizes = {entry["path"]: entry["size"] for entry in record.get("outputs", ())}
        allowed = record.get("left_out", ())
        return all(
            (size := self._results.size(path)) == sizes.get(path, -2) or (size == -1 and path in allowed)
            for path in step.outputs
        )

    def _left_out(self, step: Step, record: dict[str, Any]) -> list[str]:
        """Return the files of a step that is done which were not published and are not here."""
        return [path for path in record.get("left_out", ()) if self._results.size(path) == -1]

    def targets(self) -> list[str]:
        """Return the files to ask for so that all pending ones are made: those that no pending step needs."""
        return self._targets

    def outputs(self) -> list[str]:
        """Return every file that is to be made."""
        return self._outputs

    def needs_models(self) -> bool:
        """Tell whether there is work for a model."""
        return self._needs_models

    @property
    def remarks(self) -> list[str]:
        """A line for each thing that is not as it should be.

        These are enrolment clips and rows of the table of names that cannot be used, corrections files of
        sessions that there are not, and sessions of which something cannot be done here.
        """
        blocked = [absent_audio.remark(agenda) for agenda in self.sessions.values() if agenda.blocked]
        return [*self._remarks, *blocked]

    def preflight_task(self, until: Iterable[str] = ()) -> dict[str, list[str]]:
        """Return the models that the pending work needs, up to the rules ``until``, for ``check_models``."""
        stages = list(STAGES)
        last = max((stages.index(STAGE_OF[rule]) for rule in until if rule in STAGE_OF), default=len(stages))
        wanted: dict[str, set[str]] = {"speech": set(), "diarization": set()}
        for session in self.sessions.values():
            for step in session.pending.values():
                if step.model and stages.index(step.stage) <= last:
                    wanted["speech" if step.stage == "transcribe" else "diarization"].add(step.model)
        return {kind: sorted(found) for kind, found in wanted.items()}

    def force(self, names: Iterable[str], *, everything: bool) -> None:
        """Hold the steps of these rules or files, and what follows from them, to be done again."""
        asked = set(names)
        if not asked and not everything:
            return
        for agenda in self.sessions.values():
            undone: set[Step | Folder] = set()
            for work in agenda.plan.works:
                every = everything or work.rule in asked
                if isinstance(work, Folder):
                    chosen = [work.step(name) for name in work.names]
                else:
                    every = every or not undone.isdisjoint(work.needs)
                    chosen = [work]
                for step in chosen:
                    if every or not asked.isdisjoint(step.outputs):
                        agenda.pending[step.outputs[0]] = step
                if any(step.outputs[0] in agenda.pending for step in chosen):
                    undone.add(work)
            absent_audio.provide(agenda, self.root)
        self._sum_up()

    def forced(self) -> set[str]:
        """Return the files that must be made even where a file of that name lies there."""
        return {*self._outputs, *([PREFLIGHT] if self._needs_models else [])}

    def is_pending(self, path: str) -> bool:
        """Tell whether a file is still to be made.

        Raises:
            UserError: no session of the manifest, with the present settings, has such a file.
        """
        if path in self._due:
            return True
        self._step(path)
        return False

    def awaited(self, paths: Iterable[str]) -> list[str]:
        """Return those of a task's files that are still to be made."""
        return [path for path in paths if path in self._due]

    def awaits_models(self, path: str) -> bool:
        """Tell whether the job that makes ``path`` is to wait until the models are checked.

        The first job of a session waits too, so that hours of conversion do not come before the message.
        """
        if not self.is_pending(path):
            return False
        step = self._step(path)
        return self._needs_models if step.rule == "fetch_recording" else bool(step.model)

    def task(self, path: str) -> dict[str, Any]:
        """Return what the job that makes ``path`` is told.

        Raises:
            UserError: no session of the manifest, with the present settings, has such a file.
        """
        return self._step(path).task

    def _step(self, path: str) -> Step:
        """Return the step that makes a file; whose it is, its path says (names have no dots or slashes)."""
        folder, _, name = path.rpartition("/")
        for people in self._people.values() if folder == steps.VOICES else ():
            if people.folder and name in people.folder.names:
                return people.folder.step(name)
        parts = path.split("/", 3)
        session = self.sessions.get(parts[2].partition(".")[0]) if len(parts) > 2 else None
        step = session and (session.pending.get(path) or session.plan.find(path))
        if not step:
            what = "belongs to no session, as the manifest and the settings are"
            raise UserError(what, where=path, hint="`sessionscribe status` lists the sessions")
        return step

    def forget(self) -> None:
        """Remove the records of what is to be redone and has the wanted key already.

        A run that dies when it has made anew only what comes before cannot leave them valid. Records with
        another key stay: they are valid again when the settings are as they were. A corrected transcript of
        which all corrections were taken back goes, too: it must not be read as one.
        """
        for agenda in self.sessions.values():
            rules = {work.rule for work in agenda.plan.works} if agenda.pending else set()
            if "write_export" in rules and "correct_transcript" not in rules:
                for path in correct.traces(agenda.session.name):
                    self._results.remove(path)
            kept = set(agenda.absent.values())  # what is made again for others alone is as good as before
            for step in agenda.pending.values():
                if (
                    step.record
                    and step not in kept
                    and self._results.record(step.record).get("key") == step.key
                ):
                    self._results.remove(step.record)


def _read_before(records: dict[Step, dict[str, Any]]) -> dict[str, int]:
    """Return the sizes that files of fingerprint folders had when they were read by what is still valid."""
    return {
        entry["path"]: entry["size"]
        for step, record in records.items()
        if record.get("key") == step.key and any(isinstance(need, Folder) for need in step.needs)
        for entry in record.get("inputs", ())
    }
