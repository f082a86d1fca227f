"""DVC as a library: starting its command costs as much as ten sessions. Its usage reports are disabled.

One connection serves all sessions (DVC itself opens one per output). Calls must not overlap: DVC's own lock
refuses a second process.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from sessionscribe.core import locks
from sessionscribe.core.errors import UserError, visible
from sessionscribe.core.files import write_text
from sessionscribe.planning.session_files import is_plain
from sessionscribe.publish.state import folder_of, target_of
from sessionscribe.storage.refusals import explain

SET_UP = "docs/versioning.md says how to set it up"
OBJECT = re.compile(r"[0-9a-f]{32}")
BARS = "dvc.progress"  # draws progress bars if it may log errors
LOGGERS = ("dvc", BARS, "dvc_data", "dvc_objects")


class RemoteError(UserError):
    """The remote is not usable."""

    ends_all = True


class Store:
    """The versions of a project's sessions in DVC: in its cache here, and on a remote ("": DVC's default).

    Raises:
        UserError: the project is not a DVC repository.
    """

    def __init__(self, root: Path, remote: str = "") -> None:
        if not (root / ".dvc").is_dir():
            raise UserError("DVC is not set up here", where=root.resolve(), hint="Run `dvc init`")
        from dvc.repo import Repo  # noqa: PLC0415 -- heavy

        self._errors, self._remote = _LastError(), remote
        with self._named_errors("DVC"):
            self._mend_lock(root)
            lockless = not locks.are_there(root / ".dvc")
            if lockless:
                self._drop_dead_lock(root / ".dvc/tmp/lock")
            self._repo: Any = Repo(str(root), config={"core": {"hardlink_lock": lockless}})
        self._remote = remote or self._repo.config["core"].get("remote") or ""

    def close(self) -> None:
        """Close DVC's databases."""
        self._repo.close()

    @property
    def remote(self) -> str:
        """Name and address of the remote, without a password; "": none."""
        if not self._remote:
            return ""
        parts = urlsplit(str(self._settings["url"]))
        url = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
        return f"{self._remote} {url}"

    @cached_property
    def _settings(self) -> dict[str, Any]:
        try:
            settings: dict[str, Any] = self._repo.config["remote"][self._remote]
        except KeyError:
            hint = f"`dvc remote list` lists the remotes; {SET_UP}"
            raise RemoteError("there is no such DVC remote", where=self._remote, hint=hint) from None
        if not settings.get("verify"):
            what = "does not verify its files, so damage would go unnoticed"
            hint = f"Run `dvc remote modify {self._remote} verify true`"
            raise RemoteError(what, where=f"DVC remote {self._remote}", hint=hint)
        return settings

    @cached_property
    def _odb(self) -> Any:
        if not self._remote:
            hint = f"Run `dvc remote add --default NAME ADDRESS`; {SET_UP}"
            raise RemoteError("no DVC remote is set up", where="DVC", hint=hint)
        _ = self._settings
        return self._repo.cloud.get_remote_odb(self._remote)

    @contextmanager
    def added(self, session: str) -> Iterator[str]:
        """Add a session's package to the cache, and yield the version; its `.dvc` file is written last."""
        from dvc.stage.serialize import to_single_stage_file  # noqa: PLC0415 -- heavy
        from dvc.utils.serialize import dumps_yaml  # noqa: PLC0415 -- heavy

        with self._named_errors(folder_of(session)), self._repo.lock:
            stage = self._repo.stage.create(
                single_stage=True,
                validate=False,
                fname=self._path(target_of(session)),
                wdir=self._path(str(Path(folder_of(session)).parent)),
                outs=[Path(folder_of(session)).name],
                force=True,
            )
            stage.add_outs()
            yield str(stage.outs[0].hash_info.value)
            # Not `stage.dump()`, which writes in place: killed there, it leaves an empty file.
            write_text(Path(stage.path), dumps_yaml(to_single_stage_file(stage)))

    def _path(self, name: str) -> str:
        return os.path.join(self._repo.root_dir, name)

    def push(self, version: str) -> int:
        """Send the files of a version that the remote lacks; return their number."""
        with self._named_errors(self._where):
            # The listing goes last: a remote that has it has the files, too.
            names = [*(entry["md5"] for entry in self.listing(version)), version]
            result = self._repo.cloud.push(_hashes(names), odb=self._odb)
            self._refuse(len(result.failed), "could not be sent", "Run again: what was sent stays")
        return len(result.transferred)

    def fetch(self, version: str, only: str = "") -> None:
        """Download the files of a version that the cache lacks (``only``: one file of it)."""
        self._fetch([version])
        self._fetch([e["md5"] for e in self.listing(version) if only in ("", e["relpath"])])

    def _fetch(self, names: list[str]) -> None:
        absent = [name for name in names if not self._cached(name).is_file()]
        if absent:
            with self._named_errors(self._where):
                self._repo.cloud.pull(_hashes(absent), odb=self._odb)
        absent = [name for name in absent if not self._cached(name).is_file()]
        hint = "Publish the session again where it was made; `dvc status --cloud` names what a remote lacks"
        self._refuse(len(absent), "are missing or damaged there", hint)

    def listing(self, version: str) -> list[dict[str, str]]:
        """Return the files of a version in the cache: ``relpath`` and ``md5``."""
        try:
            found: list[dict[str, str]] = json.loads(self._cached(version).read_bytes())
            sound = all(is_plain(e["relpath"]) and OBJECT.fullmatch(e["md5"]) for e in found)
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            sound = False
        if not sound:
            hint = "Publish the session again where it was made"
            raise UserError("is not a list of a published session's files", where=version, hint=hint)
        return found

    def file(self, version: str, name: str) -> Path:
        """Return the path of a file of a fetched version in the cache; it must not be changed."""
        return self._cached(next(e["md5"] for e in self.listing(version) if e["relpath"] == name))

    def checkout(self, session: str) -> None:
        """Replace the session's package by the version that the `.dvc` file names."""
        with self._named_errors(folder_of(session)), self._repo.lock:
            (stage,) = self._repo.stage.load_file(self._path(target_of(session)))
            if [out.fs_path for out in stage.outs] != [self._path(folder_of(session))]:
                hint = "Take the one that `sessionscribe publish` wrote"
                raise UserError("is of another folder", where=target_of(session), hint=hint)
            stage.checkout(force=True)

    def _cached(self, name: str) -> Path:
        return Path(self._repo.cache.local.oid_to_path(name))

    @property
    def _where(self) -> str:
        return f"DVC remote {self._remote}" if self._remote else "DVC"

    def _refuse(self, failed: int, what: str, hint: str) -> None:
        if failed:
            reason = f" ({_plain(self._errors.last)})" if self._errors.last else ""
            raise RemoteError(f"{failed} files {what}{reason}", where=self._where, hint=hint)

    @contextmanager
    def _named_errors(self, where: str) -> Iterator[None]:
        """Turn exceptions of DVC and of the packages below it into one clear line."""
        self._errors.last = ""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            # Many types (DVC's, each cloud package's), without a common base class.
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            hint = "Fix that, then run again: what was done stays"
            if explain([reason], "")[0] == "credentials":
                hint = "Check the keys and this machine's clock, then run again: what was done stays"
            kind = RemoteError if where == self._where else UserError
            raise kind(f"DVC failed ({_plain(reason)})", where=where, hint=hint) from error

    @staticmethod
    def _drop_dead_lock(path: Path) -> None:
        """Remove the lock that DVC makes of links if files have no locks, if its process here is dead.

        Raises:
            UserError: it belongs to another machine, whose processes cannot be seen from here.
        """
        try:
            _, host, pid, _ = path.read_text(encoding="utf-8").rsplit("|", 3)
        except FileNotFoundError:
            return
        except ValueError:  # left by a lock of the other kind
            host, pid = socket.getfqdn(), "0"
        if host not in (socket.gethostname(), socket.getfqdn()):
            hint = f"Wait until it has finished; if it is dead, run: rm '{path}'"
            raise UserError(f"belongs to process {visible(pid)} on {visible(host)}", where=path, hint=hint)
        if not Path("/proc", pid).exists():
            path.unlink(missing_ok=True)

    @staticmethod
    def _mend_lock(root: Path) -> None:
        """Remove DVC's list of readers and writers if a killed process left half of it, which stops DVC."""
        note = root / ".dvc/tmp/rwlock"
        with contextlib.suppress(FileNotFoundError):
            try:
                json.loads(note.read_bytes())
            except ValueError:
                note.unlink(missing_ok=True)


def _hashes(names: list[str]) -> list[Any]:
    from dvc_data.hashfile.hash_info import HashInfo  # noqa: PLC0415 -- heavy

    return [HashInfo("md5", name) for name in names]


def _plain(reason: str) -> str:
    """Return a package's message, preceded by its meaning if that is known."""
    known, what, _ = explain([reason], "")
    return reason if known == "other" else f"{what}: {reason}"


class _LastError(logging.Handler):
    """Keeps the last error that DVC logs, which alone says why a transfer failed; nothing is shown."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.last = ""
        for logger in map(logging.getLogger, LOGGERS):
            logger.handlers, logger.propagate = [self], False
            logger.setLevel(logging.CRITICAL if logger.name == BARS else logging.ERROR)

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.last = " ".join(str(error or record.getMessage()).split())[:300]
