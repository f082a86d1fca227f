"""Compares the steps of all sessions with the existing files: what is missing or stale has to run.

A step's settings are an input file whose name contains the key of everything that determines its outputs
(``results/settings/{session}/{step}.{key}.json``), so what is stale is missing. A step is due if its settings
file, its record or an output is missing, or if a step among its inputs is due. A scan needs a few listings
per session and reads nothing. File times do not matter, so files made elsewhere count as well. Only due steps
become part of Snakemake's DAG.
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
from sessionscribe.planning.results import Results, renew_settings
from sessionscribe.planning.session import SessionPlan
from sessionscribe.planning.steps import (
    STAGE_OF,
    STAGES,
    Folder,
    Listed,
    SessionSteps,
    Step,
    finish,
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
    "`make setup LIGHT=0` installs them; `diarize.model: off` turns this message off"
)
MANIFEST = str(Config.model_fields["manifest"].default)
HINT = "`sessionscribe status` lists the sessions"


class Plan:
    """The steps of all sessions, compared with the files below ``root``.

    Args:
        config: the settings.
        root: the project's folder; all paths of steps are relative to it.

    Attributes:
        formats: the export formats.
        sessions: the plans of the chosen sessions, by name.
        due: the files that this run makes, except records.
        unavailable: files that cannot be made here and that other jobs can do without.
        whole: whether Snakemake also shows finished steps.
        until: the rules at which the run stops; empty: none.
        measured: sessions that get another number of chunks than by the manifest, because of the lengths of
            their conversions.
    """

    def __init__(self, config: Config, root: Path = Path()) -> None:
        self.root, self.whole = root, False
        self.until: tuple[str, ...] = ()
        self.measured: set[str] = set()
        self.formats = tuple(with_pictures(config.export.formats))
        self._results = Results(root)
        self._options = config.model_dump(mode="json")
        identity = cache(models.identity)
        self._diarizers = diarizers(config, identity)
        self._decoders = list(decoders(config, identity))
        skipped = config.batch.left_out
        self._skipped = set((root / skipped).read_text("utf-8").splitlines()) if skipped else set()
        self._corrections = corrections.checksums(root)
        found = manifest.read(root / config.manifest)
        if config.manifest != MANIFEST:
            found = manifest.without_clash(found, Path(config.manifest), root / MANIFEST)
        chosen = set(config.sessions)
        if unknown := chosen - found.keys():
            raise errors.unknown_session(min(unknown), found, root / config.manifest)
        enrolled = enrollment.read(config.name.voices, root)
        table = speaker_map.read(root / config.name.table, found)
        self._warnings = [*enrolled.problems, *table.problems, *corrections.strays(self._corrections, found)]
        self._people = {
            diarizer: people(enrolled.clips, table, self._options, diarizer) for diarizer in self._diarizers
        }
        self.sessions = {name: self._scan(s) for name, s in found.items() if not chosen or name in chosen}
        self._results = Results(root)  # the listings of a large archive take megabytes
        self._sum_up()

    def _sum_up(self) -> None:
        sessions = self.sessions.values()
        pending = [step for session in sessions for step in session.pending.values()]
        missing = {path for session in sessions for path in session.missing}
        settings = {step.settings_file for step in pending if not step.keyed}
        self.due = frozenset({path for step in pending for path in step.outputs} | settings & missing)
        self.unavailable = frozenset(path for session in sessions for path in session.unavailable)
        # All sessions share the jobs for enrolled voices.
        self._targets = list(dict.fromkeys(path for session in sessions for path in session.targets()))
        self._needs_models = any(step.model for step in pending)

    def _scan(self, session: Session) -> SessionPlan:
        """Return a session's plan, with the models that most of its results were made with."""
        if older.is_older(self._results, session.name):
            options, models_of = self._options, (self._decoders, self._diarizers)
            older.adopt(session, options, *models_of, partial(self._lay_out, session), root=self.root)
            self._results.forget()
        best, *others = self._diarizers
        plan = self._scan_with(session, best)
        if converted := self._converted_lengths(plan):
            session = session.with_lengths(converted)
            plan = self._scan_with(session, best)
            if any(step.rule == "plan_chunks" for step in plan.pending.values()):
                self.measured.add(session.name)
        # Without torch, existing speakers are kept but none can be found.
        unable = bool(others) and others[-1][0] == OFF
        begun = unable or session.name in self._results.names("results/diarize")
        if begun and self._needs_pipeline(plan):
            plans = [plan, *(self._scan_with(session, other) for other in others)]
            plan = min(plans, key=self._needs_pipeline if unable else lambda each: len(each.pending))
            if unable and plan is plans[-1] and UNABLE not in self._warnings:
                self._warnings.append(UNABLE)
        if not plan.pending:
            plan.drop_steps()
        self._results.forget()
        return plan

    def _scan_with(self, session: Session, diarizer: tuple[str, str]) -> SessionPlan:
        decoder, words = self._choose_decoder(session)
        lay_out = partial(self._lay_out, session, self._options, decoder, words, diarizer)
        plan = SessionPlan(session, words, lay_out)
        self._find_pending(plan)
        return plan

    def _lay_out(self, session: Session, *models: Any) -> SessionSteps:
        """Return a session's steps for given settings, decoder, key of the words and diarizer."""
        known, own = self._people[models[-1]], self._corrections.get(session.name, "")
        return steps_of(session, *models, known=known, corrections=own)

    def _converted_lengths(self, plan: SessionPlan) -> dict[str, float]:
        """Return lengths of conversions (s), by track, that lead to another number of chunks.

        Tracks that are cut already keep their chunks.
        """
        found: dict[str, float] = {}
        target_s = self._options["chunk"]["target_s"]
        rows = {f"plan_chunks.{row.track}": row for row in plan.session.rows if row.layout != "live"}
        for step in plan.pending.values():
            if (row := rows.get(step.name)) is None:
                continue
            (audio,) = paths(step.inputs["audio"])
            if audio in plan.pending:
                continue
            samples = self._results.record(audio.removesuffix(".flac") + ".json").get("samples", 0)
            seconds, noted_s = samples / SAMPLE_RATE, row.duration_s
            is_other = samples and abs(seconds - noted_s) > tolerance_s(noted_s)
            if is_other and chunk_count(seconds, target_s) != chunk_count(noted_s, target_s):
                found[row.track] = seconds
        return found

    def _needs_pipeline(self, plan: SessionPlan) -> bool:
        """Return whether a pending step needs a diarization pipeline."""
        return any(step.model == model for step in plan.pending.values() for model, _ in self._diarizers)

    def _choose_decoder(self, session: Session) -> tuple[Decoder, str]:
        """Return the decoder that made most chunks of a session, and the key of its words."""
        choices = []
        for decoder in self._decoders:
            words = words_key(session, self._options, decoder)
            found = self._results.names(words_folder(session.name, words)) if words else ()
            choices.append((len(found), decoder, words))
        # `max` returns the first of equals: the best one for this machine.
        _, decoder, words = max(choices, key=lambda choice: choice[0])
        return decoder, words

    def _find_pending(self, plan: SessionPlan, forced: frozenset[str] = frozenset()) -> None:
        """Find the due steps of a session, including those of forced rules and files."""
        results, noted = self._results, self._results.noted(plan.session.name)
        undone: set[Step | Folder] = set()
        for work in plan.steps.works:
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
            if missing and settled:  # the record lists outputs that were not published
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
        if self._skipped:
            plan.hold_back(self._skipped)

    def targets(self) -> list[str]:
        """Return the files to request from Snakemake so that it makes everything that is due."""
        if not self.whole:
            return self._targets
        works = (work for session in self.sessions.values() for work in session.steps.works)
        return list(dict.fromkeys([*self._targets, *(work.outputs[0] for work in works)]))

    @property
    def warnings(self) -> list[str]:
        """One line for each problem.

        These are voice samples and rows of the table of names that cannot be used, corrections of unknown
        sessions, results made with other settings, and work that needs missing recordings.
        """
        blocked = [absent_audio.warning(plan) for plan in self.sessions.values() if plan.lacking]
        other = other_settings.warning(self.sessions.values(), self._results)
        return [*self._warnings, *([other] if other else []), *blocked]

    def preflight_task(self) -> dict[str, list[str]]:
        """Return the models that the pending steps up to ``until`` need, for ``check_models``."""
        stages = list(STAGES)
        last = max(
            (stages.index(STAGE_OF[rule]) for rule in self.until if rule in STAGE_OF), default=len(stages)
        )
        needed: dict[str, set[str]] = {"speech": set(), "diarization": set()}
        for session in self.sessions.values():
            for step in session.pending.values():
                if step.model and stages.index(step.stage) <= last:
                    needed["speech" if step.stage == "transcribe" else "diarization"].add(step.model)
        return {kind: sorted(found) for kind, found in needed.items()}

    def preflight(self) -> str:
        """Return the file that confirms that these models are available."""
        return f"{PREFLIGHT}/{fingerprint(self.preflight_task())}.txt"

    def force(self, names: Iterable[str], *, everything: bool) -> None:
        """Make the steps of rules or files due, and all that depend on them."""
        forced = frozenset(STAGE_OF if everything else names)
        for plan in self.sessions.values() if forced else ():
            self._find_pending(plan, forced)
            self._results.forget()
        if forced:
            self._sum_up()

    def step(self, rule: str, wildcards: Mapping[str, str]) -> Step:
        """Return the step of a job; of a job that writes settings, the step that they are for.

        Raises:
            UserError: with the present manifest and settings, there is no such step.
        """
        session = self.sessions.get(wildcards.get("session", ""))
        works: Iterable[Step | Folder] = session.steps.works if session else ()
        if "session" not in wildcards:  # an enrolled voice belongs to no session
            works = [people.folder for people in self._people.values() if people.folder]
        track = wildcards.get("track")
        for work in works:
            if rule == "note_settings":
                if isinstance(work, Step) and (work.name, work.key) == (wildcards["step"], wildcards["fp"]):
                    return work
            elif work.rule != rule:
                continue
            elif isinstance(work, Step):
                if track is None or work.name.endswith(f".{track}"):
                    return work
            elif wildcards.get("fp", work.key) == work.key:
                file = work.pattern.format(**wildcards)
                if session and (step := session.pending.get(f"{work.path}/{file}")):
                    return step
                if file in work.names:
                    return work.step(file)
        what = f"there is nothing to do for {rule} with the present manifest and settings"
        raise UserError(what, where=" ".join(wildcards.values()), hint=HINT)

    def inputs(self, step: Step) -> dict[str, str | list[str]]:
        """Return the files that a job reads, by name; of a ``Listed`` folder, those that this run makes."""
        found: dict[str, str | list[str]] = {} if step.keyed else {"settings": step.settings_file}
        for name, value in step.inputs.items():
            if isinstance(value, list):
                found[name] = [path for source in value for path in self._read(source)]
            else:
                (found[name],) = paths(value)
        return found

    def _read(self, source: Any) -> Iterable[str]:
        listed = isinstance(source, Listed) and not self.whole
        return [path for path in paths(source) if path in self.due] if listed else paths(source)

    def audio(self) -> dict[str, dict[str, float]]:
        """Return the seconds of audio that pending steps process, by rule and first output."""
        found: defaultdict[str, dict[str, float]] = defaultdict(dict)
        for session in self.sessions.values():
            for first, step in session.pending.items():
                if step.audio_s:
                    found[step.rule][first] = step.audio_s
        return found

    def existing_inputs(self) -> set[str]:
        """Return the files that pending steps read and that this run does not make."""
        pending = {step for session in self.sessions.values() for step in session.pending.values()}
        read = {path for step in pending for source in sources(step.inputs) for path in paths(source)}
        return (read | {step.settings_file for step in pending if not step.keyed}) - self.due

    def awaits_models(self, step: Step) -> bool:
        """Return whether a job has to wait until the models have been checked.

        A session's first job waits as well, or the message would come after hours of conversion.
        """
        if step.outputs[0] not in self.due:
            return False
        return self._needs_models if step.rule == "fetch_recording" else bool(step.model)

    def remove_records(self) -> None:
        """Remove the records of steps that will be redone although their settings and files exist.

        So these steps stay due if the run dies in between. If the settings file is missing, the job that
        writes it removes the record. Existing settings files are rewritten if they are damaged or another
        clone's. A corrected transcript of which all corrections were withdrawn is removed as well.
        """
        for plan in self.sessions.values():
            rules = {work.rule for work in plan.steps.works} if plan.pending else set()
            if "write_export" in rules and finish.CORRECT not in rules:
                for pattern in finish.CORRECTED:
                    for path in self.root.glob(pattern.format(session=plan.session.name)):
                        path.unlink()
            kept = set(plan.absent.values())  # recreated for other steps only
            for step in plan.pending.values():
                if step.keyed or step.settings_file in plan.missing:
                    continue
                renew_settings(self.root / step.settings_file, step.settings)
                if step not in kept:
                    self._results.remove(step.record)
