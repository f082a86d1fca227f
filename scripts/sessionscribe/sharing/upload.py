"""Upload results to where the recordings are, or to a folder.

``results/upload/uploads.tsv`` lists which files were sent where, from which recording and in which version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from sessionscribe.artifacts.plan import Timeline
from sessionscribe.artifacts.provenance import Provenance
from sessionscribe.audio import playback
from sessionscribe.config.settings import Upload
from sessionscribe.core import tables
from sessionscribe.core.errors import UserError, complain
from sessionscribe.core.files import sha256, write_many, write_text
from sessionscribe.manifest import manifest
from sessionscribe.manifest.manifest import Row
from sessionscribe.manifest.sources import LISTENING, TRANSCRIPT
from sessionscribe.planning.session import SessionPlan
from sessionscribe.planning.steps import paths
from sessionscribe.sharing import sidecars
from sessionscribe.storage import drive_desktop, rclone, transfer
from sessionscribe.storage.locations import is_remote, join, name_of, parent, rclone_path

FOLDER = Path("results/upload")
TABLE = FOLDER / "uploads.tsv"
BESIDE = "beside"


class Sent(NamedTuple):
    """An uploaded file: its session, the recording and its checksum, the version of the result, the place."""

    session: str
    source: str
    checksum: str
    version: str
    place: str
    size: int
    sha256: str


@dataclass(frozen=True)
class UploadBatch:
    """Files of one version below ``root``, each with the recording that it was made from, for one folder."""

    root: Path
    files: dict[Path, Row]
    place: str
    version: str

    def sent(self) -> Iterator[Sent]:
        """Yield their rows of the table."""
        for path, row in self.files.items():
            place = join(self.place, path.relative_to(self.root).as_posix())
            size, digest = path.stat().st_size, sha256(path)
            yield Sent(row.session, row.source, row.checksum, self.version, place, size, digest)


def upload(session: SessionPlan, options: Upload, *, root: Path, delete: bool = False) -> list[Sent]:
    """Upload the finished files of a session; return the new and changed ones.

    With ``delete``, delete files that an earlier upload from here put there, that are unchanged since, and
    that the session no longer produces.

    Raises:
        UserError: there is nothing to upload, or the place cannot be written.
    """
    batches = list(_batches(session, options, root))
    if not batches:
        raise UserError("is not finished", where=session.session.name, hint="Run `sessionscribe run` first")
    known = set(read_table(root / TABLE))
    sent: list[Sent] = []
    for batch in batches:
        entries = dict(zip(batch.files, batch.sent(), strict=True))
        there = [path for path, entry in entries.items() if entry in known]
        place = _target(batch.place)
        transfer.upload(batch.files, batch.root, place, sent_before=there)
        sent += entries.values()
    with manifest.locked(root / TABLE):
        before = read_table(root / TABLE)
        places = {entry.place for entry in sent}
        stale = stale_entries(before, session.session.name, places)
        # Files that are not made yet, or can only be made elsewhere, are not stale.
        gone = stale if delete and _is_done(session) and not (options.audio and session.absent) else []
        gone = [entry for entry in gone if _delete(entry)]
        kept = [e for e in before if e.place not in places and e not in gone]
        rows = (map(str, entry) for entry in sorted([*kept, *sent]))
        write_text(root / TABLE, tables.text_of([Sent._fields, *rows]))
    return [entry for entry in sent if entry not in before]


def stale_entries(known: Iterable[Sent], session: str, places: Set[str]) -> list[Sent]:
    """Return a session's files that were sent to the folders of ``places`` but are not among these."""
    folders = {parent(place) for place in places}
    ours = (entry for entry in known if entry.session == session and parent(entry.place) in folders)
    return [entry for entry in ours if entry.place not in places]


def has_something(session: SessionPlan) -> bool:
    """Return whether a session, or a part of a live one, is finished."""
    if _is_done(session):
        return bool(session.steps)
    return session.session.layout == "live" and session.done("transcribe_chunk") > 0


def _is_done(session: SessionPlan) -> bool:
    """Return whether nothing of a session is due, here or where its recordings are."""
    return not session.pending and not session.blocked


def _target(place: str) -> str:
    """Return a place with its local path, if it is on this machine."""
    if drive_desktop.is_drive_desktop(place):
        return str(drive_desktop.find_new(place))
    return place if is_remote(place) else str(Path(place).absolute())


def _batches(session: SessionPlan, options: Upload, root: Path) -> Iterator[UploadBatch]:
    """Yield what to send: the exports of a finished session, the parts of a live one."""
    name, rows = session.session.name, session.session.rows
    place = parent(rows[0].source) if options.to == BESIDE else join(options.to, name)
    if rows[0].layout == "live" and session.done("transcribe_chunk") and (found := _parts(session, root)):
        yield UploadBatch(root / FOLDER / name, found, place, session.fp)
    if not _is_done(session):
        return
    export = session.of("write_export")[0]
    record = Provenance.read(root / export.record)
    version = record.key
    for entry in record.outputs:
        if sha256(root / entry.path) != entry.sha256:
            what = "was changed or damaged after its job had written it"
            raise UserError(what, where=entry.path, hint="Delete it and run again, then upload")
    exports = dict.fromkeys((root / path for path in export.outputs), rows[0])
    yield UploadBatch(root / f"results/export/{name}", exports, place, version)
    if options.audio and not session.absent:  # audio that others have converted may not be here
        copy = _listening_copy(session, root, LISTENING if options.to == BESIDE else ".m4a")
        yield UploadBatch(copy.parent, {copy: rows[0]}, place, version)
    if rows[0].layout == "live":
        (transcript,) = paths(export.inputs["transcript"])
        whole = root / FOLDER / name / "transcription.json"
        _write_changed(whole.parent, {whole.name: (root / transcript).read_bytes()})
        yield UploadBatch(whole.parent, {whole: rows[0]}, place, version)


def _listening_copy(session: SessionPlan, root: Path, ending: str) -> Path:
    """Return a session's listening copy, made again if its audio has changed."""
    name = session.session.name
    copy = root / FOLDER / name / f"{name}{ending}"
    mark = copy.with_name(f".{copy.name}.made-of")
    made_of = " ".join(step.key for step in [*session.of("convert_audio"), *session.of("build_timeline")])
    if not copy.is_file() or not mark.is_file() or mark.read_text(encoding="utf-8") != made_of:
        timeline = Timeline.read(root / f"results/chunk/{name}.timeline.json")
        playback.write_m4a(timeline, root / f"results/convert/{name}", copy)
        write_text(mark, made_of)
    return copy


def _parts(session: SessionPlan, root: Path) -> dict[Path, Row]:
    """Write the files to put beside the parts of a live session: transcripts and speaker embeddings."""
    folder = root / FOLDER / session.session.name
    found: dict[Path, Row] = {}
    contents: dict[str, bytes] = {}
    made = sidecars.made_of(session)
    for row in session.session.rows:
        if (transcript := sidecars.describe(session, row, made, root)) is not None:
            name = TRANSCRIPT.format(PurePosixPath(name_of(row.source)).stem)
            contents[name] = transcript.sealed().encode()
            found[folder / name] = row
    for made_here, name in sidecars.embeddings_of(session).items() if found else ():
        if made_here not in session.pending:
            if not (folder / name).exists():  # the name identifies the content
                contents[name] = (root / made_here).read_bytes()
            found[folder / name] = session.session.rows[0]
    _write_changed(folder, contents)
    return found


def _write_changed(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write the files whose content is new: of hundreds of parts, hardly any is."""
    there = {name: path.read_bytes() for name in contents if (path := folder / name).is_file()}
    write_many(folder, {name: data for name, data in contents.items() if there.get(name) != data})


def read_table(path: Path) -> list[Sent]:
    """Return the files uploaded so far."""
    rows = [cells for _, cells in tables.rows(tables.read_text(path) or "", path)]
    return [
        Sent(session, source, checksum, version, place, int(size), digest)
        for session, source, checksum, version, place, size, digest in rows[1:]
    ]


def _delete(entry: Sent) -> bool:
    """Delete a file that was sent, unless its content is different now; return whether it is gone."""
    there = rclone_path(_target(entry.place))
    try:
        digests = rclone.run("hashsum", "sha256", "--download", "--", there, where=entry.place)
        if digests[:64].decode() != entry.sha256:
            what = "was changed after it had been sent, so it stays"
            complain(UserError(what, where=entry.place, hint="Delete it by hand if need be"))
            return False
        rclone.run("deletefile", "--", there, where=entry.place)
    except rclone.RcloneError as error:
        if error.reason != "missing":
            raise
    return True
