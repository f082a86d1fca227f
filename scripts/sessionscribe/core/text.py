"""Words as text: from an engine's pieces, joined as written, measured, cleaned for lines, and compared."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import NamedTuple, Protocol

# Languages (Whisper's codes) that are written without spaces between words.
UNSPACED = frozenset({"zh", "yue", "ja", "th", "lo", "my", "km"})
_UNSPACED_SCRIPT = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u19e0-\u19ff"  # Thai, Lao, Burmese, Khmer
    "\u3000-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uff9f"  # CJK, punctuation too
    "\U00020000-\U0003ffff]"
)
_SENTENCE_END = frozenset(".?!…。？！｡؟۔।॥።៕")
_TITLES = frozenset({"dr", "mr", "mrs", "ms", "prof", "sr", "sra", "st"})
CLAUSE_END = frozenset(",;:–—、，；：،؛၊៖")
_SPACES = re.compile("[ \t\n\r\f\v]+")
_NO_ENDS = frozenset("¿¡#&*@/\\")  # punctuation that does not end what is before it
_CLOSING = "\"'”’»›)]}」』）】》〉"
# Controls, halves of characters, what XML cannot hold, and marks that turn the direction of what follows.
_UNWANTED = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
# Marks that say in which direction text runs; U+FEFF is what programs put at the start of a file.
_DIRECTION = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_JOINER = "\u200d"
LONGEST_NAME = 100
"""Letters of a speaker's name."""
TOO_LONG = f"is longer than a name may be ({LONGEST_NAME} letters)"


class Spelled(Protocol):
    """A word that knows whether a space stands before it."""

    @property
    def text(self) -> str:
        """Its letters, without spaces around them."""

    @property
    def space(self) -> bool:
        """Whether a space stands before it."""


class WordPieces(NamedTuple):
    """A word of an engine's pieces: ``pieces[first:stop]`` of them; ``space`` as in ``Spelled``."""

    text: str
    space: bool
    first: int
    stop: int


def join_words(words: Iterable[Spelled]) -> str:
    """Return words as running text, as they were written: spaces are where the words say."""
    return "".join(f" {word.text}" if word.space else word.text for word in words).removeprefix(" ")


def join_segments(texts: Sequence[str], language: str) -> str:
    """Return texts of ``language`` that follow one another as one; empty ones leave no trace."""
    texts = [text for text in texts if text]
    pairs = zip(["", *texts], texts, strict=False)
    return "".join(f" {text}" if spaced(before, text, language) else text for before, text in pairs)


def single_spaced(text: str) -> str:
    """Return ``text`` without white space around it, any run of white space in it as one space."""
    return _SPACES.sub(" ", text).strip(" ")


def group_pieces(pieces: Sequence[str]) -> list[WordPieces]:
    """Return the words that an engine's pieces of a segment are, so that joined they give its text.

    Engines part words at punctuation (``$1`` ``,500``, ``well`` ``-known``) and scripts without spaces into
    single letters. A word is what stands between spaces; in scripts without spaces, a letter with its marks
    and punctuation. A mark that stands alone belongs to the word before it (``va ?``, ``50 %``) or, where it
    opens something, to the word after it (``« oui``).

    Args:
        pieces: with the spaces before (and after) them, in order; joined they are the text of the segment.
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
            # The engine's space before a segment is no part of its text: what counts is what its script asks.
            found.append(here._replace(space=not written_without_spaces(here.text[0])))
        elif _go_together(found[-1].text, here, alone=after is None or after.space):
            last = found[-1]
            found[-1] = last._replace(text=f"{last.text}{' ' * here.space}{here.text}", stop=here.stop)
        else:
            found.append(here)
    return found


def _go_together(left: str, right: WordPieces, *, alone: bool) -> bool:
    """Return whether a piece belongs to the word before it; ``alone``: nothing follows without a space."""
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
    """Return for each word whether a space stands before it in ``text``, which they spell.

    The first one counts as ``group_pieces`` has it. Where they do not spell it, a space stands everywhere.
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
    """Return whether a space belongs between two neighbouring words of which nobody has written it.

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
    """Return ``text`` on one line: any run of white space as one space, without invisible characters.

    Left out are control characters, what XML cannot hold, and marks that would turn around the text after
    them (the marks U+200E and U+200F, which do not, stay).
    """
    return _UNWANTED.sub("", " ".join(text.split())).strip()


def is_text(text: str) -> bool:
    """Return whether UTF-8 can encode ``text``: surrogates stand for invalid bytes."""
    return not any("\ud800" <= c <= "\udfff" for c in text)


def short_name(text: str) -> str:
    """Return a person's name as it may stand before what is said: on one line, at most so long."""
    return "".join(clusters(one_line(text))[:LONGEST_NAME]).strip()


def is_long_name(text: str) -> bool:
    """Return whether a name is longer than any person's: a text that was put in the wrong place."""
    return len(clusters(one_line(text))) > LONGEST_NAME


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


def _continues(c: str) -> bool:
    """Return whether a character is part of the one before it: an accent, a vowel sign, a joiner."""
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


def ends_with(text: str, marks: frozenset[str]) -> bool:
    """Return whether ``text`` ends with one of ``marks``, closing quotes and brackets left aside."""
    return text.rstrip(_CLOSING)[-1:] in marks


def ends_sentence(text: str) -> bool:
    """Return whether a sentence ends with ``text``; with `Mr.` none does."""
    return ends_with(text, _SENTENCE_END) and text.strip(".([\"'").lower() not in _TITLES


def listed(names: Sequence[str], most: int) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of cells as lines of aligned columns; all but the first are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
    ]


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {plural or noun + 's'}"
