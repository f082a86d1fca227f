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

SHOWN = 8  # sessions in a message, at most
LONGEST_QUOTE = 300
"""Letters of a text that messages quote: somebody may have put a whole document into a setting."""
LONGEST_MESSAGE = 1000
"""Letters of what a message says is wrong, whatever it quotes."""
COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
FRAME = re.compile(
    r"^[ \t]*[\u2500-\u259f|▶×]+[ \t]*|[ \t]*[\u2500-\u259f|]+[ \t]*$|[\u2500-\u259f]+", re.MULTILINE
)
WRAPPED = re.compile(r"(?<=\S)[ \t]*(?P<side>[│┃|])[ \t]*\r?\n[ \t]*(?P=side)[ \t]*(?=[^\s│┃|])")
"""The end of a line and the beginning of the next in one frame."""

T = TypeVar("T")


class UserError(Exception):
    """An error that the user can fix; its text is one line: what is wrong, where, what to do.

    Args:
        what: what is wrong, without a full stop at its end.
        where: the file, session or setting that it is about; control characters are made visible.
        hint: what to do about it.
    """

    ends_all = False
    """Whether whoever comes next would meet the same: a server that is away, a wrong key."""

    def __init__(self, what: str, *, where: object, hint: str) -> None:
        self.what, self.where, self.hint = shortened(what, LONGEST_MESSAGE), visible(str(where)) or "``", hint
        super().__init__(f"{self.where}: {self.what}. {hint}")


def complain(problem: object) -> None:
    """Tell the user of a problem, in a line of its own; it is lost where it cannot be written."""
    with suppress(OSError):
        print(f"sessionscribe: {problem}", file=sys.stderr, flush=True)


def one_by_one(items: Mapping[str, T], act: Callable[[T], None]) -> bool:
    """Process items one by one; errors are reported, and the rest goes on if that makes sense.

    Args:
        items: what there is, by what the user calls it.
        act: is given one after the other.

    Returns:
        Whether something went wrong.
    """
    failed = False
    for name, item in items.items():
        try:
            act(item)
        except BrokenPipeError:  # nobody listens any more
            raise
        except (UserError, OSError) as error:
            failed = True
            complain(describe(error, name))
            full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
            if full or getattr(error, "ends_all", False):
                break
    return failed


def describe(error: Exception, where: str) -> str:
    """Return an error as one line that says what is wrong, where and what to do."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.errno in DISK:
        path = Path(os.fsdecode(error.filename or "."))
        disk, (what, hint) = _disk_of(path), DISK[error.errno]
        what = what.format(disk=disk) if what else _full(disk)
        return str(UserError(what, where=path if error.filename else where, hint=hint))
    if isinstance(error, OSError) and error.strerror:
        hint = "Put that right and run again: what was done stays"
        return str(UserError(error.strerror.lower(), where=error.filename or where, hint=hint))
    text = " ".join(str(error).split()) or "no message"
    hint = "The log has the details; if it is not clear from them, please report it"
    return str(UserError(f"{type(error).__name__}: {text}", where=where, hint=hint))


PLENTY_MB = 100
ROOM = "Make room and run again: nothing is lost"


DISK = {
    errno.ENOSPC: ("", ROOM),  # see `_full`
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
"""What to say where a disk, and not a file, is at fault."""


def _full(disk: Path) -> str:
    state = os.statvfs(disk)
    if state.f_files and not state.f_favail and state.f_bavail:
        return f"the disk is full (no room for one more file at {disk}: all {state.f_files} are there)"
    free_mb = state.f_bavail * state.f_frsize / 1e6
    by_now = " by now" if free_mb > PLENTY_MB else ""
    return f"the disk is full ({free_mb:.0f} MB free at {disk}{by_now})"


def _disk_of(path: Path) -> Path:
    """Return where the disk is mounted that a path lies on."""
    place = path.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    device = place.stat().st_dev
    while place != place.parent and place.parent.stat().st_dev == device:
        place = place.parent
    return place


def exit_code(error: Exception) -> int:
    """Return the exit code of what an error ended: 74 where a disk is at fault, else 1."""
    return os.EX_IOERR if isinstance(error, OSError) and error.errno in DISK else 1


def visible(text: str, longest: int | None = LONGEST_QUOTE) -> str:
    """Return ``text`` on one line: control characters as escapes, without the middle of a long text."""
    shown = text if longest is None else shortened(text, longest)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


def shortened(text: str, longest: int) -> str:
    """Return ``text`` without its middle if it has more than ``longest`` letters."""
    return text if len(text) <= longest else f"{text[: longest * 2 // 3]} … {text[-longest // 4 :]}"


def cause(said: str, otherwise: str = "no reason given", *, besides: tuple[str, ...] = ()) -> str:
    """Return why a program failed: the last line that it wrote, without colours or a frame around it.

    Args:
        said: what it wrote.
        otherwise: what is returned if there is nothing.
        besides: beginnings of lines that are passed over, unless there is nothing else.
    """
    lines = FRAME.sub("", WRAPPED.sub(" ", COLOUR.sub("", said))).splitlines()
    lines = [line.strip() for line in lines if any(letter.isalnum() for letter in line)]
    return ([line for line in lines if not line.startswith(besides)] or lines or [otherwise])[-1]


def nearest(name: str, known: Iterable[str], cutoff: float = 0.5) -> str:
    """Return "Did you mean …?" with the most similar known name; "" if none is similar."""
    bare = {each.lstrip("-").lower(): each for each in known}  # all options begin alike
    near = difflib.get_close_matches(name.lstrip("-").lower(), bare, n=1, cutoff=cutoff)
    return f"Did you mean `{bare[near[0]]}`?" if near else ""


def meant(name: str, known: Iterable[str], otherwise: str = "There are none") -> str:
    """Return a hint for an unknown name: the most similar one, else all, else ``otherwise``."""
    names = list(known)
    there = f"There are: {', '.join(names[:SHOWN])}{' …' * (len(names) > SHOWN)}" if names else otherwise
    return nearest(name, names) or there


def unknown_session(name: str, sessions: Iterable[str], path: Path) -> UserError:
    """Return the error for a session that is not in the manifest; it names the nearest one that is."""
    hint = meant(name, sessions, "Add it with `sessionscribe add`")
    return UserError(f"there is no session `{visible(name)}`", where=path, hint=hint)
