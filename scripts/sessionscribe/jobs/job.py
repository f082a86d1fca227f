"""What every job does around its work: a log, one clear line on failure, a record of its results."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from itertools import takewhile
from pathlib import Path
from typing import Any

import psutil

from sessionscribe import PACKAGE, __version__
from sessionscribe.artifacts.provenance import Failure, Output, Provenance
from sessionscribe.core import errors
from sessionscribe.core.errors import UserError
from sessionscribe.core.files import sha256, source_sha256
from sessionscribe.jobs import metrics
from sessionscribe.jobs.log import JobLogger, Log, printing_to

MODELS = "models"
"""In place of a session's name, for the job that checks the models."""
PACKAGES = ("faster-whisper", "ctranslate2", "pyannote.audio", "av", "torch")


@contextmanager
def job(
    rule: str,
    settings: Mapping[str, Any],
    *,
    log: str,
    outputs: Mapping[str, str],
    queued_s: float = 0.0,
    usage: bool = True,
) -> Iterator[JobLogger]:
    """Run a job's work: ``with job(...) as say``. Everything that it prints goes to the log.

    A failure ends the process (in a worker: the job) with its exit code, after one line in the log and on
    standard error, and leaves a ``Failure`` for the status table. Success removes that and writes the record
    ``outputs["provenance"]`` last, so that a job counts as done only when all its outputs are complete.

    Args:
        rule: the rule.
        settings: the settings of the step; ``session`` and ``key`` identify it.
        log: path of the log.
        outputs: paths of the outputs by name.
        queued_s: how long the job waited for a worker, in seconds.
        usage: whether to record what the job used in ``logs/usage``.
    """
    watch_ancestors()
    session = str(settings.get("session", MODELS))
    first = next(iter(outputs.values()), "")
    failed, used_up = notes_of(rule, session, log)
    code = 0
    with Log(Path(log)) as file, metrics.measured() as used:
        say = JobLogger(file)
        try:
            with printing_to(file):
                yield say
                _write_record(rule, settings, outputs, say)
            failed.unlink(missing_ok=True)
            say(f"done in {used.wall_s():.1f} s")
        except Exception as error:
            if not isinstance(error, UserError):
                traceback.print_exc(file=file)
            message, code = errors.describe(error, session), errors.exit_code(error)
            say(f"FAILED {message}")
            note_failure(failed, Failure(session=session, rule=rule, output=first, message=message, log=log))
        if usage:
            with contextlib.suppress(OSError):  # a full disk must not fail a finished job
                used.usage(session, rule, first, queued_s=queued_s, ok=not code).write(used_up)
    if code:
        print(f"sessionscribe: {rule} failed: {message} (log: {log})", file=sys.stderr)
        sys.exit(code)


def notes_of(rule: str, session: str, log: str) -> tuple[Path, Path]:
    """Return the paths of a job's ``Failure`` and ``JobUsage``."""
    which = "" if session == MODELS else f".{Path(log).name.removesuffix('.log')}"
    name = f"{session}/{rule}{which}.json"
    return Path("logs/failed", name), Path("logs/usage", name)


def note_failure(path: Path, failure: Failure) -> None:
    """Write why a job failed, for the status table."""
    with contextlib.suppress(OSError):  # on a full disk, the line on standard error must do
        failure.write(path)


def _write_record(rule: str, settings: Mapping[str, Any], outputs: Mapping[str, str], say: JobLogger) -> None:
    record = outputs.get("provenance")
    if record is None:
        return
    made = [_describe_file(path) for name, path in sorted(outputs.items()) if name != "provenance"]
    Provenance(
        rule=rule,
        key=settings["key"],
        outputs=made,
        inputs=[_describe_file(str(path)) for path in say.inputs],
        options=dict(settings.get("options", {})),
        versions=versions(),
        flags=say.flags,
        verdict=say.verdict,
    ).write(Path(record))


def _describe_file(path: str) -> Output:
    return Output(path=path, size=Path(path).stat().st_size, sha256=sha256(Path(path)))


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of our code (with a checksum of its files), Python and the engines' packages."""
    found = {
        "sessionscribe": f"{__version__}+{source_sha256(PACKAGE)[:12]}",
        "python": ".".join(map(str, sys.version_info[:3])),
    }
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


@functools.cache
def watch_ancestors() -> None:
    """End this process when an ancestor dies, because a killed Snakemake leaves its jobs running.

    The watched ancestors are all parents up to the Snakemake that a user or `sessionscribe run` started.
    """
    chain = list(takewhile(_is_ours, psutil.Process().parents()))

    def watch() -> None:
        while all(map(_is_alive, chain)):
            time.sleep(1)
        os._exit(143)

    if chain:
        threading.Thread(target=watch, daemon=True, name="watch-ancestors").start()


def _is_ours(process: psutil.Process) -> bool:
    try:
        return any("snakemake" in word for word in process.cmdline())
    except psutil.Error:
        return False


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
