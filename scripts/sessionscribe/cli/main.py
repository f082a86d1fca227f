"""The command `sessionscribe`: parse the command line and run the sub-command."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from sessionscribe import PACKAGE, __version__
from sessionscribe.cli import (
    add,
    batch,
    bundle,
    correct,
    enroll,
    evaluate,
    models,
    publish,
    remove,
    report,
    run,
    serve,
    status,
    storage,
    transcribe,
    verify,
    watch,
    work,
)
from sessionscribe.cli.options import PROJECT, Parser, load
from sessionscribe.cli.workflow import SIGNALLED
from sessionscribe.core.errors import UserError, complain, describe, exit_code
from sessionscribe.core.text import is_text
from sessionscribe.publish import unpack

COMMANDS = (
    *(
        transcribe,
        add,
        run,
        status,
        serve,
        correct,
        enroll,
        evaluate,
        report,
        models,
        storage,
        remove,
        verify,
    ),
    *(publish, bundle, batch, watch, work),
)
"""What has commands, in the order in which the help names them."""
LISTS = ("sessions", "sources", "files", "places")
"""Arguments of which there may be several."""
ANYWHERE = ("diff", "evaluate", "models", "transcribe", "work")
"""Commands that need no project."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 if something failed, 2 if it was used wrongly.

    After a signal it is that of the signal, as shells have it.
    """
    options = parse(arguments or sys.argv[1:])
    try:
        _refuse_half_characters(options)
        if options.command not in ANYWHERE:
            _look_around()
        own = options.command in (*ANYWHERE, "run")  # those read the settings by themselves, if at all
        code: int = options.act(options) if own else options.act(options, load(options))
        sys.stdout.flush()
        return code
    except UserError as error:
        complain(error)
        return 2
    except BrokenPipeError:
        _drop_output()
        return 0
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return SIGNALLED + signal.SIGINT
    except OSError as error:
        if error.filename is None and (output := _redirected_to()):  # our own files are always named
            error.filename = output
            _drop_output()
        complain(describe(error, str(Path.cwd())))
        return exit_code(error)


def _redirected_to() -> str | None:
    """Return the file or device that standard output is redirected to, if any; a pipe is none."""
    path = os.path.realpath(f"/dev/fd/{sys.stdout.fileno()}")
    return path if os.path.exists(path) and not sys.stdout.isatty() else None


def _drop_output() -> None:
    """Discard what is still buffered, so that writing it at exit does not fail once more."""
    with open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), sys.stdout.fileno())


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse a command line; ``rest`` is for Snakemake, ``known`` are the command's options."""
    parser, commands = _parsers()
    options, rest = parser.parse_known_args(batch.with_action(arguments))
    options.rest = rest
    own: Parser = commands.choices[options.command]
    options.known = list(own._option_string_actions)
    if options.command != "run":
        _take_late(options)
        if options.rest:
            own.error(f"unrecognized arguments: {' '.join(options.rest)}", options.known)
    if hasattr(options, "sessions") and hasattr(options, "session"):
        options.sessions = list(dict.fromkeys([*options.sessions, *options.session]))
    if hasattr(options, "named"):
        if options.named and options.session:
            options.edited = Path(options.session)
        options.session = options.named or options.session
        if not options.session:
            own.error("the following arguments are required: SESSION")
    return options


def _take_late(options: argparse.Namespace) -> None:
    """Accept arguments after options, which argparse leaves over."""
    if any(text.startswith("-") for text in options.rest):
        return
    for name in LISTS:
        if hasattr(options, name):
            setattr(options, name, [*getattr(options, name), *options.rest])
            options.rest = []
    if hasattr(options, "edited") and options.edited is None and options.rest:
        options.edited = Path(options.rest.pop(0))


def _refuse_half_characters(options: argparse.Namespace) -> None:
    """Refuse arguments that are not valid UTF-8, except recordings, which are reported one by one.

    Commands that compare files take any.

    Raises:
        UserError: there is some: the shell hands on names that are not UTF-8 in this way.
    """
    for name, value in () if options.command in ("diff", "evaluate") else vars(options).items():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, str | Path) and not is_text(str(part)) and name not in (*LISTS[1:], "source"):
                hint = "Type it again, or rename what it is the name of"
                raise UserError("is not valid UTF-8", where=str(part), hint=hint)


def _look_around() -> None:
    """Check that this folder is a project of this installation, and unpack pulled sessions.

    Raises:
        UserError: there is none.
    """
    if not Path("Snakefile").is_file():
        hint = f"Change to the project's folder, for example: cd {PROJECT}"
        raise UserError("there is no Snakefile here", where=Path.cwd(), hint=hint)
    if Path("scripts/sessionscribe").is_dir() and not PACKAGE.samefile("scripts/sessionscribe"):
        complain(f"this command is that of another clone, {PROJECT}; here it is .venv/bin/sessionscribe")
    for problem in unpack.put_in_place():
        complain(problem)


def _parsers() -> tuple[Parser, argparse._SubParsersAction[Parser]]:
    """Return the command's parser and the group of its sub-commands."""
    parser = Parser(prog="sessionscribe", description="Turn recordings into transcripts with speakers.")
    parser.add_argument("--version", action="version", version=f"sessionscribe {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, title="commands", metavar="COMMAND")
    for module in COMMANDS:
        module.add_arguments(commands)
    return parser, commands


if __name__ == "__main__":
    sys.exit(main())
