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
"""The exit code where another run is at work in this folder, so that nothing was done."""
SIGNALLED = 128
"""What is added to the number of the signal that ended a run, as shells do it."""
FINISHED_TOO = ("summary", "detailed_summary", "dag", "d3dag", "rulegraph", "filegraph", "report")
"""The options of Snakemake with which it shows the workflow as it is, finished work too."""
SHOWS = (
    *FINISHED_TOO,
    *("dryrun", "list_rules", "list_target_rules", "list_untracked", "list_changes", "list_input_changes"),
    *("list_params_changes", "list_conda_envs", "lint", "unlock", "print_compilation"),
)
"""Those with which it shows something and makes nothing, as its parser names them."""
OPTIONS_ALIKE = 0.75
"""How near the name of an option must be to what was typed: there are many."""
TABLE = ("--quiet", "rules", "host", "reason")
"""What leaves a plan's table of jobs, and nothing else."""


@dataclass(frozen=True)
class Request:
    """A request to Snakemake: arguments, settings, and whether it only shows something."""

    arguments: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()  # the settings as they were given
    settings: Mapping[str, Any] = field(default_factory=dict)
    shows: bool = False
    targets: tuple[str, ...] = ()


def parse(arguments: Sequence[str], own: Sequence[str] = ()) -> Request:
    """Parse arguments with Snakemake's own parser; a dry run without other options shows only its table.

    Args:
        arguments: what is for Snakemake.
        own: options that are not, one of which may have been meant.

    Raises:
        UserError: it refuses these arguments.
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

    A profile's name stands for a link in the user's configuration folder, and all clones share that.

    Raises:
        UserError: that profile is not the same as the one here.
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
        what = f"the profile is that of another clone, {clone}"
        hint = f"Use --profile {os.path.relpath(own)}, or let `make setup` here link the names to this clone"
        problem = UserError(what, where=f"--profile {name}", hint=hint)
        same = own / file.name
        if not same.is_file() or same.read_bytes() != file.read_bytes():
            raise problem
        return f"{problem.where}: {what}, with the same settings. {hint}"
    return None


def _refuse(what: str, known: Sequence[str] = ()) -> NoReturn:
    option = what.removeprefix("unrecognized arguments: ").split()[0].partition("=")[0]
    hint = nearest(option, known, OPTIONS_ALIKE) or "`snakemake --help` lists what Snakemake takes"
    if "onfig" in what:
        hint = """Write it so, within quotes: --config 'chunk={target_s: 300}'"""
    raise UserError(what.rstrip("."), where="run", hint=hint)


def start(
    arguments: Sequence[str], should_stop: Callable[[], bool] = lambda: False, every_s: float | None = None
) -> int:
    """Run Snakemake in this folder; return its exit code, ``BUSY``, or ``SIGNALLED`` plus a signal's number.

    SIGINT and SIGTERM are passed on to it, and are not the end of this process: Snakemake cleans up.

    Args:
        arguments: of Snakemake.
        should_stop: once it says yes, jobs that run finish and none begins.
        every_s: how often it is asked; None: never.
    """
    got: list[int] = []
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _frame: FrameType | None) -> None:
        got.append(number)
        # On a terminal Ctrl-C reaches the whole group by itself; SIGTERM lets Snakemake finish what runs.
        if child and (number != signal.SIGINT or not sys.stdin.isatty()):
            child.send_signal(signal.SIGINT)

    # Before it starts: what a background shell has its children ignore would stay ignored.
    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        sys.stdout.flush()  # what was said before comes before
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
        complain(f"Snakemake was killed ({name}). What is finished stays: run again to go on")
    if code and got:
        return SIGNALLED + got[-1]
    return code if code >= 0 else SIGNALLED - code


def _wait(child: subprocess.Popen[bytes], should_stop: Callable[[], bool], every_s: float | None) -> int:
    while True:
        try:
            return child.wait(every_s)
        except subprocess.TimeoutExpired:
            if should_stop():
                child.send_signal(signal.SIGTERM)  # Snakemake lets what runs finish
                every_s = None
