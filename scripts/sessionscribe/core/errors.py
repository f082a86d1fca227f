"""The one exception that a user is meant to read, and how a command goes on after one."""

import difflib
import errno
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

SHOWN = 8  # sessions in a message, at most
COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
FRAME = re.compile(
    r"^[ \t]*[\u2500-\u259f|▶×]+[ \t]*|[ \t]*[\u2500-\u259f|]+[ \t]*$|[\u2500-\u259f]+", re.MULTILINE
)
WRAPPED = re.compile(r"(?<=\S)[ \t]*(?P<side>[│┃|])[ \t]*\r?\n[ \t]*(?P=side)[ \t]*(?=[^\s│┃|])")
"""The end of a line and the beginning of the next in one frame."""

T = TypeVar("T")


class UserError(Exception):
    """Something the user can put right; its text is one line: what is wrong, where, what to do.

    Args:
        what: what is wrong, without a full stop at its end.
        where: the file, session or setting that it is about; control characters are made visible.
        hint: what to do about it.
    """

    ends_all = False
    """Whether whoever comes next would meet the same: a server that is away, a wrong key."""

    def __init__(self, what: str, *, where: object, hint: str) -> None:
        self.what, self.where, self.hint = what, visible(str(where)), hint
        super().__init__(f"{self.where}: {what}. {hint}")


def complain(problem: object) -> None:
    """Tell the user of a problem, in a line of its own."""
    print(f"sessionscribe: {problem}", file=sys.stderr, flush=True)


def one_by_one(items: Mapping[str, T], act: Callable[[T], None]) -> bool:
    """Do something for each; what goes wrong with one is told, and the others go on if that is of use.

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
            if is_full(error) or getattr(error, "ends_all", False):
                break
    return failed


def describe(error: Exception, where: str) -> str:
    """Return an error as one line that says what is wrong, where and what to do."""
    if isinstance(error, UserError):
        return str(error)
    if is_full(error):
        what = f"the disk is full ({shutil.disk_usage('.').free / 1e6:.0f} MB free)"
        hint = "Make room and run again: nothing is lost"
        return str(UserError(what, where=getattr(error, "filename", None) or where, hint=hint))
    if isinstance(error, OSError) and error.strerror:
        hint = "Put that right and run again: what was done stays"
        return str(UserError(error.strerror.lower(), where=error.filename or where, hint=hint))
    text = " ".join(str(error).split()) or "no message"
    hint = "The log has the details; if it is not clear from them, please report it"
    return str(UserError(f"{type(error).__name__}: {text}", where=where, hint=hint))


def is_full(error: Exception) -> bool:
    """Return whether it says that there is no room left."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def visible(text: str) -> str:
    """Return ``text`` on one line: line breaks and control characters as escapes, the rest as it is."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


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


def unknown_session(name: str, sessions: Iterable[str], path: Path) -> UserError:
    """Return the error for a session that is not in the manifest; it names the nearest one that is."""
    known = list(sessions)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        hint = f"Did you mean `{near[0]}`?"
    elif known:
        hint = f"There are: {', '.join(known[:SHOWN])}{' …' * (len(known) > SHOWN)}"
    else:
        hint = "Add it with `sessionscribe add`"
    return UserError(f"there is no session `{visible(name)}`", where=path, hint=hint)
