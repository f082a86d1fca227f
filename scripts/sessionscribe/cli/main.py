"""The command `sessionscribe`: parse the command line and run the sub-command."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from itertools import takewhile
from pathlib import Path

from sessionscribe import PACKAGE, __version__
from sessionscribe.cli.options import PROJECT, Parser, add_command, load, with_action
from sessionscribe.cli.workflow import SIGNALLED
from sessionscribe.core.errors import UserError, complain, describe, exit_code
from sessionscribe.core.text import is_text
from sessionscribe.publish import unpack

COMMANDS = (
    *("transcribe", "add", "run", "status", "serve", "correct", "enroll", "evaluate", "diff", "report"),
    *("models", "find", "upload", "remove", "verify", "publish", "pull", "versions", "bundle", "import"),
    *("batch", "watch", "work"),
)
"""All commands, in the order in which the help lists them."""
MODULE_OF = {"diff": "evaluate", "find": "storage", "upload": "storage", "import": "bundle"}
MODULE_OF |= dict.fromkeys(("pull", "versions"), "publish")
"""The modules of commands that have no module of their own."""
RECORDINGS = ("sources", "source", "files", "places")
"""Arguments that name recordings."""
ANYWHERE = ("diff", "evaluate", "models", "transcribe", "work")
"""Commands that need no project."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 1 if something failed, 2 if the command was used wrongly.

    After a signal it is 128 plus the signal's number, as in shells.
    """
    options = parse(arguments or sys.argv[1:] or ["--help"])
    try:
        _check_encoding(options)
        if options.command not in ANYWHERE:
            _check_project()
        own = options.command in (*ANYWHERE, "run")  # these load settings themselves, if they need any
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
    """Parse a command line; ``rest`` are arguments for Snakemake, ``known`` the command's options."""
    first, *given = arguments
    parser, commands = _parsers([first] if first in COMMANDS else COMMANDS)
    named = commands.choices.get(first)
    if named is not None:
        _refuse_unknown(named, given, passes_on=first == "run")
    if named is None or named.actions or first == "run":
        options, rest = parser.parse_known_args([first, *with_action(named, given)])
    else:  # arguments may also follow options
        options, rest = named.parse_known_intermixed_args(given)
        options.command = first
    options.rest = rest
    own: Parser = commands.choices[options.command]
    options.known = list(own._option_string_actions)
    if rest and options.command != "run":
        own.error(f"unrecognized arguments: {' '.join(rest)}")
    if hasattr(options, "sessions") and hasattr(options, "session"):
        options.sessions = list(dict.fromkeys([*options.sessions, *options.session]))
    if hasattr(options, "named"):
        if options.named and options.session:
            options.edited = Path(options.session)
        options.session = options.named or options.session
        if not options.session:
            own.error("the following arguments are required: SESSION")
    return options


def _refuse_unknown(command: Parser, given: Sequence[str], *, passes_on: bool) -> None:
    """Refuse an unknown option before its value is taken for an argument, or another one found to be missing.

    Word processors write two hyphens as a dash. A command may pass on what it does not know.
    """
    actions = command.actions.choices if command.actions else {}
    parsers = [command, *(actions[word] for word in given if word in actions)]
    known = {option for parser in parsers for option in parser._option_string_actions}
    for word in takewhile("--".__ne__, given):
        dashed = word.startswith(("–", "—")) and not Path(word).exists()
        if dashed or (word.startswith("--") and word.partition("=")[0] not in known and not passes_on):
            parsers[-1].error(f"unrecognized arguments: {word}")


def _check_encoding(options: argparse.Namespace) -> None:
    """Refuse arguments that are not valid UTF-8, except recordings, which are reported one by one.

    Commands that compare files accept any names.

    Raises:
        UserError: there is such an argument; Python decodes it with lone surrogates.
    """
    for name, value in () if options.command in ("diff", "evaluate") else vars(options).items():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, str | Path) and not is_text(str(part)) and name not in RECORDINGS:
                raise UserError("is not valid UTF-8", where=str(part), hint="Correct or rename it")


def _check_project() -> None:
    """Check that this folder is a project of this clone, and unpack pulled sessions.

    Raises:
        UserError: this folder is no project.
    """
    if not Path("Snakefile").is_file():
        hint = f"Change to the project's folder, for example: cd {PROJECT}"
        raise UserError("there is no Snakefile here", where=Path.cwd(), hint=hint)
    if Path("scripts/sessionscribe").is_dir() and not PACKAGE.samefile("scripts/sessionscribe"):
        complain(f"this command belongs to another clone, {PROJECT}; use .venv/bin/sessionscribe here")
    for problem in unpack.put_in_place():
        complain(problem)


def _parsers(names: Iterable[str]) -> tuple[Parser, argparse._SubParsersAction[Parser]]:
    """Return the main parser, and the group of the parsers of these commands."""
    parser = Parser(prog="sessionscribe", description="Turn recordings into transcripts with speakers.")
    parser.add_argument("--version", action="version", version=f"sessionscribe {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, title="commands", metavar="COMMAND")
    for name in names:
        import_module(f"sessionscribe.cli.{MODULE_OF.get(name, name)}")
        add_command(name, commands)
    return parser, commands


if __name__ == "__main__":
    sys.exit(main())
