"""What every job does around its work: a log, one clear line on failure, a record of what was made."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sessionscribe import __version__
from sessionscribe.artifacts import Failure, Output, Provenance
from sessionscribe.errors import UserError, visible
from sessionscribe.files import sha256

PACKAGES = ("faster-whisper", "ctranslate2", "pyannote.audio", "av", "torch")


class Log(io.TextIOBase):
    """A job's log file. On a full disk it loses lines, not the job, and not the message about it."""

    encoding = "utf-8"

    def __init__(self, path: Path) -> None:
        self._descriptor = -1
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)

    def writable(self) -> bool:
        """Tell libraries that it can be written."""
        return True

    def fileno(self) -> int:
        """Return the descriptor, for libraries that write to it directly."""
        if self._descriptor < 0:
            raise io.UnsupportedOperation("this log has no file")
        return self._descriptor

    def write(self, text: str) -> int:
        """Write at once, without a buffer that a later failure would meet."""
        with contextlib.suppress(OSError):
            os.write(self._descriptor, text.encode("utf-8", "backslashreplace"))
        return len(text)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        super().close()


class Say:
    """A job's voice: call it with a line for the log; ``flags`` end in the record and the status table."""

    def __init__(self, file: Log) -> None:
        self._file = file
        self.flags: list[str] = []

    def __call__(self, line: str) -> None:
        """Write a line to the log, with the time."""
        print(f"{time.strftime('%H:%M:%S')} {visible(line)}", file=self._file)


@contextmanager
def job(
    rule: str, task: Mapping[str, Any], *, log: str, outputs: Mapping[str, str], inputs: Sequence[str] = ()
) -> Iterator[Say]:
    """Run a job's work: ``with job(...) as say``. All that is printed goes to the log with the time.

    A failure ends the process with exit code 1 after one line on the log and on standard error, and leaves a
    ``Failure`` for the status table. Success removes that, and writes the record named by
    ``outputs["provenance"]`` last, so that a job counts as done only when all its outputs are whole.
    """
    watch_ancestors()
    session = str(task.get("session", "models"))
    first = next(iter(outputs.values()), "")
    stem = Path(log).name.removesuffix(".log")
    failure = Path("logs/failed") / session / f"{rule}.{stem}.json"
    with Log(Path(log)) as file:
        started, say = time.monotonic(), Say(file)
        try:
            with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
                yield say
                _write_record(rule, task, outputs, inputs, say.flags)
            failure.unlink(missing_ok=True)
            say(f"done in {time.monotonic() - started:.1f} s")
        except Exception as error:
            if not isinstance(error, UserError):
                traceback.print_exc(file=file)
            message = describe(error, session)
            say(f"FAILED {message}")
            noted = Failure(session=session, rule=rule, output=first, message=message, log=log)
            _note_failure(failure, noted)
            print(f"sessionscribe: {rule} failed: {message} (log: {log})", file=sys.stderr)
            sys.exit(1)


def describe(error: Exception, where: str) -> str:
    """Return an error as one line that says what is wrong, where and what to do."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        place = error.filename or where
        free = shutil.disk_usage(".").free / 1e6
        return str(
            UserError(
                f"the disk is full ({free:.0f} MB free)",
                where=place,
                hint="Make room and run again: nothing is lost",
            )
        )
    text = " ".join(str(error).split()) or "no message"
    hint = "The log has the details; if it is not clear from them, please report it"
    return str(UserError(f"{type(error).__name__}: {text}", where=where, hint=hint))


def _note_failure(path: Path, failure: Failure) -> None:
    with contextlib.suppress(OSError):  # on a full disk the message on standard error must do
        failure.write(path)


def _write_record(
    rule: str, task: Mapping[str, Any], outputs: Mapping[str, str], inputs: Sequence[str], flags: list[str]
) -> None:
    record = outputs.get("provenance")
    if record is None:
        return
    made = [_describe_file(path) for name, path in sorted(outputs.items()) if name != "provenance"]
    Provenance(
        rule=rule,
        key=task["key"],
        outputs=made,
        inputs=[_describe_file(path) for path in inputs],
        options=dict(task.get("options", {})),
        versions=_versions(),
        flags=flags,
    ).write(Path(record))


def _describe_file(path: str) -> Output:
    return Output(path=path, size=Path(path).stat().st_size, sha256=sha256(Path(path)))


def _versions() -> dict[str, str]:
    found = {"sessionscribe": __version__, "python": ".".join(map(str, sys.version_info[:3]))}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def watch_ancestors() -> None:
    """End this process when one of its ancestors dies: a killed Snakemake leaves its jobs running."""
    chain = _ancestors(os.getpid())

    def watch() -> None:
        while all(_alive(pid) for pid in chain):
            time.sleep(1)
        os._exit(143)

    if chain:
        threading.Thread(target=watch, daemon=True, name="watch-ancestors").start()


def _ancestors(pid: int) -> list[int]:
    """Return the chain of parents, up to the Snakemake that a user or `sessionscribe run` started."""
    chain = []
    while (parent := _stat(pid)[1]) > 1 and _is_ours(parent):
        chain.append(parent)
        pid = parent
    return chain


def _is_ours(pid: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"snakemake" in command


def _stat(pid: int) -> tuple[str, int]:
    """Return a process's state letter and parent; without /proc (macOS) nothing is watched."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return "X", 0
    return fields[0], int(fields[1])


def _alive(pid: int) -> bool:
    return _stat(pid)[0] not in "ZX"
