"""The one exception that a user is meant to read, and how a command goes on after one."""

import sys
from collections.abc import Callable, Iterable
from typing import TypeVar

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


def one_by_one(items: Iterable[T], act: Callable[[T], None]) -> bool:
    """Do something for each; what goes wrong with one is told, and the others go on if that is of use.

    Returns whether something went wrong.
    """
    failed = False
    for item in items:
        try:
            act(item)
        except UserError as error:
            failed = True
            complain(error)
            if error.ends_all:
                break
    return failed


def visible(text: str) -> str:
    """Return ``text`` on one line: line breaks and control characters as escapes, the rest as it is."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
