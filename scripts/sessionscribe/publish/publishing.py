"""Publish finished sessions one by one: pack, `dvc add`, `dvc push`, `git commit`; each step can be the last.

A commit comes after the push, so that who pulls a commit finds what it names. What a killed `publish` has not
done, the next one does: the packed form is put in place whole, DVC's and git's own steps are repeatable, and
what is known of a session is written after the fact that it states.
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
from sessionscribe.publish.package_manifest import CONTENTS, FOLDER, folder_of, target_of
from sessionscribe.publish.state import State


@dataclass(frozen=True)
class Done:
    """What came of a session: ``word`` is published or unchanged."""

    word: str
    version: str
    sent: int


def is_finished(plan: SessionPlan) -> bool:
    """Return whether all of a session is done."""
    undone = plan.pending or plan.blocked or plan.session.problem
    return not undone and "write_export" in plan.totals


class Publisher:
    """Publishes sessions of one project.

    Args:
        root: the project's folder.
        manifest: the table of sessions, which is committed with the first session if it changed.
        audio: whether converted audio is published too.
        force: publish over versions that others published and that were never pulled here.
        store: DVC.
        lock: descriptor of the held lock.
    """

    def __init__(
        self, root: Path, manifest: str, *, audio: bool, force: bool, store: Store, lock: int
    ) -> None:
        self._root, self._manifest, self._audio, self._force = root, manifest, audio, force
        self._store, self._lock = store, lock
        self._dirty = history.dirty(root, FOLDER, manifest)
        for left in (root / FOLDER).glob(".packing-*"):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)

    def publish(self, plan: SessionPlan) -> Done:
        """Publish a finished session if it is not what was published last.

        Raises:
            UserError: it cannot be; what was done until then stays.
        """
        session = plan.session.name
        known = self._known(session)
        if known is None or not self._is_packed(plan, known):
            published = pack(self._root, plan, audio=self._audio)
            known = state.of_packed(self._root, published, "", history.version_of(self._root, session))
            known.store(self._root, session)
        if not known.version or known.version != history.version_of(self._root, session):
            known = self._add(session, known)
        sent = self._send(session, known)
        committed = self._commit(session)
        return Done("published" if sent or committed else "unchanged", known.version, sent)

    def _known(self, session: str) -> State | None:
        """Return what is known of a session, once it is sure that nothing that others published is lost."""
        known = state.load(self._root, session)
        there = history.version_of(self._root, session)
        mine = ("", *((known.version, known.base) if known else ()))
        if there not in mine and not self._force:
            what = "git has a version that others published and that was not pulled here"
            hint = (
                f"`dvc pull {target_of(session)}` takes it, `sessionscribe publish {session} --force` "
                "publishes what lies here over it"
            )
            raise UserError(what, where=session, hint=hint)
        return known

    def _is_packed(self, plan: SessionPlan, known: State) -> bool:
        """Return whether the published form that lies here is of the files that lie here."""
        if not state.is_known(self._root, plan.session.name):
            return False
        names = set(wanted(plan, audio=self._audio))
        return names == known.files.keys() and not state.changed(self._root, known)

    def _add(self, session: str, known: State) -> State:
        """Let DVC have it; its version is noted before the `.dvc` file names it."""

        def note(version: str) -> None:
            nonlocal known
            known = known.model_copy(update={"version": version})
            known.store(self._root, session)

        self._store.add(session, note)
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
        """Commit what names the version, and the table of sessions, which others need with it."""
        paths = [path for path in (target_of(session), self._manifest) if path in self._dirty]
        if not paths:
            return False
        published = Published.read(self._root / folder_of(session) / CONTENTS)
        models = ", ".join(sorted({engine.model for engine in published.engines if engine.device}))
        message = f"Publish {session}: {published.words} words" + (f", {models}" if models else "")
        history.commit(self._root, paths, message, self._lock)
        self._dirty.difference_update(paths)
        return True
