"""What was pulled, put where the workflow looks for it; work that was not published is never overwritten.

`dvc pull` brings the published form only. Whoever reads the project next (`snakemake`, `sessionscribe`) finds
that it is new and puts its files in place, once: a file that is deleted later is missing, as anywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sessionscribe.artifacts.published import Published
from sessionscribe.core import files
from sessionscribe.core.errors import UserError, describe, visible
from sessionscribe.planning.session_files import RECORDS, is_plain, is_safe, parse_record
from sessionscribe.planning.settings_files import SETTINGS, drop_others
from sessionscribe.publish import history, state
from sessionscribe.publish.pack import DAMAGED, unpacked
from sessionscribe.publish.package_manifest import CONTENTS, folder_of, is_shared
from sessionscribe.publish.state import FileStat, State

SHOWN = 200
"""Characters of a name in a message, at most: who made it up may have made it long."""


class UnpublishedError(UserError):
    """Results that were made here and not published keep a pulled version from being put in place."""


def put_in_place(root: Path = Path()) -> list[str]:
    """Put in place what was pulled since the last time; return a line for each session that could not be.

    Costs a look at two times per published session where nothing is new. What another process publishes or
    pulls at this moment is that one's business.
    """
    if not state.unknown(root):
        return []
    problems = []
    with state.locked(root) as mine:
        for session in state.unknown(root) if mine is not None else ():
            try:
                unpack(root, session)
            except Exception as error:  # what others made may be wrong in any way, and stops nobody else
                problems.append(describe(error, folder_of(session)))
    return problems


def unpack(root: Path, session: str, *, version: str = "", force: bool = False) -> int:
    """Put a session's published files in place; return how many were written.

    Args:
        root: the project's folder.
        session: its name.
        version: what DVC calls the published form that lies here; "": not known. It need not be what the
            `.dvc` file names: a killed `publish` may have packed it and gone no further.
        force: overwrite results that were never published.

    Raises:
        UnpublishedError: files here have results that would be lost; nothing is touched.
        UserError: the published form is damaged; nothing is touched.
    """
    published = read(root, session)
    before = state.load(root, session)
    known = before.files if before else {}
    if not force:
        refuse_loss(root, published, known)
    here = {file.path: state.digest(root, file.path, known.get(file.path)) for file in published.files}
    # What is here of all sessions' files stays: no session decides about another one.
    own = [file for file in published.files if here[file.path] is None or not is_shared(file.path)]
    wanted = {file.path for file in own if here[file.path] != file.sha256}
    if wanted:
        packed = unpacked(root / folder_of(session), published)
        chosen = ((file.path, _checked(file.path, data)) for file, data in packed if file.path in wanted)
        with files.staged(root, chosen):  # all are read and checked before the first has its name
            for path in wanted:
                if path.startswith(SETTINGS):
                    drop_others(root / path)
    base = history.version_of(root, session)
    found: dict[str, FileStat] = {file.path: state.seen(root / file.path, file.sha256) for file in own}
    State(version=version, base=base, files=found).store(root, session)
    return len(wanted)


def _checked(path: str, blocks: Iterable[bytes]) -> Iterable[bytes]:
    """Return a file's content; a job's record must be one: the plan of all sessions is made of them."""
    if not path.startswith(RECORDS):
        return blocks
    data = b"".join(blocks)
    try:
        parse_record(data)
    except ValueError as error:
        raise UserError("is no record of a job", where=path, hint=DAMAGED) from error
    return (data,)


def read(root: Path, session: str) -> Published:
    """Read the contents of a session's published form.

    Raises:
        UserError: they are damaged, or name files that are none of a session's results.
    """
    return checked(Published.read(root / folder_of(session) / CONTENTS), session)


def checked(published: Published, session: str) -> Published:
    """Return contents whose files may be written: those of the session's own steps, each once."""
    if published.session != session:
        what = f"is of the session {visible(published.session)}"
        raise UserError(what, where=folder_of(session), hint=DAMAGED)
    for file in published.files:
        if not (is_safe(file.path, session) or is_shared(file.path)) or not is_plain(file.pack):
            path = visible(file.path)[:SHOWN]
            raise UserError(f"names a file that is no result of it: {path}", where=session, hint=DAMAGED)
    names = {file.path for file in published.files}
    if len(names) < len(published.files) or published.transcript not in names:
        raise UserError("has a wrong list of files", where=folder_of(session), hint=DAMAGED)
    return published


def refuse_loss(root: Path, published: Published, known: dict[str, FileStat]) -> None:
    """Raise ``UnpublishedError`` if content would be overwritten that was neither published nor pulled."""
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
        what = f"results made here are not published ({lost[0]}{more}), so a pulled version waits"
        hint = (
            f"`sessionscribe publish {session} --force` publishes them over it, "
            f"`sessionscribe pull {session} --force` gives them up for it"
        )
        raise UnpublishedError(what, where=session, hint=hint)
