"""The transcript that lies beside a part of a live session: for others to read, and to be gone on from.

It has the part's words as other programs read them, what they were made of and with, and (``work``) all that
was found out about the part, so that another machine needs neither the recording nor its own GPU for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sessionscribe.artifacts.chunk_transcript import ChunkTranscript, Language
from sessionscribe.artifacts.part_transcript import Audio, PartTranscript, Said, SaidWord, Work
from sessionscribe.artifacts.plan import ChunkPlan
from sessionscribe.artifacts.provenance import Provenance
from sessionscribe.artifacts.recording import Conversion, Ingest
from sessionscribe.artifacts.transcript import Made
from sessionscribe.core.text import join_words
from sessionscribe.manifest.manifest import Row
from sessionscribe.planning.session import SessionPlan
from sessionscribe.planning.steps import Step
from sessionscribe.storage.locations import name_of

PREPARING = ("fetch_recording", "convert_audio", "plan_chunks")
"""The steps that prepare a part, each with a record."""
RULES = ("convert_audio", "plan_chunks", "transcribe_chunk")
"""The steps whose keys say whether a transcript is what this machine would make."""
ABOUT_WORDS = ("convert", "chunk", "transcribe")
"""The stages whose settings decide about the words of a part."""


def steps_of(session: SessionPlan, row: Row) -> dict[str, Step]:
    """Return the steps that prepare a part and transcribe it, by rule."""
    name, track = session.session.name, row.track
    paths = {
        "fetch_recording": f"results/ingest/{name}/{track}.json",
        "convert_audio": f"results/convert/{name}/{track}.json",
        "plan_chunks": f"results/chunk/{name}/{track}.plan.json",
        "transcribe_chunk": f"{folder_of(session)}/{track}.0000.json",
    }
    found = {rule: session.plan.find(path) for rule, path in paths.items()}
    return {rule: step for rule, step in found.items() if step is not None}


def folder_of(session: SessionPlan) -> str:
    """Return the folder of a live session's chunk transcripts."""
    return f"results/transcribe/{session.session.name}/{session.fp}"


def describe(session: SessionPlan, row: Row, made: Made, root: Path) -> PartTranscript | None:
    """Return what is to lie beside a part; None if it is not transcribed.

    Args:
        session: its steps.
        row: the part's.
        made: as ``made_of`` gives it.
        root: the project's folder.

    Raises:
        UserError: what lies in the results is damaged.
    """
    steps = steps_of(session, row)
    if "transcribe_chunk" not in steps or any(
        path in session.pending for step in steps.values() for path in step.outputs[:1]
    ):
        return None
    name = name_of(row.source)
    transcript = ChunkTranscript.read(root / steps["transcribe_chunk"].outputs[0])
    records = {rule: Provenance.read(root / steps[rule].record) for rule in PREPARING}
    converted = records["convert_audio"]
    ingest = Ingest.read(root / steps["fetch_recording"].outputs[0])
    (audio,) = (entry for entry in converted.outputs if entry.path.endswith(".flac"))
    return PartTranscript(
        part=row.part,
        source=name,
        checksum=row.checksum,
        duration_s=row.duration_s,
        language=transcript.language,
        segments=[
            Said(
                start=segment.start,
                end=segment.end,
                text=join_words(segment.words),
                words=[
                    SaidWord(word=w.text, start=w.start, end=w.end, probability=w.probability)
                    for w in segment.words
                ],
            )
            for segment in transcript.segments
        ],
        made=made.model_copy(update={"sources": {row.track: row.checksum}, "versions": converted.versions}),
        work=Work(
            keys={rule: steps[rule].key for rule in RULES},
            flags={rule: record.flags for rule, record in records.items() if record.flags},
            ingest=ingest.model_copy(update={"source": name, "path": name}),
            conversion=Conversion.read(root / steps["convert_audio"].outputs[1]),
            audio=Audio(size=audio.size, sha256=audio.sha256),
            plan=ChunkPlan.read(root / steps["plan_chunks"].outputs[0]),
            language=Language.read(root / folder_of(session) / "language.json"),
            transcript=transcript,
        ),
    )


def made_of(session: SessionPlan) -> Made:
    """Return what the words of a live session's parts are made with: model and settings, no part's own."""
    (spoken,) = session.of("assign_speakers")
    told: dict[str, Any] = spoken.settings["made"]
    settings = {stage: dict(told["settings"].get(stage, {})) for stage in ABOUT_WORDS}
    settings["transcribe"].pop("model", None)  # where it lies is this machine's matter
    return Made(sources={}, models={"speech": told["models"]["speech"]}, settings=settings, versions={})
