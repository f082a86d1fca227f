"""Words as text: joined as their language is written, cleaned for files of lines, and compared."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

# Languages (Whisper's codes) that are written without spaces between words.
UNSPACED = frozenset({"zh", "yue", "ja", "th", "lo", "my", "km"})
_UNSPACED_SCRIPT = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u19e0-\u19ff"  # Thai, Lao, Burmese, Khmer
    "\u3000-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uff9f"  # CJK, punctuation too
    "\U00020000-\U0003ffff]"
)
SENTENCE_END = frozenset(".?!…。？！｡؟۔।॥။៕")
CLAUSE_END = frozenset(",;:–—、，；：،؛၊៖")
_CLOSING = "\"'”’»›)]}」』）】》〉"


def join_words(texts: Sequence[str], language: str) -> str:
    """Return words as running text of ``language``; every word's letters are in it, in their order."""
    pieces: list[str] = []
    for index, text in enumerate(texts):
        if index and spaced(texts[index - 1], text, language):
            pieces.append(" ")
        pieces.append(text)
    return "".join(pieces)


def spaced(left: str, right: str, language: str) -> bool:
    """Return whether a space belongs between two neighbouring words.

    In a language without spaces only foreign (ASCII) words are kept apart from one another; in all others
    words are, but for those where both are of a script without spaces (a session of several languages).
    """
    if not left or not right:
        return False
    if language in UNSPACED:
        return all(c.isascii() and c.isalpha() for c in (left[-1], right[0]))
    return not (_UNSPACED_SCRIPT.match(left[-1]) and _UNSPACED_SCRIPT.match(right[0]))


def one_line(text: str) -> str:
    """Return ``text`` on one line: any run of white space as one space, control characters left out."""
    spaced_out = " ".join(text.split())
    return "".join(c for c in spaced_out if unicodedata.category(c) not in {"Cc", "Cs"}).strip()


def normalised(text: str) -> str:
    """Return what two versions of a word have in common: letters and digits, in one case."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(c for c in folded if unicodedata.category(c)[0] in "LNM")
    return kept or folded


def ends_with(text: str, marks: Iterable[str]) -> bool:
    """Return whether ``text`` ends with one of ``marks``, closing quotes and brackets left aside."""
    return text.rstrip(_CLOSING)[-1:] in set(marks) - {""}
