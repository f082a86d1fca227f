"""Results back to where the recordings are, or to a folder of your choice: sent once, listed, never mixed up.

Which files went where, made from which recording and in which version, is a table of its own beside what was
uploaded last (``results/upload/uploads.tsv``).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import astuple, dataclass, fields
from pathlib import Path, PurePosixPath

from sessionscribe.artifacts.plan import Timeline
from sessionscribe.artifacts.provenance import Provenance
from sessionscribe.audio import playback
from sessionscribe.config.settings import Upload
from sessionscribe.core.errors import UserError, complain
from sessionscribe.core.files import sha256, write_many, write_text
from sessionscribe.manifest import manifest
from sessionscribe.manifest.manifest import Row
from sessionscribe.manifest.sources import LISTENING, TRANSCRIPT
from sessionscribe.planning.session import SessionPlan
from sessionscribe.planning.steps import paths
from sessionscribe.sharing import adopt, sidecars
from sessionscribe.storage import drive_desktop, rclone, transfer
from sessionscribe.storage.locations import is_remote, join, name_of, parent, rclone_path

FOLDER = Path("results/upload")
TABLE = FOLDER / "uploads.tsv"
BESIDE = "beside"


@dataclass(frozen=True)
class Sent:
    """A file that was uploaded: of which session, made from what, in which version, to where."""

    session: str
    source: str
    checksum: str
    version: str
    place: str
    size: int
    sha256: str


@dataclass(frozen=True)
class UploadBatch:
    """Files of one version below ``root``, each with the recording it was made of, that go to one folder."""

    root: Path
    files: dict[Path, Row]
    place: str
    version: str

    def sent(self) -> Iterator[Sent]:
        """Yield what the table says about them."""
        for path, row in self.files.items():
            place = join_place(self.place, path.relative_to(self.root).as_posix())
            size, digest = path.stat().st_size, sha256(path)
            yield Sent(row.session, row.source, row.checksum, self.version, place, size, digest)


def join_place(folder: str, name: str) -> str:
    """Return a file's place in a remote or local folder."""
    return join(folder, name) if is_remote(folder) else str(PurePosixPath(folder) / name)


def upload(
    session: SessionPlan, options: Upload, *, root: Path, s3_remote: str, delete: bool = False
) -> list[Sent]:
    """Upload what is finished of a session; return what is new or changed there.

    Args:
        session: its steps.
        options: where to (it says so), and whether a listening copy goes along.
        root: the project's folder.
        s3_remote: the remote that stands for `s3://`.
        delete: remove files there that an earlier upload from here put there, that nobody changed since, and
            that are not made any more.

    Raises:
        UserError: there is nothing to upload, or the place cannot be written.
    """
    parcels = list(_parcels(session, options, root))
    if not parcels:
        raise UserError("is not finished", where=session.session.name, hint="Run `sessionscribe run` first")
    known = set(read_table(root / TABLE))
    sent: list[Sent] = []
    for bundle in parcels:
        entries = dict(zip(bundle.files, bundle.sent(), strict=True))
        there = [path for path, entry in entries.items() if entry in known]
        place = _target(bundle.place)
        transfer.upload(bundle.files, bundle.root, place, s3_remote=s3_remote, sent_before=there)
        sent += entries.values()
    with manifest.locked(root / TABLE):
        before = read_table(root / TABLE)
        places = {entry.place for entry in sent}
        stale = stale_entries(before, session.session.name, places)
        # Nothing says so of what is still to be made, or can only be made elsewhere.
        gone = stale if delete and _is_done(session) and not (options.audio and session.absent) else []
        gone = [entry for entry in gone if _delete(entry, s3_remote)]
        kept = [e for e in before if e.place not in places and e not in gone]
        _write_table(root / TABLE, [*kept, *sent])
    return [entry for entry in sent if entry not in before]


def stale_entries(known: Iterable[Sent], session: str, places: Set[str]) -> list[Sent]:
    """Return what was sent of a session to the folders of ``places`` and is not among these."""
    folders = {parent(place) for place in places}
    ours = (entry for entry in known if entry.session == session and parent(entry.place) in folders)
    return [entry for entry in ours if entry.place not in places]


def has_something(session: SessionPlan) -> bool:
    """Return whether something of a session is finished: all, or a part of a live one."""
    if _is_done(session):
        return bool(session.steps)
    return session.session.layout == "live" and session.done("transcribe_chunk") > 0


def _is_done(session: SessionPlan) -> bool:
    """Return whether nothing of a session is to be made, here or where its recordings are."""
    return not session.pending and not session.blocked


def _target(place: str) -> str:
    """Return a place as rclone has it: a local one by its path on this machine."""
    if drive_desktop.is_drive_desktop(place):
        return str(drive_desktop.find_new(place))
    return place if is_remote(place) else str(Path(place).absolute())


def _parcels(session: SessionPlan, options: Upload, root: Path) -> Iterator[UploadBatch]:
    """Yield what there is to send: the exports of a finished session, the parts of a live one."""
    name, rows = session.session.name, session.session.rows
    beside = parent(rows[0].source)
    place = beside if options.to == BESIDE else join_place(options.to, name)
    if rows[0].layout == "live" and session.done("transcribe_chunk") and (found := _parts(session, root)):
        yield UploadBatch(root / FOLDER / name, found, place, session.fp)
    if not _is_done(session):
        return
    export = session.of("write_export")[0]
    record = Provenance.read(root / export.record)
    version = record.key
    for entry in record.outputs:
        if sha256(root / entry.path) != entry.sha256:
            what = "is not what the job that made it wrote: it was changed or damaged since"
            raise UserError(what, where=entry.path, hint="Delete it and run again, then upload")
    folder = root / f"results/export/{name}"
    yield UploadBatch(
        folder, dict.fromkeys((root / path for path in export.outputs), rows[0]), place, version
    )
    if options.audio and not session.absent:  # what others converted may not be here
        copy = _listening_copy(session, root, LISTENING if options.to == BESIDE else ".m4a")
        yield UploadBatch(copy.parent, {copy: rows[0]}, place, version)
    if rows[0].layout == "live":
        (transcript,) = paths(export.inputs["transcript"])
        whole = root / FOLDER / name / "transcription.json"
        _write_changed(whole.parent, {whole.name: (root / transcript).read_bytes()})
        yield UploadBatch(whole.parent, {whole: rows[0]}, place, version)


def _listening_copy(session: SessionPlan, root: Path, ending: str) -> Path:
    """Return a session's listening copy, made again where what it was made of has changed."""
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
    """Write what is to lie beside the parts of a live session: transcripts, and how speakers sound."""
    folder = root / FOLDER / session.session.name
    found: dict[Path, Row] = {}
    contents: dict[str, bytes] = {}
    made = sidecars.made_of(session)
    for row in session.session.rows:
        if (transcript := sidecars.describe(session, row, made, root)) is not None:
            name = TRANSCRIPT.format(PurePosixPath(name_of(row.source)).stem)
            contents[name] = transcript.sealed().encode()
            found[folder / name] = row
    for made_here, name in adopt.embeddings_of(session).items() if found else ():
        if made_here not in session.pending:
            if not (folder / name).exists():  # its name says what it is of
                contents[name] = (root / made_here).read_bytes()
            found[folder / name] = session.session.rows[0]
    _write_changed(folder, contents)
    return found


def _write_changed(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write the files that are not there as they are to be: of hundreds of parts one is new."""

    def is_there(name: str, data: bytes) -> bool:
        path = folder / name
        return path.is_file() and path.read_bytes() == data

    write_many(folder, {name: data for name, data in contents.items() if not is_there(name, data)})


def read_table(path: Path) -> list[Sent]:
    """Return what was uploaded so far."""
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        return []
    rows = csv.DictReader(io.StringIO(text, newline=""), dialect="excel-tab")
    return [Sent(size=int(row.pop("size")), **row) for row in rows]


def _write_table(path: Path, entries: Iterable[Sent]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, "excel-tab", lineterminator="\n")
    writer.writerow(field.name for field in fields(Sent))
    writer.writerows(astuple(entry) for entry in sorted(entries, key=astuple))
    write_text(path, text.getvalue())


def _delete(entry: Sent, s3_remote: str) -> bool:
    """Delete what was sent, unless something else lies there by now; return whether it is gone."""
    place = entry.place
    try:
        if is_remote(place):
            there = rclone_path(place, s3_remote=s3_remote)
            found = rclone.run("hashsum", "sha256", "--download", "--", there, where=place)[:64].decode()
        else:
            found = sha256(Path(_target(place)))
        if found != entry.sha256:
            hint = "Delete it yourself if nobody needs it"
            complain(UserError("is not what was sent there, and stays", where=place, hint=hint))
            return False
        if is_remote(place):
            rclone.run("deletefile", "--", there, where=place)
        else:
            Path(_target(place)).unlink()
    except FileNotFoundError:
        pass
    except rclone.RcloneError as error:
        if error.reason != "missing":
            raise
    return True
