"""``watch``: add and transcribe recordings that arrive in folders."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType

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

    Runs until a signal arrives; with ``--once``, returns 1 if something was refused or failed.
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
    stop = _Stop()
    if options.once:
        return _once(watcher, folders, batch, stop)
    print(f"watching {', '.join(folder.path for folder in folders)}", flush=True)
    _watch(watcher, folders, batch, stop)
    return 0


def _once(watcher: Watcher, folders: Sequence[WatchFolder], batch: Sequence[str], stop: _Stop) -> int:
    added = sum(watcher.scan(folder) for folder in folders)
    if watcher.waiting:
        stop.wait(max(folder.settle_s for folder in folders))
        added += sum(watcher.scan(folder) for folder in folders)
    code = stop.run(batch) if added and batch and not stop.asked else 0
    return code or int(bool(watcher.refused))


def _watch(watcher: Watcher, folders: Sequence[WatchFolder], batch: Sequence[str], stop: _Stop) -> None:
    """Scan each folder when it is due; run a batch when nothing has been added for the settling time."""
    quiet_s = max(folder.settle_s for folder in folders)
    due = dict.fromkeys(range(len(folders)), 0.0)
    run_at: float | None = None
    while not stop.asked:
        for number, folder in enumerate(folders):
            if due[number] <= time.monotonic():
                if watcher.scan(folder):
                    run_at = time.monotonic() + quiet_s
                due[number] = time.monotonic() + poll_s(folder)
        if batch and run_at is not None and time.monotonic() >= run_at and not stop.asked:
            run_at = time.monotonic() + LATER_S if _was_put_off(stop.run(batch)) else None
        until = min([*due.values(), *([run_at] if batch and run_at is not None else [])])
        stop.wait(max(0.0, until - time.monotonic()))


def _was_put_off(code: int) -> bool:
    """Return whether a batch did nothing because another one or a recording was in progress."""
    last = next(report.newest_first(), None)
    return code == BUSY or (last is not None and last.status == "locked")


class _Stop:
    """Remembers whether SIGINT or SIGTERM arrived, and interrupts a running batch."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    @property
    def asked(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> None:
        """Wait for some seconds or until a signal arrives."""
        self._event.wait(seconds)

    def run(self, command: Sequence[str]) -> int:
        """Run a command and return its exit code."""
        sys.stdout.flush()
        # A new session, so that Ctrl-C reaches the batch only once, from here.
        self._child = subprocess.Popen(command, start_new_session=True)
        if self.asked:
            self._child.send_signal(signal.SIGINT)
        code = self._child.wait()
        self._child = None
        return code

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._event.set()
        if self._child:
            self._child.send_signal(signal.SIGINT)
