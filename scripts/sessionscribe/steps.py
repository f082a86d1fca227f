"""The steps that lead from a session's recordings to its exports: their files, keys and order.

A step is what one job does. Its ``key`` is the fingerprint of all that determines its outputs, so that
"stale" and "missing" are the same question. Nothing here looks at results; ``agenda`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sessionscribe import models
from sessionscribe.chunk import chunk_count
from sessionscribe.config import Config
from sessionscribe.fingerprint import fingerprint, step_key
from sessionscribe.manifest import Row, Session

SUBTITLES = ("srt", "vtt")
STAGES = {
    "ingest": ("fetch_recording",),
    "convert": ("convert_audio",),
    "chunk": ("plan_chunks", "build_timeline"),
    "transcribe": ("detect_language", "transcribe_chunk"),
    "merge": ("merge_transcript",),
    "diarize": ("diarize_speakers", "assign_speakers"),
    "export": ("write_export",),
}
STAGE_OF = {rule: stage for stage, rules in STAGES.items() for rule in rules}
MODEL_RULES = ("detect_language", "transcribe_chunk", "diarize_speakers")


@dataclass(frozen=True, eq=False)
class Step:
    """What one job does for a session.

    ``record`` is the job's provenance file; it is empty where the outputs' own name holds the key. When a
    step of ``needs`` is redone, this one is too; a step of ``uses`` only has to be there (its content is
    the same whenever it is made, because its key is in ours). ``task`` is what the job is told.
    """

    rule: str
    session: str
    outputs: tuple[str, ...]
    key: str
    record: str = ""
    needs: tuple[Step, ...] = ()
    uses: tuple[Step, ...] = ()
    task: dict[str, Any] = field(default_factory=dict)

    @property
    def stage(self) -> str:
        """The stage word of this step."""
        return STAGE_OF[self.rule]


@dataclass(frozen=True)
class Decoder:
    """The speech model and number format that a session is transcribed with."""

    model: str
    compute_type: str
    identity: str


def decoders(config: Config, identity: Callable[[str], str]) -> Iterator[Decoder]:
    """Yield what ``auto`` may stand for, best first; one decoder where nothing is ``auto``."""
    options = config.transcribe
    machine = models.machine_device()
    devices = (
        [options.device] if options.device != "auto" else [machine, "cpu" if machine == "cuda" else "cuda"]
    )
    seen = set()
    for device in devices:
        name = models.AUTO_MODEL[device] if options.model == "auto" else options.model
        kind = models.AUTO_COMPUTE_TYPE[device] if options.compute_type == "auto" else options.compute_type
        if (name, kind) not in seen:
            seen.add((name, kind))
            model = models.resolve(name, models.WHISPER, setting="transcribe.model")
            yield Decoder(model, kind, identity(model))


class SessionSteps:
    """The steps of one session, in an order in which each comes after those that it needs.

    Args:
        session: its rows of the manifest.
        config: the settings.
        decoder: what transcribes it.
        diarizer: the diarization pipeline (folder or hub id) and its identity.
    """

    def __init__(self, session: Session, config: Config, decoder: Decoder, diarizer: tuple[str, str]) -> None:
        self.session, self.config, self.decoder, self.diarizer = session, config, decoder, diarizer
        self.steps: list[Step] = []
        self.fp = ""
        unusable = [row for row in session.rows if not row.checksum or row.duration_s <= 0]
        if session.problem or unusable:
            # These jobs fail with one clear line, so that the session is marked and the others go on.
            for row in unusable or session.rows[:1]:
                self._fetch(row)
            return
        plans = [self._plan(self._convert(self._fetch(row), row), row) for row in session.rows]
        timeline = self._timeline(plans)
        self.fp = self._fingerprint()
        language = self._language(plans)
        chunks = [chunk for plan in plans for chunk in self._chunks(plan, language)]
        merged = self._merge(timeline, plans, chunks)
        spoken = self._assign(merged, self._diarize(timeline, plans), timeline)
        for name in config.export.formats:
            self._export(name, spoken)

    def _add(self, rule: str, name: str, outputs: tuple[str, ...], key: str, **more: Any) -> Step:
        record = f"results/provenance/{self.session.name}/{rule}{name}.json"
        task = {"session": self.session.name, "key": key, **more.pop("task", {})}
        step = Step(rule, self.session.name, outputs, key, more.pop("record", record), task=task, **more)
        self.steps.append(step)
        return step

    def _fetch(self, row: Row) -> Step:
        output = f"results/ingest/{row.session}/{row.track}.json"
        key = step_key("fetch_recording", row.source, row.checksum, row.duration_s, self.session.problem)
        task = {
            "track": row.track,
            "source": row.source,
            "checksum": row.checksum,
            "duration_s": row.duration_s,
            "problem": self.session.problem,
        }
        return self._add("fetch_recording", f".{row.track}", (output,), key, task=task)

    def _convert(self, fetched: Step, row: Row) -> Step:
        options = self.config.convert.model_dump(mode="json")
        if row.audio_stream is not None:
            options["audio_stream"] = row.audio_stream
        stem = f"results/convert/{row.session}/{row.track}"
        key = step_key("convert_audio", row.checksum, options)
        return self._add(
            "convert_audio",
            f".{row.track}",
            (f"{stem}.flac", f"{stem}.json"),
            key,
            uses=(fetched,),  # a recording that was moved is looked at again, and not converted again
            task={"ingest": fetched.outputs[0], "options": options},
        )

    def _plan(self, converted: Step, row: Row) -> Step:
        options = self.config.chunk.model_dump(mode="json")
        chunks = 1 if row.shape == "live" else chunk_count(row.duration_s, self.config.chunk.target_s)
        key = step_key("plan_chunks", converted.key, options, chunks)
        output = f"results/chunk/{row.session}/{row.track}.plan.json"
        task = {"track": row.track, "chunks": chunks, "options": options}
        return self._add("plan_chunks", f".{row.track}", (output,), key, needs=(converted,), task=task)

    def _timeline(self, plans: list[Step]) -> Step:
        rows = self.session.rows
        task = {
            "shape": self.session.shape,
            "plans": [plan.outputs[0] for plan in plans],
            "parts": [row.part for row in rows],
            "speakers": [(row.speaker or row.track) if row.shape == "tracks" else None for row in rows],
        }
        key = step_key("build_timeline", [plan.key for plan in plans], task["parts"], task["speakers"])
        output = f"results/chunk/{self.session.name}.timeline.json"
        return self._add("build_timeline", "", (output,), key, needs=tuple(plans), task=task)

    def _transcribe_options(self) -> dict[str, Any]:
        words = f"{self.config.transcribe.hotwords} {self.session.setting('hotwords')}".strip()
        return self.config.transcribe.model_dump(mode="json") | {
            "model": self.decoder.model,
            "compute_type": self.decoder.compute_type,
            "language": str(self.session.setting("language") or self.config.transcribe.language),
            "hotwords": words,
        }

    def _fingerprint(self) -> str:
        """Name all that determines the words but, of a live session, the parts: their names say which."""
        live = self.session.shape == "live"
        options = self._transcribe_options() | {"model": self.decoder.identity}
        for speed_only in ("device", "batch_size"):
            del options[speed_only]
        return fingerprint(
            [step_key(rule) for rule in ("plan_chunks", "detect_language", "transcribe_chunk")],
            None if live else [(row.track, row.checksum, row.duration_s) for row in self.session.rows],
            [row.audio_stream for row in (self.session.rows[:1] if live else self.session.rows)],
            self.config.convert.model_dump(mode="json"),
            self.config.chunk.model_dump(mode="json"),
            options,
        )

    def _language(self, plans: list[Step]) -> Step:
        # A live session's first parts decide: later ones must not change what is already transcribed.
        voters = plans[:10] if self.session.shape == "live" else plans
        task = {
            "plans": [plan.outputs[0] for plan in voters],
            "audio": [plan.needs[0].outputs[0] for plan in voters],
            "options": self._transcribe_options(),
        }
        output = f"results/transcribe/{self.session.name}/{self.fp}/language.json"
        return self._add("detect_language", "", (output,), self.fp, record="", uses=tuple(voters), task=task)

    def _chunks(self, plan: Step, language: Step) -> Iterator[Step]:
        folder = f"results/transcribe/{self.session.name}/{self.fp}"
        for index in range(plan.task["chunks"]):
            task = {
                "track": plan.task["track"],
                "index": index,
                "language": [language.outputs[0]],
                "options": self._transcribe_options(),
            }
            output = f"{folder}/{plan.task['track']}.{index:04d}.json"
            uses = (plan, plan.needs[0], language)
            yield self._add("transcribe_chunk", "", (output,), self.fp, record="", uses=uses, task=task)

    def _merge(self, timeline: Step, plans: list[Step], chunks: list[Step]) -> Step:
        options = self.config.merge.model_dump(mode="json")
        key = step_key("merge_transcript", self.fp, timeline.key, options)
        task = {
            "options": options,
            "plans": [plan.outputs[0] for plan in plans],
            "chunks": [chunk.outputs[0] for chunk in chunks],
        }
        needs = (timeline, *plans, *chunks)
        output = f"results/merge/{self.session.name}.json"
        return self._add("merge_transcript", "", (output,), key, needs=needs, task=task)

    def _diarize(self, timeline: Step, plans: list[Step]) -> Step:
        output = f"results/diarize/{self.session.name}.turns.json"
        audio = [plan.needs[0].outputs[0] for plan in plans]
        task: dict[str, Any] = {"audio": audio, "plans": [plan.outputs[0] for plan in plans]}
        if self.session.shape == "tracks":
            key = step_key("diarize_speakers", timeline.key)
            task |= {"method": "tracks", "options": {}}
            return self._add("diarize_speakers", "", (output,), key, needs=(timeline, *plans), task=task)
        options = self.config.diarize.model_dump(mode="json")
        for name in ("num_speakers", "min_speakers", "max_speakers"):
            options[name] = self.session.setting(name) or options[name]
        options["model"] = self.diarizer[0]
        identified = options | {"model": self.diarizer[1], "device": None}
        key = step_key(
            "diarize_speakers", [plan.needs[0].key for plan in plans], timeline.task["parts"], identified
        )
        converted = tuple(plan.needs[0] for plan in plans)
        task |= {"method": "pyannote", "options": options}
        return self._add("diarize_speakers", "", (output,), key, uses=(timeline, *converted), task=task)

    def _assign(self, merged: Step, turns: Step, timeline: Step) -> Step:
        key = step_key("assign_speakers", merged.key, turns.key)
        output = f"results/diarize/{self.session.name}.json"
        task = {"turns": [turns.outputs[0]]}
        return self._add("assign_speakers", "", (output,), key, needs=(merged, turns, timeline), task=task)

    def _export(self, name: str, spoken: Step) -> None:
        every = self.config.export.model_dump(mode="json")
        # Only subtitles depend on the lengths of lines and cues.
        options = {k: v for k, v in every.items() if k == "names" or (name in SUBTITLES and k != "formats")}
        key = step_key("write_export", name, spoken.key, options)
        output = f"results/export/{self.session.name}/{self.session.name}.{name}"
        task = {"options": options, "format": name}
        self._add("write_export", f".{name}", (output,), key, needs=(spoken,), task=task)
