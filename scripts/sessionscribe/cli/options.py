"""The options that several commands share, and what they mean: profile, settings, sessions."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml

from sessionscribe import PACKAGE
from sessionscribe.cli import workflow
from sessionscribe.config import loading
from sessionscribe.config.settings import Config
from sessionscribe.core.errors import UserError, nearest

PROJECT = PACKAGE.parents[1]
CONFIG = (Path("config/config.yaml"), Path("config/local.yaml"))
"""Settings that every command reads: the program's, and over them a person's own, which Git ignores."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line and suggest the nearest valid option."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **how})

    def error(self, message: str, known: Sequence[str] = ()) -> NoReturn:
        """Print the message and end with exit code 2; ``known`` are options that may have been meant."""
        typed = message.rpartition(": ")[2].partition("=")[0]
        meant = nearest(typed, known, workflow.OPTIONS_ALIKE)
        if found := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            meant = nearest(found[1], re.findall(r"[^\s,']+", found[2]))
        self.exit(2, f"{self.prog}: {message}. {meant or f'`{self.prog} --help` shows what there is'}\n")


def _settings() -> Parser:
    """Return the options that choose settings, for all commands that read some."""
    parser = Parser(add_help=False)
    group = parser.add_argument_group("settings")
    group.add_argument(
        "--profile", default="local", metavar="NAME", help="name in profiles/, or a folder (default: local)"
    )
    group.add_argument(
        "--configfile",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="settings that override config/config.yaml and config/local.yaml (repeatable)",
    )
    group.add_argument(
        *("-C", "--config"),
        action="extend",
        default=[],
        nargs="+",
        metavar="KEY=VALUE",
        help="single settings that override all files, written as for Snakemake",
    )
    return parser


def _sessions(what: str) -> Parser:
    parser = Parser(add_help=False)
    parser.add_argument("sessions", nargs="*", metavar="SESSION", help=what)
    parser.add_argument("--session", action="append", default=[], metavar="SESSION", help="the same")
    return parser


def _session() -> Parser:
    parser = Parser(add_help=False)
    parser.add_argument("session", nargs="?", metavar="SESSION", help="a session of this project")
    parser.add_argument("--session", dest="named", metavar="SESSION", help="the same")
    return parser


SETTINGS, SESSION = _settings(), _session()
SESSIONS, NAMED_SESSIONS = _sessions("these sessions only (default: all)"), _sessions("these sessions")
"""Arguments that several commands have: which settings hold, and which session or sessions are meant."""


def subcommand(commands: Any, name: str, act: Callable[..., int], what: str, *shared: Parser) -> Parser:
    """Add a sub-command and return its parser.

    Args:
        commands: what it is added to.
        name: what the user types.
        act: is given the options, and returns the exit code.
        what: says what it does, in the imperative.
        shared: have arguments that others have, too.
    """
    description = f"{what[0].upper()}{what[1:]}."
    parser: Parser = commands.add_parser(name, parents=shared, help=what, description=description)
    parser.set_defaults(act=act)
    return parser


def from_one(text: str) -> int:
    """Parse a positive whole number."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, and is `{text}`")
    return int(text)


def profile(options: argparse.Namespace, root: Path = Path()) -> Path:
    """Return the folder of the profile: one of the project in ``root`` or of ours by name, or any by path.

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
    """Return the settings files in force, the strongest last, as Snakemake layers them.

    Args:
        options: the command's; what they name is meant from the present folder.
        root: the project's folder.
    """
    own = profile_values(options, root).get("configfile", [])
    layers = options.configfile or [root / name for name in ([own] if isinstance(own, str) else own)]
    return [*(root / path for path in CONFIG if (root / path).is_file()), *layers]


def load(options: argparse.Namespace, sessions: Sequence[str] | None = None, root: Path = Path()) -> Config:
    """Return the settings.

    Args:
        options: the command's.
        sessions: those to work on; None: those that the options name; none: as the settings say.
        root: the project's folder.
    """
    values = workflow.parse(["--config", *options.config]).settings if options.config else {}
    found = loading.load(configfiles(options, root), values)
    names = getattr(options, "sessions", ()) if sessions is None else sessions
    return found.model_copy(update={"sessions": tuple(names)}) if names else found


def passed_on(options: argparse.Namespace) -> list[str]:
    """Return these options as arguments, for a command that this one starts."""
    files = (word for path in options.configfile for word in ("--configfile", str(path)))
    return [*(["--config", *options.config] if options.config else []), *files, "--profile", options.profile]
