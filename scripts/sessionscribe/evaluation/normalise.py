"""Normalise words for comparison, with Whisper's normalisers from the package whisper-normalizer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version

from sessionscribe.core.text import UNSPACED


@dataclass(frozen=True)
class Normaliser:
    """A named function that turns text into words to compare; ``unspaced``: single characters."""

    name: str
    unspaced: bool
    text: Callable[[str], str]

    def words(self, text: str) -> list[str]:
        """Return the normalised words of a text; there may be none."""
        return self.text(text).split()


def normaliser(language: str | None, *, plain: bool = False) -> Normaliser:
    """Return the normaliser for a language, as in Whisper's own evaluation.

    English has its own (numbers, contractions, spelling, fillers). For all others, case, punctuation and
    bracketed remarks are removed, but not combining marks. Languages written without spaces are compared
    character by character.

    Args:
        language: Whisper's code, or None if it is unknown.
        plain: compare words as written.
    """
    unspaced = language in UNSPACED
    if plain:
        return Normaliser("none (as written)", unspaced, _spread if unspaced else str)
    from whisper_normalizer.basic import BasicTextNormalizer  # noqa: PLC0415
    from whisper_normalizer.english import EnglishTextNormalizer  # noqa: PLC0415

    made_by = f"whisper-normalizer {version('whisper-normalizer')}"
    if language == "en":
        return Normaliser(f"English ({made_by})", False, lru_cache(1 << 16)(EnglishTextNormalizer()))
    basic = BasicTextNormalizer(split_letters=unspaced, preserve_marks=True)
    kind = "character by character" if unspaced else "basic"
    return Normaliser(f"{kind} ({made_by})", unspaced, lru_cache(1 << 16)(basic))


def _spread(text: str) -> str:
    return " ".join("".join(text.split()))
