"""Sidecars: the files beside the parts of a live session, for other programs and other machines.

A part's transcript contains its words, what they were made of and with, and (``work``) the results of all
steps, so another machine needs neither the recording nor a GPU for that part. Speaker embeddings are files of
their own (``embeddings_of``). A machine adopts a transcript only if its keys are those that it would assign
itself: the same audio, settings, models and versions. Then its contents are written where the steps would
have written them, with records, so no job is due.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from sessionscribe.artifacts.base import Artifact
from sessionscribe.artifacts.chunk_transcript import ChunkTranscript, Language
from sessionscribe.artifacts.part_transcript import Audio, PartTranscript, Said, SaidWord, Work
from sessionscribe.artifacts.plan import ChunkPlan
from sessionscribe.artifacts.provenance import Output, Provenance
from sessionscribe.artifacts.recording import Conversion, Ingest
from sessionscribe.artifacts.transcript import Made
from sessionscribe.core.errors import UserError
from sessionscribe.core.text import join_words
from sessionscribe.manifest.additions import notes
from sessionscribe.manifest.manifest import Row
from sessionscribe.manifest.sources import TRANSCRIPT, Group
from sessionscribe.planning.session import SessionPlan
from sessionscribe.planning.session_files import write_files
from sessionscribe.planning.settings_files import settings_text
from sessionscribe.planning.steps import Folder, Step
from sessionscribe.sharing.places import fetched
from sessionscribe.storage.locations import join, name_of, parent

PREPARING = ("fetch_recording", "convert_audio", "plan_chunks")
"""The rules that prepare a part, each with a record."""
RULES = ("convert_audio", "plan_chunks", "transcribe_chunk")
"""The rules whose keys tell whether a transcript is what this machine would make."""
ABOUT_WORDS = ("convert", "chunk", "transcribe")
"""The stages whose settings affect the words of a part."""


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
    """Return the transcript to put beside a part; None if the part is not transcribed.

    ``made`` is the result of ``made_of``, the same for all parts.

    Raises:
        UserError: a result is damaged.
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
    """Return the model and settings of a live session's words."""
    (spoken,) = session.of("assign_speakers")
    made: dict[str, Any] = spoken.settings["made"]
    settings = {stage: dict(made["settings"].get(stage, {})) for stage in ABOUT_WORDS}
    settings["transcribe"].pop("model", None)  # a path on this machine
    return Made(sources={}, models={"speech": made["models"]["speech"]}, settings=settings, versions={})


@dataclass
class Beside:
    """Transcripts beside the parts of live sessions, downloaded to ``folder`` when they are first read."""

    folder: Path
    _there: set[str]
    _read: dict[str, PartTranscript | None] = field(default_factory=dict)

    def __contains__(self, source: str) -> bool:
        """Return whether a part has a transcript beside it."""
        return source in self._there

    def read(self, sources: Iterable[str]) -> dict[str, PartTranscript]:
        """Return the valid transcripts, by the source of the part."""
        wanted = [source for source in sources if source in self._there]
        new = {_beside(source): source for source in wanted if source not in self._read}
        for place, path in fetched(new, self.folder):
            try:
                self._read[new[place]] = PartTranscript.read(path)
            except UserError:
                self._read[new[place]] = None
        return {source: found for source in wanted if (found := self._read.get(source))}

    def durations(self, sources: Iterable[str]) -> dict[str, float]:
        """Return the durations of parts (s), by the checksum of their content."""
        return {found.checksum: found.duration_s for found in self.read(sources).values()}


@contextmanager
def beside(groups: Iterable[Group]) -> Iterator[Beside]:
    """Yield the transcripts beside the parts of these groups; downloads are temporary."""
    transcribed = notes((file for group in groups for file in group.transcribed), Path())
    with tempfile.TemporaryDirectory(prefix="sessionscribe-") as folder:
        yield Beside(Path(folder), set(transcribed.values()))


def _beside(source: str) -> str:
    return join(parent(source), TRANSCRIPT.format(PurePosixPath(name_of(source)).stem))


def adopt(session: SessionPlan, found: Beside, root: Path) -> int:
    """Adopt what other machines have made of a live session, unless done here; return the number of parts."""
    if session.session.layout != "live":
        return 0
    rows = {
        row.source: row
        for row in session.session.rows
        if f"{folder_of(session)}/{row.track}.0000.json" in session.pending
    }
    contents, taken, path = {}, 0, root / folder_of(session) / "language.json"
    language = Language.read(path) if path.exists() else None
    for source, document in found.read(rows).items():
        spoken = document.work.language
        # The language is decided once per session: here, or by the first part that is adopted.
        if not _fits(session, rows[source], document) or (language or spoken).language != spoken.language:
            continue
        if language is None:
            language = spoken.model_copy(update={"session": session.session.name})
            contents[f"{folder_of(session)}/language.json"] = language.sealed().encode()
        contents |= _files_of_part(session, rows[source], document)
        taken += 1
    write_files(root, ((path, (data,)) for path, data in contents.items()))
    if taken:
        _take_embeddings(session, found, root)
    return taken


def _fits(session: SessionPlan, row: Row, document: PartTranscript) -> bool:
    """Return whether a transcript is of this audio, and what this machine would make of it."""
    steps, plan = steps_of(session, row), document.work.plan
    whole = len(plan.cores) == 1 and plan.samples == document.work.conversion.samples
    keys = {rule: steps[rule].key for rule in RULES}
    return whole and document.checksum == row.checksum and document.work.keys == keys


def _files_of_part(session: SessionPlan, row: Row, document: PartTranscript) -> dict[str, bytes]:
    """Return what the steps of a part would have written, by path; each step's record comes last."""
    work, steps, contents = document.work, steps_of(session, row), {}
    found: dict[str, Artifact] = {
        "fetch_recording": work.ingest.model_copy(update={"source": row.source, "path": row.source}),
        "convert_audio": work.conversion,
        "plan_chunks": work.plan,
        "transcribe_chunk": work.transcript,
    }
    for rule, artifact in found.items():
        step = steps[rule]
        if step.outputs[0] not in session.pending:
            continue
        data = artifact.model_copy(update={"session": row.session, "track": row.track}).sealed().encode()
        contents[step.outputs[-1]] = data
        if step.keyed:
            continue
        made = [Output(path=step.outputs[-1], size=len(data), sha256=sha256(data).hexdigest())]
        audio = [Output(path=path, **work.audio.model_dump()) for path in step.outputs[:-1]]
        record = Provenance(
            rule=rule,
            key=step.key,
            outputs=[*audio, *made],
            left_out=[entry.path for entry in audio],
            options=step.settings.get("options", {}),
            versions=document.made.versions,
            flags=work.flags.get(rule, []),
        )
        contents[step.settings_file] = settings_text(step.settings).encode()
        contents[step.record] = record.sealed().encode()
    return contents


def _take_embeddings(session: SessionPlan, found: Beside, root: Path) -> None:
    """Adopt the speaker embeddings of stretches whose parts are all the same."""
    from sessionscribe.stages.diarize.embeddings import Embeddings  # noqa: PLC0415 -- heavy

    folder = parent(session.session.rows[0].source)
    wanted = {
        join(folder, name): path for path, name in embeddings_of(session).items() if path in session.pending
    }
    for place, file in fetched(wanted, found.folder):
        try:
            embeddings = Embeddings.read(file)
        except UserError:
            continue  # damaged: computed again
        about = embeddings.about.model_copy(update={"session": session.session.name})
        replace(embeddings, about=about).write(root / wanted[place])


def embeddings_of(session: SessionPlan) -> dict[str, str]:
    """Return the paths of a live session's embeddings, each with its name beside the parts."""
    return {
        f"{work.path}/{name}": f"speakers-{work.key}-{name}"
        for work in session.plan.works
        if isinstance(work, Folder) and work.rule == "embed_chunk"
        for name in work.names
    }
