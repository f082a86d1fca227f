"""DVC, in this process: a start of its command costs as much as ten sessions. It reports nothing to anyone.

One connection serves all sessions (DVC itself opens one per output). Calls come one after the other: DVC's
own lock refuses a second process.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from sessionscribe.core import locks
from sessionscribe.core.errors import UserError, visible
from sessionscribe.core.files import write_text
from sessionscribe.planning.session_files import is_plain
from sessionscribe.publish.package_manifest import folder_of, target_of
from sessionscribe.storage.refusals import explain

SET_UP = "docs/versioning.md says how to set it up"
OBJECT = re.compile(r"[0-9a-f]{32}")
BARS = "dvc.progress"  # draws bars where it may log errors
LOGGERS = ("dvc", BARS, "dvc_data", "dvc_objects")


class RemoteError(UserError):
    """The remote does not do what is asked of it."""

    ends_all = True


class Store:
    """The versions that DVC has of this project, here (its cache) and on a remote.

    Args:
        root: the project's folder, in which `dvc init` was done.
        remote: name of the remote; "": DVC's default.

    Raises:
        UserError: the folder is no DVC repository.
    """

    def __init__(self, root: Path, remote: str = "") -> None:
        if not (root / ".dvc").is_dir():
            raise UserError("there is no DVC set up here", where=root.resolve(), hint="Run `dvc init`")
        from dvc.repo import Repo  # noqa: PLC0415 -- heavy

        self._said, self._remote = _Said(), remote
        with self._named_errors("DVC"):
            self._mend_lock(root)
            lockless = not locks.are_there(root / ".dvc")
            if lockless:
                self._drop_dead_lock(root / ".dvc/tmp/lock")
            self._repo: Any = Repo(str(root), config={"core": {"hardlink_lock": lockless}})
        self._remote = remote or self._repo.config["core"].get("remote") or ""

    def close(self) -> None:
        """Let go of DVC's databases."""
        self._repo.close()

    @property
    def remote(self) -> str:
        """What names the remote: its name and address, without what may be a password; "": none."""
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
            hint = f"`dvc remote list` shows those that there are; {SET_UP}"
            raise RemoteError("there is no such DVC remote", where=self._remote, hint=hint) from None
        if not settings.get("verify"):
            what = "would hand out damaged files unseen"
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

    def add(self, session: str, on_version: Callable[[str], None]) -> str:
        """Take a session's published form into the cache and write its `.dvc` file; return the version.

        Args:
            session: its name.
            on_version: is told the version before the file is written.
        """
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
            version = str(stage.outs[0].hash_info.value)
            on_version(version)
            # Not `stage.dump()`, which writes in place: killed there, it leaves an empty file.
            write_text(Path(stage.path), dumps_yaml(to_single_stage_file(stage)))
        return version

    def _path(self, name: str) -> str:
        return os.path.join(self._repo.root_dir, name)

    def push(self, version: str) -> int:
        """Send to the remote what it lacks of a version; return how many files that were."""
        with self._named_errors(self._where):
            result = self._repo.cloud.push(self._objects(version), odb=self._odb)
            self._refuse(result.failed, "could not be sent", "Run again: what was sent stays")
        return len(result.transferred)

    def fetch(self, version: str, only: str = "") -> int:
        """Get into the cache what it lacks of a version (``only``: of one file of it); return how many."""
        from dvc_data.hashfile.hash_info import HashInfo  # noqa: PLC0415 -- heavy

        count = 0
        if not self._is_here(version):
            with self._named_errors(self._where):
                result = self._repo.cloud.pull([HashInfo("md5", version)], odb=self._odb)
                count = len(result.transferred)
            self._refuse_absent([version])
        names = [e["md5"] for e in self.listing(version) if only in ("", e["relpath"])]
        if absent := [name for name in names if not self._is_here(name)]:
            with self._named_errors(self._where):
                result = self._repo.cloud.pull([HashInfo("md5", name) for name in absent], odb=self._odb)
                count += len(result.transferred)
            self._refuse_absent(absent)
        return count

    def listing(self, version: str) -> list[dict[str, str]]:
        """Return the files of a version that is in the cache: ``relpath`` and ``md5``."""
        try:
            found: list[dict[str, str]] = json.loads(self._cached(version).read_bytes())
            sound = all(is_plain(e["relpath"]) and OBJECT.fullmatch(e["md5"]) for e in found)
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            sound = False
        if not sound:
            hint = "Publish the session again where it was made"
            raise UserError("is no list of a published session's files", where=version, hint=hint)
        return found

    def file(self, version: str, name: str) -> Path:
        """Return where a file of a fetched version lies in the cache (not to be changed)."""
        return self._cached(next(e["md5"] for e in self.listing(version) if e["relpath"] == name))

    def checkout(self, session: str) -> None:
        """Put the version that the `.dvc` file names into the published folder, whatever lies there."""
        with self._named_errors(folder_of(session)), self._repo.lock:
            (stage,) = self._repo.stage.load_file(self._path(target_of(session)))
            if [out.fs_path for out in stage.outs] != [self._path(folder_of(session))]:
                hint = "Take the one that `sessionscribe publish` wrote"
                raise UserError("is of another folder", where=target_of(session), hint=hint)
            stage.checkout(force=True)

    def _objects(self, version: str) -> list[Any]:
        from dvc_data.hashfile.hash_info import HashInfo  # noqa: PLC0415 -- heavy

        # The listing goes last: a remote that has it has the files, too.
        return [HashInfo("md5", name) for name in (*(e["md5"] for e in self.listing(version)), version)]

    def _cached(self, name: str) -> Path:
        return Path(self._repo.cache.local.oid_to_path(name))

    def _is_here(self, name: str) -> bool:
        return self._cached(name).is_file()

    @property
    def _where(self) -> str:
        return f"DVC remote {self._remote}" if self._remote else "DVC"

    def _refuse(self, failed: Any, what: str, hint: str) -> None:
        if failed:
            reason = f" ({_plain(self._said.last)})" if self._said.last else ""
            raise RemoteError(f"{len(failed)} files {what}{reason}", where=self._where, hint=hint)

    def _refuse_absent(self, names: list[str]) -> None:
        absent = [name for name in names if not self._is_here(name)]
        hint = "Publish the session again where it was made; `dvc status --cloud` names what a remote lacks"
        self._refuse(absent, "are missing or damaged there", hint)

    @contextmanager
    def _named_errors(self, where: str) -> Iterator[None]:
        """Turn what DVC and the packages below it raise into one clear line."""
        with self._said.listening():
            try:
                yield
            except UserError:
                raise
            except Exception as error:
                # Many kinds (DVC's, each cloud package's), with no base of their own.
                reason = " ".join(str(error).split())[:300] or type(error).__name__
                hint = "Run again when that is put right: what was done stays"
                if explain([reason], "")[0] == "credentials":
                    hint = f"Check the keys and this machine's clock; {hint[0].lower()}{hint[1:]}"
                kind = RemoteError if where == self._where else UserError
                raise kind(f"DVC could not go on ({_plain(reason)})", where=where, hint=hint) from error

    @staticmethod
    def _drop_dead_lock(path: Path) -> None:
        """Remove the lock that DVC makes of links where files have none, if its process here is dead.

        Raises:
            UserError: nobody here can tell, as it is another machine's.
        """
        try:
            _, host, pid, _ = path.read_text(encoding="utf-8").rsplit("|", 3)
        except FileNotFoundError:
            return
        except ValueError:  # what DVC leaves of a lock of the other kind
            host, pid = socket.getfqdn(), "0"
        if host not in (socket.gethostname(), socket.getfqdn()):
            hint = f"Wait until it has finished; if it has died there, run: rm '{path}'"
            raise UserError(f"is process {visible(pid)}'s on {visible(host)}", where=path, hint=hint)
        if not Path("/proc", pid).exists():
            path.unlink(missing_ok=True)

    @staticmethod
    def _mend_lock(root: Path) -> None:
        """Remove the note of who reads and writes if a killed process left half of it: DVC would stop."""
        note = root / ".dvc/tmp/rwlock"
        with contextlib.suppress(FileNotFoundError):
            try:
                json.loads(note.read_bytes())
            except ValueError:
                note.unlink(missing_ok=True)


def _plain(reason: str) -> str:
    """Return what a package says, after what that means, where it is known."""
    known, what, _ = explain([reason], "")
    return reason if known == "other" else f"{what}: {reason}"


class _Said(logging.Handler):
    """Hears what DVC logs as an error: why a transfer failed is said there only."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.last = " ".join(str(error or record.getMessage()).split())[:300]

    @contextmanager
    def listening(self) -> Iterator[None]:
        loggers = [logging.getLogger(name) for name in LOGGERS]
        before = [(logger.level, logger.propagate, logger.handlers[:]) for logger in loggers]
        self.last = ""
        for logger in loggers:
            logger.setLevel(logging.ERROR)
            logger.handlers, logger.propagate = [self], False
        logging.getLogger(BARS).setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, (level, propagate, handlers) in zip(loggers, before, strict=True):
                logger.setLevel(level)
                logger.propagate, logger.handlers = propagate, handlers
