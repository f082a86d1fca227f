"""Words as text: joined as their language is written, measured, cleaned for files of lines, and compared."""

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
SENTENCE_END = frozenset(".?!…。？！｡؟۔।॥።៕")
CLAUSE_END = frozenset(",;:–—、，；：،؛၊៖")
_CLOSING = "\"'”’»›)]}」』）】》〉"
# Controls, halves of characters, what XML cannot hold, and marks that turn the direction of what follows.
_UNWANTED = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
# Marks that say in which direction text runs; U+FEFF is what programs put at the start of a file.
_DIRECTION = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_JOINER = "\u200d"


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


def written_without_spaces(letter: str) -> bool:
    """Return whether a letter is of a script that puts no spaces between words."""
    return _UNSPACED_SCRIPT.match(letter) is not None


def one_line(text: str) -> str:
    """Return ``text`` on one line: any run of white space as one space, no character that is not to be seen.

    Left out are control characters, what XML cannot hold, and marks that would turn around the text after
    them (the marks U+200E and U+200F, which do not, stay).
    """
    return _UNWANTED.sub("", " ".join(text.split())).strip()


def undirected(text: str) -> str:
    """Return ``text`` without the invisible marks of direction, which exports and editors put around it."""
    return _DIRECTION.sub("", text)


def harmless(text: str) -> str:
    """Return ``text`` with what `one_line` leaves out as escapes; joiners, which spell words, stay."""
    return _UNWANTED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def clusters(text: str) -> list[str]:
    """Return ``text`` in pieces that must not be cut: letters with their marks, joined emoji, flags."""
    found: list[str] = []
    for c in text:
        if found and (_belongs_to(found[-1], c)):
            found[-1] += c
        else:
            found.append(c)
    return found


def _belongs_to(before: str, c: str) -> bool:
    if unicodedata.category(c)[0] == "M" or c == _JOINER or before[-1] == _JOINER:
        return True
    return "\U0001f3fb" <= c <= "\U0001f3ff" or (
        _is_flag_letter(c) and len(before) == 1 and _is_flag_letter(before)
    )


def _is_flag_letter(c: str) -> bool:
    return "\U0001f1e6" <= c <= "\U0001f1ff"


def columns(text: str) -> int:
    """Return how wide ``text`` is: East Asian full-width letters and emoji count two, marks nothing."""
    return sum(_columns(c) for c in text)


def _columns(c: str) -> int:
    if c.isascii():
        return 1
    if unicodedata.category(c) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(c) in {"W", "F"} else 1


def is_right_to_left(text: str) -> bool:
    """Return whether ``text`` has more letters that run from right to left than such from left to right."""
    kinds = [unicodedata.bidirectional(c) for c in text]
    return sum(kind in {"R", "AL"} for kind in kinds) > kinds.count("L")


def starts_right_to_left(text: str) -> bool:
    """Return whether programs that go by the first letter take ``text`` for right-to-left."""
    for c in text:
        if (kind := unicodedata.bidirectional(c)) in {"L", "R", "AL"}:
            return kind != "L"
    return False


def normalised(text: str) -> str:
    """Return what two versions of a word have in common: letters and digits, in one case."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(c for c in folded if unicodedata.category(c)[0] in "LNM")
    return kept or folded


def ends_with(text: str, marks: Iterable[str]) -> bool:
    """Return whether ``text`` ends with one of ``marks``, closing quotes and brackets left aside."""
    return text.rstrip(_CLOSING)[-1:] in set(marks) - {""}
