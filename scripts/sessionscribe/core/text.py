"""Words as text: grouped, joined, measured, cleaned and compared."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import NamedTuple, Protocol

UNSPACED = frozenset({"zh", "yue", "ja", "th", "lo", "my", "km"})
"""Languages (Whisper's codes) that are written without spaces between words."""
_UNSPACED_SCRIPT = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u19e0-\u19ff"  # Thai, Lao, Burmese, Khmer
    "\u3000-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uff9f"  # CJK, punctuation too
    "\U00020000-\U0003ffff]"
)
_SENTENCE_END = frozenset(".?!…。？！｡؟۔।॥።៕")
_TITLES = frozenset({"dr", "mr", "mrs", "ms", "prof", "sr", "sra", "st"})
CLAUSE_END = frozenset(",;:–—、，；：،؛၊៖")
_SPACES = re.compile("[ \t\n\r\f\v]+")
_NO_ENDS = frozenset("¿¡#&*@/\\")  # punctuation that does not close what is before it
_CLOSING = "\"'”’»›)]}」』）】》〉"
# Control characters, surrogates, what XML cannot contain, and marks that reverse the following text.
_UNWANTED = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
# Marks of text direction, and U+FEFF, which programs write at the start of a file.
_DIRECTION = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_JOINER = "\u200d"
LONGEST_NAME = 100
"""Maximum length of a speaker's name, in letters."""
TOO_LONG = f"is longer than a name may be ({LONGEST_NAME} letters)"


class Spelled(Protocol):
    """A word, and whether a space precedes it."""

    @property
    def text(self) -> str:
        """The word without surrounding spaces."""

    @property
    def space(self) -> bool:
        """Whether a space precedes it."""


class WordPieces(NamedTuple):
    """A word that consists of an engine's ``pieces[first:stop]``; ``space`` as in ``Spelled``."""

    text: str
    space: bool
    first: int
    stop: int


def join_words(words: Iterable[Spelled]) -> str:
    """Return words as text, with the spaces that they specify."""
    return "".join(f" {word.text}" if word.space else word.text for word in words).removeprefix(" ")


def join_segments(texts: Sequence[str], language: str) -> str:
    """Join consecutive texts of a language; empty ones are skipped."""
    texts = [text for text in texts if text]
    pairs = zip(["", *texts], texts, strict=False)
    return "".join(f" {text}" if spaced(before, text, language) else text for before, text in pairs)


def single_spaced(text: str) -> str:
    """Strip ``text`` and replace each run of white space in it with one space."""
    return _SPACES.sub(" ", text).strip(" ")


def group_pieces(pieces: Sequence[str]) -> list[WordPieces]:
    """Group an engine's pieces of a segment into words that, joined, give the segment's text.

    Engines split words at punctuation (``$1`` ``,500``, ``well`` ``-known``) and scripts without spaces into
    letters. A word is what stands between spaces; in scripts without spaces, a letter with its marks and
    punctuation. A detached mark belongs to the word before it (``va ?``, ``50 %``) or, if it opens something,
    to the word after it (``« oui``).

    Args:
        pieces: with the spaces around them; joined, they are the text of the segment.
    """
    trimmed: list[WordPieces] = []
    space = False
    for number, piece in enumerate(pieces):
        space = space or _SPACES.match(piece) is not None
        if text := single_spaced(piece):
            trimmed.append(WordPieces(text, space, number, number + 1))
            space = _SPACES.fullmatch(piece[-1]) is not None
    found: list[WordPieces] = []
    for here, after in zip_longest(trimmed, trimmed[1:]):
        if not found:
            # The engine's space before a segment is not part of its text: the script decides.
            found.append(here._replace(space=not written_without_spaces(here.text[0])))
        elif _go_together(found[-1].text, here, alone=after is None or after.space):
            last = found[-1]
            found[-1] = last._replace(text=f"{last.text}{' ' * here.space}{here.text}", stop=here.stop)
        else:
            found.append(here)
    return found


def _go_together(left: str, right: WordPieces, *, alone: bool) -> bool:
    """Return whether a piece belongs to the word before it; ``alone``: a space or nothing follows."""
    if not right.space:
        return (
            _closes(right.text, left)
            or unicodedata.category(left[-1]) in {"Ps", "Pi"}
            or not (written_without_spaces(left[-1]) or written_without_spaces(right.text[0]))
        )
    is_mark = not any(unicodedata.category(c)[0] in "LN" for c in left)
    if is_mark and (unicodedata.category(left[-1]) in {"Ps", "Pi", "Pd", "Sc"} or left[-1] in "¿¡"):
        return True
    return alone and _closes(right.text, left)


def _closes(text: str, left: str) -> bool:
    kinds = {unicodedata.category(c) for c in text}
    if kinds == {"Sc"}:
        return left[-1].isdigit()
    return (kinds <= {"Pe", "Pf", "Po", "Pd"} and not set(text) & _NO_ENDS) or _continues(text[0])


def spaces_before(text: str, words: Sequence[str]) -> list[bool]:
    """Return for each word whether a space precedes it in ``text``; always if ``text`` has other words.

    For the first word, the script decides, as in ``group_pieces``.
    """
    found, at = [], 0
    for number, word in enumerate(words):
        place = text.find(word, at)
        between = text[at:place]
        if place < 0 or between.strip():
            return [True] * len(words)
        apart = bool(between) if number else not (word and written_without_spaces(word[0]))
        found.append(apart)
        at = place + len(word)
    return found


def spaced(left: str, right: str, language: str) -> bool:
    """Return whether a space belongs between two words that were not written together.

    In a language without spaces, only between ASCII words; in others, unless both words are in a script
    without spaces (a session in several languages).
    """
    if not left or not right:
        return False
    if language in UNSPACED:
        return all(c.isascii() and c.isalpha() for c in (left[-1], right[0]))
    return not (_UNSPACED_SCRIPT.match(left[-1]) and _UNSPACED_SCRIPT.match(right[0]))


def written_without_spaces(letter: str) -> bool:
    """Return whether a letter is of a script without spaces between words."""
    return _UNSPACED_SCRIPT.match(letter) is not None


def one_line(text: str) -> str:
    """Return ``text`` on one line: runs of white space become one space, unwanted characters are removed.

    These are control characters, what XML cannot contain, and marks that reverse the text after them (not
    U+200E and U+200F).
    """
    return _UNWANTED.sub("", " ".join(text.split())).strip()


def is_text(text: str) -> bool:
    """Return whether ``text`` is without surrogates, which UTF-8 cannot encode."""
    return not any("\ud800" <= c <= "\udfff" for c in text)


def short_name(text: str) -> str:
    """Return a person's name on one line, cut to ``LONGEST_NAME`` letters."""
    return "".join(clusters(one_line(text))[:LONGEST_NAME]).strip()


def is_long_name(text: str) -> bool:
    """Return whether a name is longer than ``LONGEST_NAME``."""
    return len(clusters(one_line(text))) > LONGEST_NAME


def undirected(text: str) -> str:
    """Return ``text`` without the invisible direction marks that exports and editors add."""
    return _DIRECTION.sub("", text)


def harmless(text: str) -> str:
    """Return ``text`` with the characters that `one_line` removes as escapes."""
    return _UNWANTED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def clusters(text: str) -> list[str]:
    """Split ``text`` into grapheme clusters: letters with their marks, joined emoji, flags."""
    found: list[str] = []
    for c in text:
        if found and _belongs_to(found[-1], c):
            found[-1] += c
        else:
            found.append(c)
    return found


def _continues(c: str) -> bool:
    """Return whether a character extends the one before it: an accent, a vowel sign, a joiner."""
    return unicodedata.category(c)[0] == "M" or c == _JOINER


def _belongs_to(before: str, c: str) -> bool:
    if _continues(c) or before[-1] == _JOINER:
        return True
    return "\U0001f3fb" <= c <= "\U0001f3ff" or (
        _is_flag_letter(c) and len(before) == 1 and _is_flag_letter(before)
    )


def _is_flag_letter(c: str) -> bool:
    return "\U0001f1e6" <= c <= "\U0001f1ff"


def columns(text: str) -> int:
    """Return the width of ``text`` in columns: full-width letters and emoji count twice, marks not at all."""
    return sum(_columns(c) for c in text)


def _columns(c: str) -> int:
    if c.isascii():
        return 1
    if unicodedata.category(c) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(c) in {"W", "F"} else 1


def is_right_to_left(text: str) -> bool:
    """Return whether most letters of ``text`` run from right to left."""
    kinds = [unicodedata.bidirectional(c) for c in text]
    return sum(kind in {"R", "AL"} for kind in kinds) > kinds.count("L")


def starts_right_to_left(text: str) -> bool:
    """Return whether the first letter of ``text`` runs from right to left."""
    for c in text:
        if (kind := unicodedata.bidirectional(c)) in {"L", "R", "AL"}:
            return kind != "L"
    return False


def normalised(text: str) -> str:
    """Return the letters and digits of a word in one case, for comparisons."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(c for c in folded if unicodedata.category(c)[0] in "LNM")
    return kept or folded


def ends_with(text: str, marks: frozenset[str]) -> bool:
    """Return whether ``text`` ends with one of ``marks``, ignoring closing quotes and brackets."""
    return text.rstrip(_CLOSING)[-1:] in marks


def ends_sentence(text: str) -> bool:
    """Return whether a sentence ends with ``text``; not with `Mr.`."""
    return ends_with(text, _SENTENCE_END) and text.strip(".([\"'").lower() not in _TITLES


def listed(names: Sequence[str], most: int) -> str:
    """Return the first ``most`` names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines with aligned columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
    ]


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {plural or noun + 's'}"
