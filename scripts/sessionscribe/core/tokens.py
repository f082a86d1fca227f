"""Text in the pieces that corrections compare: words, and single letters where no spaces are written."""

from __future__ import annotations

from collections.abc import Iterator

from sessionscribe.core.text import clusters, normalised, one_line, undirected, written_without_spaces

# What exports put in place of text that their formats would take for markup.
_SHOWN = str.maketrans({"‹": "<", "∖": "\\", "❴": "{", "❵": "}", "＃": "#", "꞉": ":", "→": "-->"})


def atoms(text: str) -> list[str]:
    """Return the pieces of a text: what stands between spaces, letters of scripts without spaces singly."""
    return list(_atoms(text))


def _atoms(text: str) -> Iterator[str]:
    for piece in one_line(undirected(text)).split(" "):
        if piece.isascii():
            if piece:
                yield piece
            continue
        run = ""
        for cluster in clusters(piece):
            # What stands for `#` is full-width, and still part of a word such as C#.
            if written_without_spaces(cluster) and shown(cluster) == cluster:
                if run:
                    yield run
                yield cluster
                run = ""
            else:
                run += cluster
        if run:
            yield run


def alike(text: str) -> str:
    """Return what an atom is looked up by: letters and digits in one case."""
    return normalised(text)


def shown(text: str) -> str:
    """Return what two spellings of one atom have in common, if one of them went through an export."""
    return text.translate(_SHOWN)
