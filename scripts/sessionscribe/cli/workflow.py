"""Run Snakemake as a child process, and parse its arguments."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from sessionscribe.core.errors import UserError, complain, nearest

BUSY = os.EX_TEMPFAIL
"""The exit code if another run is active in this folder, so nothing was done."""
SIGNALLED = 128
"""Added to a signal's number, this is the exit code of a run that the signal ended, as in shells."""
FINISHED_TOO = ("summary", "detailed_summary", "dag", "d3dag", "rulegraph", "filegraph", "report")
"""Snakemake's options that show the whole workflow, including finished work."""
SHOWS = (
    *FINISHED_TOO,
    *("dryrun", "list_rules", "list_target_rules", "list_untracked", "list_changes", "list_input_changes"),
    *("list_params_changes", "list_conda_envs", "lint", "unlock", "print_compilation"),
)
"""Snakemake's options that only show something, as its parser names them."""
OPTIONS_ALIKE = 0.75
"""Minimum similarity of a suggested option: Snakemake has many."""
TABLE = ("--quiet", "rules", "host", "reason")
"""Options that reduce a dry run's output to the table of jobs."""


@dataclass(frozen=True)
class Request:
    """A request to Snakemake: arguments, settings, and whether it only shows something."""

    arguments: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()  # KEY=VALUE, as given
    settings: Mapping[str, Any] = field(default_factory=dict)
    shows: bool = False
    targets: tuple[str, ...] = ()


def parse(arguments: Sequence[str], own: Sequence[str] = ()) -> Request:
    """Parse arguments with Snakemake's own parser; a dry run without other options shows only its table.

    Args:
        arguments: arguments for Snakemake.
        own: the command's own options, which may have been meant.

    Raises:
        UserError: Snakemake does not accept these arguments.
    """
    if not arguments:
        return Request()
    from snakemake.cli import get_argument_parser, parse_config  # noqa: PLC0415 -- half a second
    from snakemake.exceptions import CliException  # noqa: PLC0415

    parser = get_argument_parser()
    parser.error = partial(_refuse, known=[*own, *parser._option_string_actions])
    try:
        options = parser.parse_args(arguments)
        settings = parse_config(options.config)
    except (CliException, ValueError) as error:
        _refuse(str(error))
    details = options.printshellcmds or options.verbose or options.debug_dag or options.quiet is not None
    table = TABLE if options.dryrun and not details else ()
    shows = any(getattr(options, name) for name in SHOWS)
    return Request((*arguments, *table), tuple(options.config or ()), settings, shows, tuple(options.targets))


def shows_finished(arguments: Sequence[str]) -> bool:
    """Return whether Snakemake, given these arguments, also shows finished work."""
    from snakemake.cli import get_argument_parser  # noqa: PLC0415 -- half a second

    options, _ = get_argument_parser().parse_known_args(arguments)
    return any(getattr(options, name) for name in FINISHED_TOO)


def profile_of_another(arguments: Sequence[str], project: Path) -> str | None:
    """Return a warning if these arguments name a profile of another clone of this project.

    Profile names are links in the user's configuration folder, which all clones share.

    Raises:
        UserError: the other clone's profile differs from the one here.
    """
    from snakemake.cli import get_argument_parser, get_profile_dir  # noqa: PLC0415 -- half a second

    names = get_argument_parser().parse_known_args(arguments)[0].profile or []
    for name in [names] if isinstance(names, str) else names:
        folder, file = get_profile_dir(name) or (Path(name), Path(name))
        folder = folder.resolve()
        clone, own = folder.parents[min(1, len(folder.parents) - 1)], project / "profiles" / folder.name
        is_clone = folder.parent.name == "profiles" and (clone / "scripts/sessionscribe").is_dir()
        if not is_clone or clone == project.resolve():
            continue
        what = f"the profile belongs to another clone, {clone}"
        hint = f"Use --profile {os.path.relpath(own)}, or link the names to this clone with `make setup`"
        problem = UserError(what, where=f"--profile {name}", hint=hint)
        same = own / file.name
        if not same.is_file() or same.read_bytes() != file.read_bytes():
            raise problem
        return f"{problem.where}: {what}, with the same settings. {hint}"
    return None


def _refuse(what: str, known: Sequence[str] = ()) -> NoReturn:
    option = what.removeprefix("unrecognized arguments: ").split()[0].partition("=")[0]
    hint = nearest(option, known, OPTIONS_ALIKE) or "`snakemake --help` lists Snakemake's options"
    if "onfig" in what:
        hint = "Write it in quotes: --config 'chunk={target_s: 300}'"
    raise UserError(what.rstrip("."), where="run", hint=hint)


def start(
    arguments: Sequence[str], should_stop: Callable[[], bool] = lambda: False, every_s: float | None = None
) -> int:
    """Run Snakemake in this folder; return its exit code, ``BUSY``, or ``SIGNALLED`` plus a signal's number.

    SIGINT and SIGTERM are passed on to Snakemake, which cleans up; this process does not end until then.

    Args:
        arguments: arguments for Snakemake.
        should_stop: once it returns True, running jobs finish and no others start.
        every_s: seconds between calls of ``should_stop``; None: never.
    """
    got: list[int] = []
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _frame: FrameType | None) -> None:
        got.append(number)
        # On a terminal Ctrl-C reaches the whole process group. SIGTERM would let running jobs finish.
        if child and (number != signal.SIGINT or not sys.stdin.isatty()):
            child.send_signal(signal.SIGINT)

    # Handlers are set before the start: a child inherits signals that a background shell ignores.
    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        sys.stdout.flush()
        command = [sys.executable, "-m", "snakemake_logger_plugin_sessionscribe", *arguments]
        child = subprocess.Popen(command)
        if got:
            child.send_signal(signal.SIGINT)
        code = _wait(child, should_stop, every_s)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if code < 0 and not got:
        name = signal.Signals(-code).name
        complain(f"Snakemake was killed ({name}). Finished work is kept: run again to continue")
    if code and got:
        return SIGNALLED + got[-1]
    return code if code >= 0 else SIGNALLED - code


def _wait(child: subprocess.Popen[bytes], should_stop: Callable[[], bool], every_s: float | None) -> int:
    while True:
        try:
            return child.wait(every_s)
        except subprocess.TimeoutExpired:
            if should_stop():
                child.send_signal(signal.SIGTERM)  # Snakemake lets running jobs finish
                every_s = None
