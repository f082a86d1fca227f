"""Compares the steps of all sessions with what exists: what is missing or stale has to run.

Stale is missing: what determines a step's outputs is an input file whose name carries the key, its settings
(``results/settings/{session}/{step}.{key}.json``). So a step is due when its settings file, its record or an
output is missing, or something that it follows from is due. A scan costs a few listings per session and
reads nothing; times of files do not matter, so a copy made elsewhere is as good. Only what is due becomes
part of Snakemake's DAG.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from sessionscribe.artifacts.plan import chunk_count
from sessionscribe.config.settings import OFF, Config
from sessionscribe.core import errors
from sessionscribe.core.errors import UserError
from sessionscribe.core.fingerprint import fingerprint
from sessionscribe.core.units import SAMPLE_RATE, tolerance_s
from sessionscribe.engines import models
from sessionscribe.formats.registry import with_pictures
from sessionscribe.manifest import enrollment, manifest
from sessionscribe.manifest.manifest import Session
from sessionscribe.planning import absent_audio, older, other_settings
from sessionscribe.planning.results import Results
from sessionscribe.planning.session import SessionPlan
from sessionscribe.planning.settings_files import renew_settings
from sessionscribe.planning.steps import (
    STAGE_OF,
    STAGES,
    Folder,
    Listed,
    SessionSteps,
    Step,
    correct,
    files,
    paths,
    sources,
)
from sessionscribe.planning.steps.decoder import Decoder, decoders, words_folder, words_key
from sessionscribe.planning.steps.names import people
from sessionscribe.planning.steps.session import steps_of
from sessionscribe.planning.steps.speakers import diarizers
from sessionscribe.stages.correct import table as corrections
from sessionscribe.stages.name import speaker_map

NO_SESSIONS = "No sessions yet. Add recordings with `sessionscribe add SOURCE…`."
PREFLIGHT = "logs/preflight"
UNABLE = (
    "transcripts will be without speakers: torch and pyannote.audio are not installed here. "
    "`make setup LIGHT=0` installs them; with `diarize.model: off` this is not said"
)
MANIFEST = str(Config.model_fields["manifest"].default)


class Plan:
    """The steps of all sessions, compared with the files below ``root``.

    Args:
        config: the settings.
        root: the project's folder; every path of a step is relative to it.

    Attributes:
        formats: in which each session is exported.
        sessions: all that are wanted, by name.
        whole: whether finished steps are shown, too.
        until: the last rules that are run; empty: all are.
        measured: the sessions that are to be cut into other chunks than the manifest says, since their
            conversions are longer or shorter.
    """

    def __init__(self, config: Config, root: Path = Path()) -> None:
        self.root, self.whole = root, False
        self.until: tuple[str, ...] = ()
        self._results = Results(root)
        self.measured: set[str] = set()
        identity = cache(models.identity)
        self._diarizers = diarizers(config, identity)
        self._decoders = list(decoders(config, identity))
        self._options = config.model_dump(mode="json")
        left_out = config.batch.left_out
        self._left_out = set((root / left_out).read_text("utf-8").splitlines()) if left_out else set()
        self._corrections = corrections.checksums(root)
        self.formats = tuple(with_pictures(config.export.formats))
        wanted = set(config.sessions)
        found = manifest.read(root / config.manifest)
        if config.manifest != MANIFEST:
            found = manifest.without_clash(found, Path(config.manifest), root / MANIFEST)
        if missing := wanted - found.keys():
            raise errors.unknown_session(sorted(missing)[0], found, root / config.manifest)
        enrolled = enrollment.read(config.name.voices, root)
        table = speaker_map.read(root / config.name.table, found)
        self._remarks = [*enrolled.problems, *table.problems, *corrections.strays(self._corrections, found)]
        self._people = {
            diarizer: people(enrolled.clips, table, self._options, diarizer) for diarizer in self._diarizers
        }
        self.sessions = {name: self._look(s) for name, s in found.items() if not wanted or name in wanted}
        self._results = Results(root)  # without the listings: of a large archive they take megabytes
        self._sum_up()

    def _sum_up(self) -> None:
        sessions = self.sessions.values()
        pending = [step for session in sessions for step in session.pending.values()]
        made = {path for step in pending for path in step.outputs}
        # Of steps that are held back nothing is made, their settings neither.
        lacking = {path for session in sessions for path in session.missing}
        settings = (step.settings_file for step in pending if not step.keyed)
        self._due = frozenset({*made, *(path for path in settings if path in lacking)})
        # Enrolled voices are every session's work and one job's.
        self._targets = list(dict.fromkeys(path for session in sessions for path in session.targets()))
        self._needs_models = any(step.model for step in pending)
        self._unavailable = frozenset(path for session in sessions for path in session.unavailable)

    def _look(self, session: Session) -> SessionPlan:
        """Return a session's plan, with the models that most of it was made with."""
        if older.is_older(self._results, session.name):
            options, models_of = self._options, (self._decoders, self._diarizers)
            older.adopt(session, options, *models_of, partial(self._lay_out, session), root=self.root)
            self._results.forget()
        best, *others = self._diarizers
        plan = self._look_with(session, best)
        if converted := self._converted_lengths(plan):
            session = session.with_lengths(converted)
            plan = self._look_with(session, best)
            if any(step.rule == "plan_chunks" for step in plan.pending.values()):
                self.measured.add(session.name)
        unable = bool(others) and others[-1][0] == OFF  # to listen, but not to use what was found
        begun = unable or session.name in self._results.names("results/diarize")
        if begun and self._listens(plan):
            looks = [plan, *(self._look_with(session, other) for other in others)]
            # Of equals, the first.
            plan = min(looks, key=self._listens if unable else lambda look: len(look.pending))
            if unable and plan is looks[-1] and UNABLE not in self._remarks:
                self._remarks.append(UNABLE)
        if not plan.pending:
            plan.drop_plan()
        self._results.forget()
        return plan

    def _converted_lengths(self, plan: SessionPlan) -> dict[str, float]:
        """Return lengths of conversions (s), by track, if they lead to another number of chunks.

        Only where the track is to be cut yet: what is made of a track that was cut stays.
        """
        found: dict[str, float] = {}
        rows = {row.track: row for row in plan.session.rows if row.layout != "live"}
        for step in plan.pending.values():
            row = rows.get(step.name.partition(".")[2]) if step.rule == "plan_chunks" else None
            (audio,) = paths(step.inputs["audio"]) if row else ("",)
            if row is None or audio in plan.pending:
                continue
            samples = self._results.record(audio.removesuffix(".flac") + ".json").get("samples", 0)
            seconds, target_s = samples / SAMPLE_RATE, self._options["chunk"]["target_s"]
            other = chunk_count(seconds, target_s) != chunk_count(row.duration_s, target_s)
            if samples and other and abs(seconds - row.duration_s) > tolerance_s(row.duration_s):
                found[row.track] = seconds
        return found

    def _listens(self, plan: SessionPlan) -> bool:
        """Return whether a diarization pipeline has work to do."""
        return any(step.model == model for step in plan.pending.values() for model, _ in self._diarizers)

    def _look_with(self, session: Session, diarizer: tuple[str, str]) -> SessionPlan:
        decoder, words = self._choose_decoder(session)
        lay_out = partial(self._lay_out, session, self._options, decoder, words, diarizer)
        plan = SessionPlan(session, words, lay_out)
        self._find_pending(plan)
        return plan

    def _lay_out(self, session: Session, *models: Any) -> SessionSteps:
        """Return a session's steps, given settings, decoder, key of the words and diarizer."""
        known, own = self._people[models[-1]], self._corrections.get(session.name, "")
        return steps_of(session, *models, known=known, corrections=own)

    def _choose_decoder(self, session: Session) -> tuple[Decoder, str]:
        """Return the decoder that most chunks of a session were made with, and the key of its words."""
        choices = []
        for decoder in self._decoders:
            words = words_key(session, self._options, decoder)
            found = self._results.names(words_folder(session.name, words)) if words else ()
            choices.append((len(found), decoder, words))
        # Of equals, the first: what suits this machine best.
        _, decoder, words = max(choices, key=lambda choice: choice[0])
        return decoder, words

    def _find_pending(self, plan: SessionPlan, forced: frozenset[str] = frozenset()) -> None:
        """Find the steps of a session that are due, those of forced rules and files among them."""
        results, noted = self._results, self._results.noted(plan.session.name)
        undone: set[Step | Folder] = set()
        for work in plan.plan.works:
            if isinstance(work, Folder):
                there = results.names(work.path)
                kept = frozenset() if work.rule in forced else there
                for name in work.names if forced or not kept.issuperset(work.names) else ():
                    if name not in kept or f"{work.path}/{name}" in forced:
                        step = work.step(name)
                        plan.pending[step.outputs[0]] = step
                        plan.missing.update(() if name in there else step.outputs)
                        undone.add(work)
                continue
            missing = [path for path in (*work.outputs, work.record) if not results.has(path)]
            settled = noted.get(work.name) == work.key
            if not settled and noted.get(work.name):
                plan.changed[work.name] = noted[work.name]
            if missing and settled:  # of what is not published, the record says that it may be absent
                left_out = results.record(work.record).get("left_out", ())
                plan.absent.update((path, work) for path in missing if path in left_out)
                missing = [path for path in missing if path not in left_out]
            is_forced = not forced.isdisjoint((work.rule, *work.outputs))
            if missing or not settled or is_forced or not undone.isdisjoint(work.needs):
                plan.pending[work.outputs[0]] = work
                plan.missing.update(missing if settled else (*missing, work.settings_file))
                undone.add(work)
        plan.absent = {path: step for path, step in plan.absent.items() if step not in undone}
        absent_audio.provide(plan, self.root)
        if self._left_out:
            plan.hold_back(self._left_out)

    def targets(self) -> list[str]:
        """Return the files to request from Snakemake, so that it makes everything that is due."""
        if not self.whole:
            return self._targets
        works = (work for session in self.sessions.values() for work in session.plan.works)
        return list(dict.fromkeys([*self._targets, *(files(work)[0] for work in works)]))

    def due(self) -> frozenset[str]:
        """Return what this run makes: outputs of pending steps and missing settings files, but no records."""
        return self._due

    @property
    def remarks(self) -> list[str]:
        """One line for each problem.

        These are enrolment clips and rows of the table of names that cannot be used, corrections files of
        sessions that there are not, results made with other settings, and sessions of which something cannot
        be done here.
        """
        blocked = [absent_audio.remark(plan) for plan in self.sessions.values() if plan.lacking]
        other = other_settings.warning(self.sessions.values(), self._results)
        return [*self._remarks, *([other] if other else []), *blocked]

    def preflight_task(self) -> dict[str, list[str]]:
        """Return the models that the pending work needs, up to the rules ``until``, for ``check_models``."""
        stages = list(STAGES)
        last = max(
            (stages.index(STAGE_OF[rule]) for rule in self.until if rule in STAGE_OF), default=len(stages)
        )
        wanted: dict[str, set[str]] = {"speech": set(), "diarization": set()}
        for session in self.sessions.values():
            for step in session.pending.values():
                if step.model and stages.index(step.stage) <= last:
                    wanted["speech" if step.stage == "transcribe" else "diarization"].add(step.model)
        return {kind: sorted(found) for kind, found in wanted.items()}

    def preflight(self) -> str:
        """Return the file that confirms that these models are available; others have another file."""
        return f"{PREFLIGHT}/{fingerprint(self.preflight_task())}.txt"

    def force(self, names: Iterable[str], *, everything: bool) -> None:
        """Make the steps of these rules or files due, and what follows from them."""
        forced = frozenset(STAGE_OF if everything else names)
        for plan in self.sessions.values() if forced else ():
            self._find_pending(plan, forced)
            self._results.forget()
        if forced:
            self._sum_up()

    def step(self, rule: str, wildcards: Mapping[str, str]) -> Step:
        """Return the step of a job.

        Raises:
            UserError: no session of the manifest, with the present settings, has such a step.
        """
        name = wildcards.get("session")
        session = self.sessions.get(name) if name else None
        works: Iterable[Step | Folder] = session.plan.works if session else ()
        if not name:  # an enrolled voice is nobody's in particular
            works = [people.folder for people in self._people.values() if people.folder]
        track = wildcards.get("track")
        for work in works:
            if work.rule != rule:
                continue
            if isinstance(work, Step):
                if track is None or work.name.endswith(f".{track}"):
                    return work
            elif wildcards.get("fp", work.key) == work.key:
                file = work.pattern.format(**wildcards)
                if session and (step := session.pending.get(f"{work.path}/{file}")):
                    return step
                if file in work.names:
                    return work.step(file)
        what = f"there is nothing to do for {rule}, as the manifest and the settings are"
        where = " ".join(wildcards.values())
        raise UserError(what, where=where, hint="`sessionscribe status` lists the sessions")

    def settings(self, session: str, name: str, key: str) -> dict[str, Any]:
        """Return what is written to a step's settings file.

        Raises:
            UserError: the step has other settings, or there is none of this name.
        """
        found = self.sessions.get(session)
        for work in found.plan.works if found else ():
            if isinstance(work, Step) and (work.name, work.key) == (name, key):
                return work.settings
        what = f"{name} has no settings with the key {key}, as the manifest and config.yaml are"
        raise UserError(what, where=session, hint="`sessionscribe status` lists the sessions")

    def inputs(self, step: Step) -> dict[str, str | list[str]]:
        """Return the files that a job reads, by name; of a ``Listed`` folder those that this run makes."""
        found: dict[str, str | list[str]] = {} if step.keyed else {"settings": step.settings_file}
        for name, value in step.inputs.items():
            if isinstance(value, list):
                found[name] = [path for source in value for path in self._read(source)]
            else:
                (found[name],) = paths(value)
        return found

    def _read(self, source: Any) -> Iterable[str]:
        listed = isinstance(source, Listed) and not self.whole
        return [path for path in paths(source) if path in self._due] if listed else paths(source)

    def audio(self) -> dict[str, dict[str, float]]:
        """Return the seconds of audio that pending steps work on, by rule and first output.

        A track's chunks count as equally long; of other rules than those that work through audio there is
        nothing.
        """
        found: defaultdict[str, dict[str, float]] = defaultdict(dict)
        for session in self.sessions.values():
            lasts = {row.track: row.duration_s for row in session.session.rows}
            live, totals = session.session.layout == "live", session.totals
            for first, step in session.pending.items():
                match step.rule:
                    case "convert_audio" | "plan_chunks":
                        found[step.rule][first] = lasts[step.name.partition(".")[2]]
                    case "transcribe_chunk":
                        whole_s = lasts[step.name.partition(".")[0]]
                        chunks = 1 if live else chunk_count(whole_s, self._options["chunk"]["target_s"])
                        found[step.rule][first] = whole_s / chunks
                    case "embed_chunk":
                        found[step.rule][first] = sum(lasts.values()) / totals[step.rule]
        return found

    def found(self) -> set[str]:
        """Return the files that pending steps read and that this run does not make."""
        pending = {step for session in self.sessions.values() for step in session.pending.values()}
        read = {path for step in pending for source in sources(step.inputs) for path in paths(source)}
        return (read | {step.settings_file for step in pending if not step.keyed}) - self._due

    def is_unavailable(self, path: str) -> bool:
        """Return whether a file cannot be made here, and jobs can do without it."""
        return path in self._unavailable

    def is_due(self, path: str) -> bool:
        """Return whether this run makes a file."""
        return path in self._due

    def awaits_models(self, step: Step) -> bool:
        """Return whether a job has to wait until the models have been checked.

        The first job of a session waits too, so that hours of conversion do not come before the message.
        """
        if step.outputs[0] not in self._due:
            return False
        return self._needs_models if step.rule == "fetch_recording" else bool(step.model)

    def forget(self) -> None:
        """Remove the records of steps that will be redone although their settings and files exist.

        Those settings are written again where they are not what this clone would write: damaged, or others'.

        A run that dies when it has made only what comes before leaves them missing, not stale. Where the
        settings are missing, the job that writes them removes the record first: until then all is as it was.
        A corrected transcript of which all corrections were taken back goes, too: it must not be read as one.
        """
        for plan in self.sessions.values():
            rules = {work.rule for work in plan.plan.works} if plan.pending else set()
            if "write_export" in rules and "correct_transcript" not in rules:
                noted = self._results.noted(plan.session.name)
                for path in correct.traces(plan.session.name, noted):
                    self._results.remove(path)
            kept = set(plan.absent.values())  # what is made again for others alone is as good as before
            for step in plan.pending.values():
                if step.keyed or step.settings_file in plan.missing:
                    continue
                renew_settings(self.root / step.settings_file, step.settings)
                if step not in kept:
                    self._results.remove(step.record)
