"""Work on a live session that another machine has done: found beside its parts, and taken over.

A transcript beside a part counts only where its keys are those that this machine would give: the same
content of the part, settings, models and versions. Then what it holds is put where the steps would have put
it, with their records, so that Snakemake's plan has no job for it and nothing needs the recording. What the
speakers' models found lies there too, in files of their own (``embeddings_of``).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path, PurePosixPath

from sessionscribe.artifacts.base import Artifact
from sessionscribe.artifacts.chunk_transcript import Language
from sessionscribe.artifacts.part_transcript import PartTranscript
from sessionscribe.artifacts.provenance import Output, Provenance
from sessionscribe.core.errors import UserError
from sessionscribe.core.files import write_many
from sessionscribe.manifest.additions import notes
from sessionscribe.manifest.manifest import Row
from sessionscribe.manifest.sources import TRANSCRIPT, Group
from sessionscribe.planning.session import SessionPlan
from sessionscribe.planning.settings_files import SETTINGS, clear, settings_text
from sessionscribe.planning.steps import Folder
from sessionscribe.sharing.sidecars import RULES, folder_of, steps_of
from sessionscribe.stages.ingest import remote as recordings
from sessionscribe.storage import transfer
from sessionscribe.storage.locations import is_remote, join, name_of, parent


@dataclass
class Beside:
    """The transcripts that lie beside the parts of live sessions; each is fetched when it is first read.

    ``folder`` takes what is fetched, ``s3_remote`` is the remote that stands for `s3://`.
    """

    folder: Path
    s3_remote: str = ""
    _there: set[str] = field(default_factory=set)
    _read: dict[str, PartTranscript | None] = field(default_factory=dict)

    def __contains__(self, source: str) -> bool:
        """Return whether a part has a transcript beside it."""
        return source in self._there

    def expect(self, groups: Iterable[Group]) -> None:
        """Note which parts have a transcript beside them, as a listing says."""
        transcribed = (file for group in groups for file in group.transcribed)
        self._there.update(notes(transcribed, Path()).values())

    def read(self, sources: Iterable[str]) -> dict[str, PartTranscript]:
        """Return those that can be used, by the source of the part; others' files are left out."""
        wanted = [source for source in sources if source in self._there]
        new = {_beside(source): source for source in wanted if source not in self._read}
        for place, path in fetched(new, self.folder, self.s3_remote):
            try:
                self._read[new[place]] = PartTranscript.read(path)
            except UserError:
                self._read[new[place]] = None
        return {source: found for source in wanted if (found := self._read.get(source))}

    def durations(self, sources: Iterable[str]) -> dict[str, float]:
        """Return how long parts are (s), by the checksum of their content."""
        return {found.checksum: found.duration_s for found in self.read(sources).values()}


@contextmanager
def beside(groups: Iterable[Group], s3_remote: str) -> Iterator[Beside]:
    """Yield the transcripts beside the parts of these groups; what is fetched goes when the block ends."""
    with tempfile.TemporaryDirectory(prefix="sessionscribe-") as folder:
        found = Beside(Path(folder), s3_remote)
        found.expect(groups)
        yield found


def fetched(places: Iterable[str], folder: Path, s3_remote: str) -> Iterator[tuple[str, Path]]:
    """Yield the files that are there, each with its path on this machine."""
    remote = []
    for place in places:
        with suppress(UserError):  # nothing of that name in Google Drive's folders
            path = recordings.local_path(place)
            if path is None:
                remote.append(place)
            elif path.is_file():
                yield place, path
    yield from transfer.fetch(remote, folder, s3_remote=s3_remote)


def _beside(source: str) -> str:
    """Return where the transcript of a part lies."""
    return _in_folder_of(source, TRANSCRIPT.format(PurePosixPath(name_of(source)).stem))


def _in_folder_of(source: str, name: str) -> str:
    folder = parent(source)
    return join(folder, name) if is_remote(source) else f"{folder}/{name}"


def take(session: SessionPlan, found: Beside, root: Path) -> int:
    """Put in place what another machine has made of a live session; return of how many parts.

    Args:
        session: its steps; what is done here already stays as it is.
        found: the transcripts beside its parts.
        root: the project's folder.
    """
    if session.session.layout != "live":
        return 0
    rows = {
        row.source: row
        for row in session.session.rows
        if f"{folder_of(session)}/{row.track}.0000.json" in session.pending
    }
    language, contents, taken = _settled_language(session, root), {}, 0
    for source, document in found.read(rows).items():
        spoken = document.work.language
        # The language is settled once for a session: here, or by the first part that is taken over.
        if not _fits(session, rows[source], document) or (language or spoken).language != spoken.language:
            continue
        if language is None:
            language = spoken.model_copy(update={"session": session.session.name})
            contents[f"{folder_of(session)}/language.json"] = language.sealed().encode()
        contents |= _files_of_part(session, rows[source], document)
        taken += 1
    for path in contents:
        if path.startswith(SETTINGS):
            clear(root / path)
    write_many(root, contents)
    if taken:
        _take_embeddings(session, found, root)
    return taken


def _settled_language(session: SessionPlan, root: Path) -> Language | None:
    path = root / folder_of(session) / "language.json"
    return Language.read(path) if path.exists() else None


def _fits(session: SessionPlan, row: Row, document: PartTranscript) -> bool:
    """Return whether a transcript is of this content, and is what this machine would make of it."""
    steps, plan = steps_of(session, row), document.work.plan
    whole = len(plan.cores) == 1 and plan.samples == document.work.conversion.samples
    keys = {rule: steps[rule].key for rule in RULES}
    return whole and document.checksum == row.checksum and document.work.keys == keys


def _files_of_part(session: SessionPlan, row: Row, document: PartTranscript) -> dict[str, bytes]:
    """Return what the steps of a part would have written, by path; of each step the record comes last."""
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
    """Put in place what the speakers' models found in stretches of which all parts are the same."""
    from sessionscribe.stages.diarize.embeddings import Embeddings  # noqa: PLC0415 -- heavy

    beside = session.session.rows[0].source
    wanted = {
        _in_folder_of(beside, name): path
        for path, name in embeddings_of(session).items()
        if path in session.pending
    }
    for place, file in fetched(wanted, found.folder, found.s3_remote):
        try:
            embeddings = Embeddings.read(file)
        except UserError:
            continue  # damaged: made again
        about = embeddings.about.model_copy(update={"session": session.session.name})
        replace(embeddings, about=about).write(root / wanted[place])


def embeddings_of(session: SessionPlan) -> dict[str, str]:
    """Return the files of a live session's embeddings, each with what it is called beside the parts."""
    return {
        f"{work.path}/{name}": f"speakers-{work.key}-{name}"
        for work in session.plan.works
        if isinstance(work, Folder) and work.rule == "embed_chunk"
        for name in work.names
    }
