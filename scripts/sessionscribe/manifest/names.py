"""Names of sessions and tracks, which are parts of file names and wildcards of rules."""

from __future__ import annotations

import re
import unicodedata

from sessionscribe.core.fingerprint import fingerprint

NAME = re.compile(r"\w[\w-]*")  # a dot would make file names ambiguous
MOST_BYTES = 200
"""Longest name in UTF-8: file systems allow 255 bytes for the whole file name."""
SHORT_BYTES = 80
"""Longest name that we make: encrypted file systems allow 143 bytes for the whole file name."""
# Snakemake takes so many repetitions at the end of a wildcard for an endless recursion.
REPEATS = 20
_PERIODIC = re.compile(rf"(?P<value>.+)(?P=value){{{REPEATS - 1}}}$")
_RESERVED = re.compile(r"models|con|prn|aux|nul|com\d|lpt\d", re.IGNORECASE)
"""The folder for the logs of the models' check, and devices of Windows."""


def fault(name: str) -> str | None:
    """Return why ``name`` cannot be the name of a session or track; None if it can."""
    if not NAME.fullmatch(name):
        return "letters, digits, `_`, `-`"
    if len(name) > MOST_BYTES // 4 and len(name.encode("utf-8", "replace")) > MOST_BYTES:
        return f"at most {MOST_BYTES} bytes"
    if name.count(name[-1]) >= REPEATS and _PERIODIC.search(name):
        return f"nothing {REPEATS} times in a row at its end"
    return "it is reserved" if _RESERVED.fullmatch(name) else None


def slug(name: str) -> str:
    """Return a name that is safe in paths, commands and rules: word characters and ``-``.

    If it is too long or otherwise unsuitable, it is shortened and gets a hash.
    """
    made = re.sub(r"[^\w-]+", "-", unicodedata.normalize("NFC", name)).strip("-") or "session"
    return numbered(made, name) if fault(made) or len(made.encode()) > SHORT_BYTES else made


def numbered(name: str, content: str) -> str:
    """Return ``name``, shortened if necessary, with a hash of ``content``."""
    return (
        f"{name.encode()[: SHORT_BYTES - 7].decode(errors='ignore').rstrip('-')}-{fingerprint(content)[:6]}"
    )


def folded(name: str) -> str:
    """Return a form that is equal for names that some file systems consider the same."""
    return unicodedata.normalize("NFC", name).casefold()
