"""Splits text into the tokens that corrections compare: words, or letters in scripts without spaces."""

from __future__ import annotations

from sessionscribe.core.text import clusters, normalised, one_line, undirected, written_without_spaces

# Characters that exports write in place of markup.
_REPLACED = str.maketrans({"‹": "<", "∖": "\\", "❴": "{", "❵": "}", "＃": "#", "꞉": ":", "→": "-->"})


def atoms(text: str) -> list[str]:
    """Return the tokens of a text: words between spaces, and letters of scripts without spaces."""
    found: list[str] = []
    for piece in one_line(undirected(text)).split():
        if piece.isascii():
            found.append(piece)
            continue
        extends = False
        for cluster in clusters(piece):
            # The full-width `#` of an export is part of a word such as C#.
            alone = written_without_spaces(cluster) and shown(cluster) == cluster
            if extends and not alone:
                found[-1] += cluster
            else:
                found.append(cluster)
            extends = not alone
    return found


def alike(text: str) -> str:
    """Return the form in which tokens are compared: letters and digits in one case."""
    return normalised(text)


def shown(text: str) -> str:
    """Return a token as it was before an export replaced markup characters in it."""
    return text.translate(_REPLACED)
