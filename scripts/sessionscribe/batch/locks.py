"""The lock by which recorders keep batches from the GPU during a recording.

A lock is a JSON object: ``{"locked": true, "userId": …, "sessionId": …, "timestamp": …}``. Each session has
its own, ``batch-lock/SESSION.json``, so recorders cannot release each other's locks. The single
``batch-lock.json`` is a copy of the newest, for programs that know only that file; it also counts if they
write it. A lock is valid for ``batch.lock_minutes`` after it was written; locking again renews it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import BeforeValidator, ValidationError

from sessionscribe.batch.lock_stores import Object, store_of
from sessionscribe.batch.report import Section
from sessionscribe.config.settings import Batch
from sessionscribe.core.errors import visible
from sessionscribe.core.fingerprint import fingerprint

LONGEST_NAME = 120
Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else str(value))]


class Lock(Section):
    """The content of an object."""

    locked: bool = True
    user_id: Text = ""
    session_id: Text = ""
    timestamp: Text = ""


@dataclass(frozen=True)
class Held:
    """A lock, and the object that it was read from."""

    lock: Lock
    object: Object

    def __str__(self) -> str:
        whose = " of ".join(visible(name) for name in (self.lock.session_id, self.lock.user_id) if name)
        minutes = max(0.0, self.object.age_s) / 60
        return f"a recording is in progress ({whose or self.object.name}, {minutes:.0f} min ago)"


class BatchLock:
    """The lock of the project in ``root``."""

    def __init__(self, options: Batch, root: Path = Path()) -> None:
        self._store, self._file = store_of(options.lock, root)
        self._limit_s = 60 * options.lock_minutes

    def held(self) -> list[Held]:
        """Return the valid locks, newest first; the single object only if its session has none of its own."""
        found = self._read()
        own = [one for one in found if one.object.name != self._file]
        sessions = {one.lock.session_id for one in own}
        own += [one for one in found if one not in own and one.lock.session_id not in sessions]
        valid = [one for one in own if one.lock.locked and not self._is_stale(one)]
        return sorted(valid, key=lambda one: one.object.age_s)

    def _read(self) -> list[Held]:
        return [Held(_parsed(one.content), one) for one in self._store.read()]

    def _is_stale(self, one: Held) -> bool:
        """Return whether an object was not renewed in time, or a wrong clock dated it far ahead."""
        return abs(one.object.age_s) >= self._limit_s

    def release_stale(self) -> list[Held]:
        """Remove stale objects, and return those that were locks."""
        stale = [one for one in self._read() if self._is_stale(one)]
        for one in stale:
            self._store.delete(one.object)
        return [one for one in stale if one.lock.locked]

    def lock(self, user: str, session: str) -> Lock:
        """Lock for a session, or renew its lock."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        made = Lock(user_id=user, session_id=session, timestamp=now)
        self._store.write(self._name(session), made.text())
        self._store.write(self._file, made.text())
        return made

    def unlock(self, user: str, session: str | None = None) -> bool:
        """Remove the lock of a session, or all of a user's; return whether there was one."""
        own = [
            one
            for one in self._read()
            if (one.lock.user_id == user if session is None else one.lock.session_id == session)
        ]
        for one in own:
            self._store.delete(one.object)
        if any(one.object.name == self._file for one in own) and (others := self.held()):
            self._store.write(self._file, others[0].lock.text())
        return bool(own)

    def check_access(self, name: str) -> float:
        """Write and delete an object that locks nothing; return its age (s), by which the clocks differ.

        Raises:
            UserError: the store cannot be written.
        """
        age_s = 0.0
        self._store.write(self._name(name), Lock(locked=False, session_id=name).text())
        for one in self._store.read():
            if one.name == self._name(name):
                age_s = one.age_s
                self._store.delete(one)
        return age_s

    def status(self) -> dict[str, Any]:
        """Return ``{"locked": false}``, or the newest lock and its age."""
        held = self.held()
        if not held:
            return {"locked": False}
        return {**held[0].lock.model_dump(by_alias=True), "ageSeconds": round(held[0].object.age_s, 3)}

    def _name(self, session: str) -> str:
        """Return the name of a session's object, a valid file name for any session."""
        name = quote(session, safe="")
        if len(name) > LONGEST_NAME:
            name = f"{name[:LONGEST_NAME]}-{fingerprint(session)}"
        return f"{Path(self._file).stem}/{name}.json"


def _parsed(content: bytes) -> Lock:
    """Return the content of an object; an invalid one counts as a lock, to be on the safe side."""
    try:
        return Lock.model_validate_json(content)
    except ValidationError:
        return Lock()
