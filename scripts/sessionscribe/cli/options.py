"""How commands are declared, and the arguments that several share: profile, settings, sessions."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml

from sessionscribe import PACKAGE
from sessionscribe.cli import workflow
from sessionscribe.config import loading
from sessionscribe.config.settings import Config
from sessionscribe.core.errors import UserError, nearest

PROJECT = PACKAGE.parents[1]
CONFIG = (Path("config/config.yaml"), Path("config/local.yaml"))
"""Settings that every command reads: the program's own, then the user's, which Git ignores."""
Act = TypeVar("Act", bound=Callable[..., int])


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line and suggest the nearest valid option."""

    actions: argparse._SubParsersAction[Parser] | None = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        """Print the message, with the option that was probably meant, and exit with code 2."""
        meant = ""
        if message.startswith("unrecognized"):
            typed = message.rpartition(": ")[2].partition("=")[0]
            meant = nearest(typed, self._option_string_actions, workflow.OPTIONS_ALIKE)
        elif found := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            meant = nearest(found[1], re.findall(r"[^\s,']+", found[2]))
            message = message.partition(" (choose from ")[0] if meant else message
        self.exit(2, f"{self.prog}: {message}. {meant or f'`{self.prog} --help` lists what is accepted'}\n")


def argument(names: str, metavar: str, help: str, group: str = "", **options: Any) -> Parser:
    """Return a parser with a single argument, for commands to include.

    Args:
        names: the argument's names, separated by spaces.
        metavar: its value in the help; "": the name or the choices.
        help: describes it.
        group: its heading in the help.
        options: as for ``argparse``.
    """
    parser = Parser(add_help=False)
    target = parser.add_argument_group(group) if group else parser
    if metavar:
        options["metavar"] = metavar
    target.add_argument(*names.split(), help=help, **options)
    return parser


def repeated(name: str, metavar: str, help: str, **options: Any) -> Parser:
    """Return a parser with a single option that may be given several times."""
    return argument(name, metavar, help, action="append", default=[], **options)


def flag(names: str, help: str, **options: Any) -> Parser:
    """Return a parser with a single option that takes no value."""
    return argument(names, "", help, action="store_true", **options)


def joined(*parsers: Parser) -> Parser:
    """Return a parser with the arguments of all of these."""
    return Parser(add_help=False, parents=parsers)


def _sessions(what: str) -> Parser:
    return joined(
        argument("sessions", "SESSION", what, nargs="*"),
        repeated("--session", "SESSION", "the same"),
    )


_setting = partial(argument, group="settings")
SETTINGS = joined(
    _setting("--profile", "NAME", "name in profiles/, or a folder (default: local)", default="local"),
    _setting(
        "--configfile",
        "FILE",
        "settings that override config/config.yaml and config/local.yaml (repeatable)",
        action="append",
        default=[],
        type=Path,
    ),
    _setting(
        "-C --config",
        "KEY=VALUE",
        "single settings that override all files, written as for Snakemake",
        action="extend",
        default=[],
        nargs="+",
    ),
)
SESSIONS, NAMED_SESSIONS = _sessions("these sessions only (default: all)"), _sessions("these sessions")
SESSION = joined(
    argument("session", "SESSION", "a session of this project", nargs="?"),
    argument("--session", "SESSION", "the same", dest="named"),
)
DRY_RUN = flag("-n --dry-run", "only show what would be done")
JSON = flag("--json", "print JSON")

DECLARED: dict[str, tuple[Callable[..., int], dict[str, Any]]] = {}
"""The commands of the modules that were imported: function, and options of the parser."""


def command(name: str, *arguments: Parser, usage: str | None = None) -> Callable[[Act], Act]:
    """Declare a function as a command. The first line of its docstring describes it.

    Args:
        name: what the user types; for an action of another command, both words.
        arguments: parsers whose arguments the command accepts.
        usage: the synopsis, if not made from the arguments.
    """

    def declare(act: Act) -> Act:
        DECLARED[name] = act, {"parents": arguments, "usage": usage}
        return act

    return declare


def add_command(name: str, commands: argparse._SubParsersAction[Parser]) -> None:
    """Add a command and its actions to a parser's commands."""
    act, options = DECLARED[name]
    word, text = name.rpartition(" ")[2], (act.__doc__ or "").partition("\n")[0].rstrip(".")
    what = text[:1].lower() + text[1:]
    parser = commands.add_parser(word, help=what, description=f"{text}.", **options)
    parser.set_defaults(act=act)
    if actions := [action for action in DECLARED if action.startswith(f"{name} ")]:
        parser.actions = parser.add_subparsers(title="actions", metavar="ACTION")
        for action in actions:
            add_command(action, parser.actions)


def with_action(parser: Parser | None, arguments: list[str]) -> list[str]:
    """Return a command's arguments with the action, if there is one, moved to the front."""
    if parser and parser.actions:
        words = [word for word in SETTINGS.parse_known_args(arguments)[1] if word in parser.actions.choices]
        if words:
            arguments.remove(words[0])
            return [words[0], *arguments]
    return arguments


def from_one(text: str) -> int:
    """Parse a positive whole number."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, and is `{text}`")
    return int(text)


def profile(options: argparse.Namespace, root: Path = Path()) -> Path:
    """Return the profile's folder: by name in the project ``root`` or in this clone, or by path.

    Raises:
        UserError: there is no such profile.
    """
    name = options.profile
    for folder in (root / "profiles" / name, PROJECT / "profiles" / name, Path(name)):
        if (folder / "config.yaml").is_file():
            return folder
    known = ", ".join(sorted(p.parent.name for p in (PROJECT / "profiles").glob("*/config.yaml")))
    raise UserError("there is no such profile", where=f"--profile {name}", hint=f"There are: {known}")


def profile_values(options: argparse.Namespace, root: Path = Path()) -> dict[str, Any]:
    """Return the content of the profile."""
    path = profile(options, root) / "config.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def configfiles(options: argparse.Namespace, root: Path = Path()) -> list[Path]:
    """Return the settings files in force; later ones override earlier ones, as in Snakemake.

    Args:
        options: the command's options; their paths are relative to the working directory.
        root: the project's folder.
    """
    own = profile_values(options, root).get("configfile", [])
    layers = options.configfile or [root / name for name in ([own] if isinstance(own, str) else own)]
    return [*(root / path for path in CONFIG if os.path.lexists(root / path)), *layers]


def load(options: argparse.Namespace, sessions: Sequence[str] | None = None, root: Path = Path()) -> Config:
    """Return the settings.

    Args:
        options: the command's options.
        sessions: sessions to work on; None: those in the options; empty: as configured.
        root: the project's folder.
    """
    values = workflow.parse(["--config", *options.config]).settings if options.config else {}
    found = loading.load(configfiles(options, root), values)
    names = getattr(options, "sessions", ()) if sessions is None else sessions
    return found.model_copy(update={"sessions": tuple(names)}) if names else found


def passed_on(options: argparse.Namespace) -> list[str]:
    """Return the options that choose settings, as arguments for another command."""
    files = (word for path in options.configfile for word in ("--configfile", str(path)))
    return [*(["--config", *options.config] if options.config else []), *files, "--profile", options.profile]
