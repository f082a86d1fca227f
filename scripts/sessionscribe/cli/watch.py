"""``watch``: add and transcribe recordings that arrive in folders."""

from __future__ import annotations

import argparse
import math
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from sessionscribe.batch import report
from sessionscribe.batch.watch import Watcher, explain, poll_s
from sessionscribe.cli import add
from sessionscribe.cli.options import SETTINGS, argument, command, flag, passed_on
from sessionscribe.cli.workflow import BUSY
from sessionscribe.config.settings import Config, WatchFolder
from sessionscribe.core.errors import UserError
from sessionscribe.manifest.sources import Group

LATER_S = 300.0
"""Pause before the next batch if the last one found another at work, or a recording in progress."""


@command(
    "watch",
    SETTINGS,
    argument("folders", "FOLDER", "watch these instead", nargs="*"),
    flag("--once", "check once, and again when files have settled"),
    flag("--no-run", "only add, do not run"),
    argument("--explain", "FILE", "only show what the rules say about a file"),
)
def watch(options: argparse.Namespace, config: Config) -> int:
    """Add recordings that arrive in folders (`watch.folders`) and run a batch when no more come.

    Runs until SIGINT or SIGTERM; with ``--once``, returns 1 if something was refused or failed.
    """
    folders = [WatchFolder(path=path) for path in options.folders] or list(config.watch.folders)
    if not folders:
        hint = "Set `watch.folders` in config/config.yaml, or name a folder"
        raise UserError("there is nothing to watch", where="sessionscribe watch", hint=hint)
    for rule in config.watch.rules:
        add.check_language(rule.language)
    if options.explain:
        print("\n".join(explain(options.explain, folders, config)))
        return 0

    def add_session(group: Group) -> Sequence[UserError]:
        return add.add_groups([group], {}, config)[1].problems

    watcher = Watcher(config, add_session)
    batch = [sys.executable, "-m", "sessionscribe.cli.main", "batch", "once", *passed_on(options)]
    if options.no_run:
        batch = []
    for number in (signal.SIGINT, signal.SIGTERM):  # in the background, SIGINT may be ignored
        signal.signal(number, signal.default_int_handler)
    if options.once:
        return _once(watcher, folders, batch)
    print(f"watching {', '.join(folder.path for folder in folders)}", flush=True)
    with suppress(KeyboardInterrupt):
        _watch(watcher, folders, batch)
    return 0


def _once(watcher: Watcher, folders: Sequence[WatchFolder], batch: Sequence[str]) -> int:
    added = sum(watcher.scan(folder) for folder in folders)
    if watcher.waiting:
        time.sleep(max(folder.settle_s for folder in folders))
        added += sum(watcher.scan(folder) for folder in folders)
    code = _run(batch) if added and batch else 0
    return code or int(bool(watcher.refused))


def _watch(watcher: Watcher, folders: Sequence[WatchFolder], batch: Sequence[str]) -> NoReturn:
    """Scan each folder when it is due; run a batch when nothing has been added for the settling time."""
    quiet_s = max(folder.settle_s for folder in folders)
    due = dict.fromkeys(range(len(folders)), 0.0)
    run_at = math.inf
    while True:
        for number, folder in enumerate(folders):
            if due[number] <= time.monotonic():
                if watcher.scan(folder) and batch:
                    run_at = time.monotonic() + quiet_s
                due[number] = time.monotonic() + poll_s(folder)
        if time.monotonic() >= run_at:
            run_at = time.monotonic() + LATER_S if _was_put_off(_run(batch)) else math.inf
        time.sleep(max(0.0, min(*due.values(), run_at) - time.monotonic()))


def _run(command: Sequence[str]) -> int:
    """Run a command, which is interrupted if this process is, and return its exit code."""
    sys.stdout.flush()
    # In a session of its own: otherwise, Ctrl-C would reach it twice.
    child = subprocess.Popen(command, start_new_session=True)
    try:
        return child.wait()
    except KeyboardInterrupt:
        child.send_signal(signal.SIGINT)
        child.wait()
        raise


def _was_put_off(code: int) -> bool:
    """Return whether a batch did nothing because another batch or a recording was in progress."""
    last = next(report.newest_first(), None)
    return code == BUSY or (last is not None and last.status == "locked")
