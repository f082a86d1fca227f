"""The one exception that a user is meant to read."""


class UserError(Exception):
    """Something the user can put right; its text is one line: what is wrong, where, what to do.

    Args:
        what: what is wrong, without a full stop at its end.
        where: the file, session or setting that it is about; control characters are made visible.
        hint: what to do about it.
    """

    def __init__(self, what: str, *, where: object, hint: str) -> None:
        self.what, self.where, self.hint = what, visible(str(where)), hint
        super().__init__(f"{self.where}: {what}. {hint}")


def visible(text: str) -> str:
    """Return ``text`` on one line: line breaks and control characters as escapes, the rest as it is."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
