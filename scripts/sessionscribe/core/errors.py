"""The exception for errors that users can fix, and how errors are reported."""

import difflib
import errno
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

SHOWN = 8
"""How many sessions or names a message lists at most."""
LONGEST_QUOTE = 300
"""Longest quotation in a message, in letters: the value of a setting may be a whole document."""
LONGEST_MESSAGE = 1000
"""Longest description of a problem, in letters."""
COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
FRAME = re.compile(
    r"^[ \t]*[\u2500-\u259f|▶×]+[ \t]*|[ \t]*[\u2500-\u259f|]+[ \t]*$|[\u2500-\u259f]+", re.MULTILINE
)
WRAPPED = re.compile(r"(?<=\S)[ \t]*(?P<side>[│┃|])[ \t]*\r?\n[ \t]*(?P=side)[ \t]*(?=[^\s│┃|])")
"""A line break within a sentence in a frame."""
PLENTY_MB = 100
ROOM = "Make room and run again: nothing is lost"
DISK = {
    errno.ENOSPC: ("the disk is full ({state})", ROOM),
    errno.EDQUOT: ("the disk is full (your quota at {disk} is used up)", ROOM),
    errno.EROFS: (
        "the disk at {disk} is read-only",
        "Make it writable, or work in another folder: nothing is lost",
    ),
    errno.EIO: (
        "the disk at {disk} fails to read or write",
        "Check it; run again when it works: nothing is lost",
    ),
}
"""Problem and hint for errors of a whole disk."""

T = TypeVar("T")


class UserError(Exception):
    """An error that the user can fix; its text is one line: what is wrong, where, what to do.

    Args:
        what: what is wrong, without a full stop.
        where: the file, session or setting concerned; control characters are escaped.
        hint: what to do about it.
    """

    ends_all = False
    """Whether all further items would fail in the same way, as when a server is down."""

    def __init__(self, what: str, *, where: object, hint: str) -> None:
        self.what, self.where, self.hint = shortened(what, LONGEST_MESSAGE), visible(str(where)) or "``", hint
        super().__init__(f"{self.where}: {self.what}. {hint}")


def complain(problem: object) -> None:
    """Print a problem as one line to standard error, if that can be written to."""
    with suppress(OSError):
        print(f"sessionscribe: {problem}", file=sys.stderr, flush=True)


def one_by_one(items: Mapping[str, T], act: Callable[[T], None]) -> int:
    """Call ``act`` with each item and report errors; go on unless the rest would fail as well.

    Args:
        items: the items by the name that messages use.
        act: processes one item.

    Returns:
        The exit code: the largest one of all errors, 0 if there was none.
    """
    code = 0
    for name, item in items.items():
        try:
            act(item)
        except BrokenPipeError:  # the reader of our output has ended
            raise
        except (UserError, OSError) as error:
            code = max(code, exit_code(error))
            complain(describe(error, name))
            full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
            if full or getattr(error, "ends_all", False):
                break
    return code


def describe(error: Exception, where: str) -> str:
    """Return an error as one line: what is wrong, where, what to do.

    Args:
        error: any error.
        where: what it concerns, unless the error names a file.
    """
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.errno in DISK:
        written = error.filename2 or error.filename  # the second one is the copy
        path, (what, hint) = Path(os.fsdecode(written or ".")), DISK[error.errno]
        disk = _mount_point(path)
        what = what.format(disk=disk, state=_free_space(disk))
        return str(UserError(what, where=path if written else where, hint=hint))
    if isinstance(error, OSError) and error.strerror:
        hint = "Fix this and run again: finished work is kept"
        what = f"{error.strerror.lower()}{_owner(error)}"
        return str(UserError(what, where=error.filename or where, hint=hint))
    text = " ".join(str(error).split()) or "no message"
    hint = "The log has the details; if they do not explain it, please report it"
    return str(UserError(f"{type(error).__name__}: {text}", where=where, hint=hint))


def _free_space(disk: Path) -> str:
    state = os.statvfs(disk)
    if state.f_files and not state.f_favail and state.f_bavail:
        return f"no room for one more file at {disk}: all {state.f_files} are there"
    free_mb = state.f_bavail * state.f_frsize / 1e6
    return f"{free_mb:.0f} MB free at {disk}{' by now' if free_mb > PLENTY_MB else ''}"


def _owner(error: OSError) -> str:
    """Return whose file or folder it is that another user may not write, as after one run with `sudo`."""
    if isinstance(error, PermissionError) and error.filename:
        with suppress(OSError, KeyError):
            place = _existing(Path(os.fsdecode(error.filename)))
            if place.stat().st_uid != os.geteuid():
                return f" ({place} belongs to {place.owner()})"
    return ""


def _existing(path: Path) -> Path:
    """Return a path, or the nearest folder above it that exists."""
    while not os.path.exists(path) and path != path.parent:
        path = path.parent
    return path


def _mount_point(path: Path) -> Path:
    """Return the mount point of the disk that contains a path."""
    place = _existing(path.absolute())
    device = place.stat().st_dev
    while place != place.parent and place.parent.stat().st_dev == device:
        place = place.parent
    return place


def exit_code(error: Exception) -> int:
    """Return the exit code for an error: 74 (EX_IOERR) for a disk, otherwise 1."""
    return os.EX_IOERR if isinstance(error, OSError) and error.errno in DISK else 1


def visible(text: str, longest: int | None = LONGEST_QUOTE) -> str:
    """Return ``text`` on one line: control characters as escapes, without the middle of a long text."""
    shown = text if longest is None else shortened(text, longest)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


def shortened(text: str, longest: int) -> str:
    """Return ``text`` without its middle if it has more than ``longest`` letters."""
    return text if len(text) <= longest else f"{text[: longest * 2 // 3]} … {text[-longest // 4 :]}"


def cause(output: str, otherwise: str = "no reason given", *, besides: tuple[str, ...] = ()) -> str:
    """Return why a program failed: the last line of its output, without colours and frames.

    Args:
        output: what the program printed.
        otherwise: the result if that is nothing.
        besides: beginnings of lines to skip, unless there are no others.
    """
    lines = FRAME.sub("", WRAPPED.sub(" ", COLOUR.sub("", output))).splitlines()
    lines = [line.strip() for line in lines if any(letter.isalnum() for letter in line)]
    return ([line for line in lines if not line.startswith(besides)] or lines or [otherwise])[-1]


def nearest(name: str, known: Iterable[str], cutoff: float = 0.5) -> str:
    """Return "Did you mean …?" with the most similar known name, or "" if none is similar."""
    bare = {each.lstrip("-").lower(): each for each in known}  # dashes make all options similar
    near = difflib.get_close_matches(name.lstrip("-").lower(), bare, n=1, cutoff=cutoff)
    return f"Did you mean `{bare[near[0]]}`?" if near else ""


def meant(name: str, known: Iterable[str], otherwise: str = "There are none") -> str:
    """Return a hint for an unknown name: the most similar known one, or else all of them."""
    names = list(known)
    there = f"There are: {', '.join(names[:SHOWN])}{' …' * (len(names) > SHOWN)}" if names else otherwise
    return nearest(name, names) or there


def unknown_session(name: str, sessions: Iterable[str], path: Path) -> UserError:
    """Return the error for a session that is not in the manifest at ``path``."""
    hint = meant(name, sessions, "Add it with `sessionscribe add`")
    return UserError(f"there is no session `{visible(name)}`", where=path, hint=hint)
