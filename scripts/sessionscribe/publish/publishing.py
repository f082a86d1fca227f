"""Publish finished sessions one by one: pack, `dvc add`, `dvc push`, `git commit`.

The commit comes after the push, so commits only name what others can pull. If this is killed after any step,
the next `publish` continues: packages are replaced as a whole, DVC's and git's steps are repeatable, and the
state of a session is noted after each step.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from sessionscribe.artifacts.published import Published
from sessionscribe.core.errors import UserError
from sessionscribe.planning.session import SessionPlan
from sessionscribe.publish import history, state
from sessionscribe.publish.dvc_store import Store
from sessionscribe.publish.pack import pack, wanted
from sessionscribe.publish.state import CONTENTS, FOLDER, State, folder_of, target_of


@dataclass(frozen=True)
class Done:
    """The outcome for a session: ``word`` is published or unchanged, ``sent`` the number of files sent."""

    word: str
    version: str
    sent: int


def is_finished(plan: SessionPlan) -> bool:
    """Return whether a session is finished."""
    undone = plan.pending or plan.blocked or plan.session.problem
    return not undone and "write_export" in plan.totals


class Publisher:
    """Publishes sessions of one project.

    Args:
        root: the project's folder.
        manifest: the path of the manifest, which is committed with the first session if it has changed.
        audio: include converted audio.
        force: replace versions of others that were not pulled here.
        store: DVC.
        lock: the descriptor of the held lock.
    """

    def __init__(
        self, root: Path, manifest: str, *, audio: bool, force: bool, store: Store, lock: int
    ) -> None:
        self._root, self._manifest, self._audio, self._force = root, manifest, audio, force
        self._store, self._lock = store, lock
        self._dirty = history.dirty(root, FOLDER, manifest)
        for left in (root / FOLDER).glob(".packing-*"):  # of a killed process
            shutil.rmtree(left, ignore_errors=True)

    def publish(self, plan: SessionPlan) -> Done:
        """Publish a finished session if it has changed.

        Raises:
            UserError: it cannot be published; what was done until then stays.
        """
        session = plan.session.name
        known = self._known(session)
        if known is None or not self._is_packed(plan, known):
            packed = pack(self._root, plan, audio=self._audio).files
            files = {file.path: state.seen(self._root / file.path, file.sha256) for file in packed}
            known = State(version="", base=history.version_of(self._root, session), files=files)
            known.store(self._root, session)
        if not known.version or known.version != history.version_of(self._root, session):
            known = self._add(session, known)
        sent = self._send(session, known)
        committed = self._commit(session)
        return Done("published" if sent or committed else "unchanged", known.version, sent)

    def _known(self, session: str) -> State | None:
        """Return the state of a session, after checking that no version of others would be lost."""
        known = state.load(self._root, session)
        there = history.version_of(self._root, session)
        mine = ("", *((known.version, known.base) if known else ()))
        if there not in mine and not self._force:
            what = "others have published a version that was not pulled here"
            hint = (
                f"`sessionscribe pull {session}` gets it, `sessionscribe publish {session} --force` "
                "replaces it by the results here"
            )
            raise UserError(what, where=session, hint=hint)
        return known

    def _is_packed(self, plan: SessionPlan, known: State) -> bool:
        """Return whether the package here is that of the results here."""
        if not state.is_known(self._root, plan.session.name):
            return False
        names = set(wanted(plan, audio=self._audio))
        return names == known.files.keys() and not state.changed(self._root, known)

    def _add(self, session: str, known: State) -> State:
        """Add a package to DVC; the version is noted before the `.dvc` file names it."""
        with self._store.added(session) as version:
            known = known.model_copy(update={"version": version})
            known.store(self._root, session)
        self._dirty.update(history.dirty(self._root, target_of(session)))
        return known

    def _send(self, session: str, known: State) -> int:
        remote = self._store.remote
        if not remote or remote in known.sent:
            return 0
        sent = self._store.push(known.version)
        known.model_copy(update={"sent": (*known.sent, remote)}).store(self._root, session)
        return sent

    def _commit(self, session: str) -> bool:
        """Commit the `.dvc` file, and the manifest, which others need with it."""
        paths = [path for path in (target_of(session), self._manifest) if path in self._dirty]
        if not paths:
            return False
        published = Published.read(self._root / folder_of(session) / CONTENTS)
        models = ", ".join(sorted({engine.model for engine in published.engines if engine.device}))
        message = f"Publish {session}: {published.words} words" + (f", {models}" if models else "")
        history.commit(self._root, paths, message, self._lock)
        self._dirty.difference_update(paths)
        return True
