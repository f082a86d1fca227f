"""Names of sessions and tracks: parts of file names, and wildcards of rules, on any file system."""

from __future__ import annotations

import re
import unicodedata

from sessionscribe.core.fingerprint import fingerprint

NAME = re.compile(r"\w[\w-]*")  # a dot would make file names ambiguous
MOST_BYTES = 200
"""A name's length in UTF-8: file systems take 255 bytes, with what stands before and after it."""
SHORT_BYTES = 80
"""How long the names that we make ourselves are, so that encrypted file systems (143 bytes) hold them too."""
# Snakemake takes a value that ends with so many repetitions for an endless recursion, and stops.
REPEATS = 20
_PERIODIC = re.compile(rf"(?P<value>.+)(?P=value){{{REPEATS - 1}}}$")
_RESERVED = re.compile(r"models|con|prn|aux|nul|com\d|lpt\d", re.IGNORECASE)
"""The folder in which the check of the models logs, and what Windows takes for devices."""


def fault(name: str) -> str | None:
    """Return why ``name`` cannot be that of a session or track; None if it can."""
    if not NAME.fullmatch(name):
        return "letters, digits, `_`, `-`"
    if len(name) > MOST_BYTES // 4 and len(name.encode("utf-8", "replace")) > MOST_BYTES:
        return f"at most {MOST_BYTES} bytes"
    if name.count(name[-1]) >= REPEATS and _PERIODIC.search(name):
        return f"nothing {REPEATS} times in a row at its end"
    return "it is reserved" if _RESERVED.fullmatch(name) else None


def slug(name: str) -> str:
    """Return a name that is safe in paths, commands and rules: word characters and ``-``.

    One that is too long, or can be no name for another reason, ends with a hash of the whole.
    """
    made = re.sub(r"[^\w-]+", "-", unicodedata.normalize("NFC", name)).strip("-") or "session"
    return numbered(made, name) if fault(made) or len(made.encode()) > SHORT_BYTES else made


def numbered(name: str, content: str) -> str:
    """Return ``name``, shortened where needed, with a hash that tells it from others alike."""
    return (
        f"{name.encode()[: SHORT_BYTES - 7].decode(errors='ignore').rstrip('-')}-{fingerprint(content)[:6]}"
    )


def folded(name: str) -> str:
    """Return a form that is equal for names that some file system considers the same."""
    return unicodedata.normalize("NFC", name).casefold()
