"""Unpack pulled sessions where the workflow looks for them; unpublished work is never overwritten.

`dvc pull` only brings the package. The next command that reads the project (`snakemake`, `sessionscribe`)
notices that it is new and unpacks it, once: if a file is deleted later, it is missing as usual.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from sessionscribe.artifacts.published import Published
from sessionscribe.core import files, locks
from sessionscribe.core.errors import UserError, describe, visible
from sessionscribe.planning.session_files import RECORDS, is_plain, is_safe, parse_record, write_files
from sessionscribe.publish import history, state
from sessionscribe.publish.pack import DAMAGED, unpacked
from sessionscribe.publish.state import CONTENTS, FileStat, State, folder_of, is_shared, target_of

if TYPE_CHECKING:
    from sessionscribe.publish.dvc_store import Store

SHOWN = 200
"""The most characters of an untrusted name to show in a message."""


def put_in_place(root: Path = Path()) -> list[str]:
    """Unpack what was pulled since the last time; return a line for each session that could not be.

    If nothing is new, this costs a look at two file times per published session. While another process
    publishes or pulls, this does nothing.
    """
    if not state.unknown(root):
        return []
    problems = []
    with locks.locked(root / state.LOCK, wait=False) as mine:
        for session in state.unknown(root) if mine is not None else ():
            try:
                unpack(root, session)
            except Exception as error:  # others' data may be wrong in any way, and must not stop us
                problems.append(describe(error, folder_of(session)))
    return problems


def unpack(root: Path, session: str, *, version: str = "", force: bool = False) -> int:
    """Unpack a session's package; return the number of files written.

    ``version`` is the package's in DVC, if known. The `.dvc` file may name another, if `publish` was killed
    after packing. With ``force``, results that were never published are overwritten.

    Raises:
        UserError: the package is damaged, or results would be lost; nothing was changed.
    """
    published = read(root / folder_of(session) / CONTENTS, session)
    before = state.load(root, session)
    known = before.files if before else {}
    if not force:
        refuse_loss(root, published, known)
    here = {file.path: state.digest(root, file.path, known.get(file.path)) for file in published.files}
    # Files that sessions share are never replaced: no session decides for another.
    own = [file for file in published.files if here[file.path] is None or not is_shared(file.path)]
    wanted = {file.path for file in own if here[file.path] != file.sha256}
    if wanted:
        packed = unpacked(root / folder_of(session), published)
        chosen = ((file.path, _checked(file.path, data)) for file, data in packed if file.path in wanted)
        write_files(root, chosen)
    base = history.version_of(root, session)
    found: dict[str, FileStat] = {file.path: state.seen(root / file.path, file.sha256) for file in own}
    State(version=version, base=base, files=found).store(root, session)
    return len(wanted)


def _checked(path: str, blocks: Iterable[bytes]) -> Iterable[bytes]:
    """Return a file's content; check that a record is one, as the plan of all sessions relies on records."""
    if not path.startswith(RECORDS):
        return blocks
    data = b"".join(blocks)
    try:
        parse_record(data)
    except ValueError as error:
        raise UserError("is not the record of a job", where=path, hint=DAMAGED) from error
    return (data,)


def read(path: Path, session: str) -> Published:
    """Read the manifest of a session's package.

    Raises:
        UserError: it is damaged, of another session, or lists files that are not results of this one.
    """
    published = Published.read(path)
    if published.session != session:
        what = f"is of the session {visible(published.session)}"
        raise UserError(what, where=folder_of(session), hint=DAMAGED)
    for file in published.files:
        if not (is_safe(file.path, session) or is_shared(file.path)) or not is_plain(file.pack):
            name = visible(file.path)[:SHOWN]
            raise UserError(f"lists a file that is not a result of it: {name}", where=session, hint=DAMAGED)
    names = {file.path for file in published.files}
    if len(names) < len(published.files) or published.transcript not in names:
        raise UserError("has a wrong list of files", where=folder_of(session), hint=DAMAGED)
    return published


def refuse_loss(root: Path, published: Published, known: dict[str, FileStat]) -> None:
    """Raise an error if results would be overwritten that were neither published nor pulled."""
    lost = []
    for file in published.files:
        if is_shared(file.path):
            continue
        before = known.get(file.path)
        found = state.digest(root, file.path, before)
        if found is not None and found != file.sha256 and not (before and found == before.sha256):
            lost.append(file.path)
    if lost:
        more = f" and {len(lost) - 1} more" if lost[1:] else ""
        session = published.session
        what = f"has unpublished results ({lost[0]}{more}), so the pulled version was not unpacked"
        hint = (
            f"`sessionscribe publish {session} --force` publishes them instead, "
            f"`sessionscribe pull {session} --force` discards them"
        )
        raise UserError(what, where=session, hint=hint)


def take(root: Path, store: Store, session: str, *, text: str = "", force: bool = False) -> int:
    """Download a version and unpack it; return the number of files written.

    ``text`` is the `.dvc` file of the version ("": the present one). With ``force``, results that were never
    published are overwritten.

    Raises:
        UserError: it is not available, or results would be lost; nothing was changed.
    """
    version = history.version_in(text, target_of(session)) if text else history.version_of(root, session)
    store.fetch(version)
    if not force:
        published = read(store.file(version, CONTENTS), session)
        known = state.load(root, session)
        refuse_loss(root, published, known.files if known else {})
    if text:
        files.write_text(root / target_of(session), text)
    store.checkout(session)
    return unpack(root, session, version=version, force=force)


def is_taken(root: Path, session: str) -> bool:
    """Return whether the version that Git names is the one that is here."""
    known = state.load(root, session)
    return (
        known is not None
        and state.is_known(root, session)
        and known.version == history.version_of(root, session)
    )
