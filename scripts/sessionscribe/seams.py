"""Where two chunks have heard the same few seconds: which version of each word stays.

Nothing here changes a word; a decision only names the ones that go, and why.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from sessionscribe.artifacts import SAMPLE_RATE, CutKind, Word
from sessionscribe.intervals import Interval, interval
from sessionscribe.text import normalised

OTHER_SIDE = "beyond the cut: the neighbouring chunk owns this moment"
SPLICED = "beyond the splice: the neighbouring chunk's version is in the transcript"
OVERLAID = "at a forced cut without a match: another word at the same moment is in the transcript"

DOUBT = 3.0  # how far from the cut a second between two versions of a word counts, in seconds
SURE = 0.75  # words of one side that the other lacks count if their mean probability is higher


@dataclass(frozen=True)
class Meeting:
    """The neighbours ``left`` and ``right`` at ``cut``; both heard ``[overlap_start, overlap_stop)``.

    That is empty where nothing was heard twice. Positions are samples of the track, in which all is compared;
    the words are in time order.
    """

    left: Sequence[Word]
    right: Sequence[Word]
    cut: int
    kind: CutKind
    overlap_start: int
    overlap_stop: int


@dataclass(frozen=True)
class Decision:
    """How it was decided, and the words that go: their index in ``left`` or ``right`` and the reason."""

    method: Literal["apart", "midpoint", "spliced", "kept both"]
    left: dict[int, str] = field(default_factory=dict)
    right: dict[int, str] = field(default_factory=dict)


def decide(meeting: Meeting, *, match_s: float) -> Decision:
    """Return which words of either side go.

    Without an overlap nothing was heard twice (batched decoding never does), and all words stay: the sides
    are apart. At a cut in silence a word belongs to the side on which its midpoint lies. A word that both
    sides have (same text, less than half of ``match_s`` apart) is judged once, by the mean of its two
    midpoints, so that it is neither lost nor doubled when the two times lie on different sides of the cut. At
    a forced cut the sides are spliced at the matched word (less than ``match_s`` apart) nearest the cut; one
    whose neighbour matches too goes before one that stands alone, then one that leaves out less of what only
    one side has; an equal text at another time counts as farther away: it may be another word. Without a
    match both sides' words stay, unless two lie over one another in time.
    """
    if meeting.overlap_stop <= meeting.overlap_start:
        return Decision("apart")
    # The left side's words from `first` on and the right side's before `last` may be versions of one another.
    within = (i for i, w in enumerate(meeting.left) if _at(w)[1] > meeting.overlap_start)
    first = next(within, len(meeting.left))
    beyond = (j for j, w in enumerate(meeting.right) if _at(w)[0] >= meeting.overlap_stop)
    last = next(beyond, len(meeting.right))
    apart_s = match_s if meeting.kind == "forced" else match_s / 2
    pairs = [(i + first, j) for i, j in align(meeting.left[first:], meeting.right[:last], match_s=apart_s)]
    if meeting.kind != "forced" or (first == len(meeting.left) and last == 0):
        return _by_midpoint(meeting, pairs)
    return _spliced(meeting, pairs) if pairs else _both(meeting, first, last)


def align(left: Sequence[Word], right: Sequence[Word], *, match_s: float) -> list[tuple[int, int]]:
    """Return index pairs of words that are the same, in order.

    A pair counts the more the closer its two times are: many pairs that are all one word off (``no no no``)
    must not win over fewer that are on the spot.
    """
    texts_left, texts_right = [normalised(w.text) for w in left], [normalised(w.text) for w in right]
    middles_left, middles_right = [midpoint(w) for w in left], [midpoint(w) for w in right]
    within = round(match_s * SAMPLE_RATE)
    # best[i][j]: the most that left[i:] and right[j:] can have in common
    best = [[0.0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i in reversed(range(len(left))):
        for j in reversed(range(len(right))):
            best[i][j] = max(best[i + 1][j], best[i][j + 1])
            closeness = within - abs(middles_left[i] - middles_right[j])
            if texts_left[i] == texts_right[j] and closeness > 0:
                best[i][j] = max(best[i][j], best[i + 1][j + 1] + closeness)
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while best[i][j]:
        if best[i][j] == best[i + 1][j]:
            i += 1
        elif best[i][j] == best[i][j + 1]:
            j += 1
        else:
            pairs.append((i, j))
            i, j = i + 1, j + 1
    return pairs


def midpoint(word: Word) -> float:
    """Return the middle of a word, in samples."""
    return sum(_at(word)) / 2


def _at(word: Word) -> Interval:
    return interval(word.start, word.end)


def _by_midpoint(meeting: Meeting, pairs: list[tuple[int, int]]) -> Decision:
    of_left = [midpoint(word) for word in meeting.left]
    of_right = [midpoint(word) for word in meeting.right]
    for i, j in pairs:
        of_left[i] = of_right[j] = (of_left[i] + of_right[j]) / 2
    return Decision(
        "midpoint",
        {i: OTHER_SIDE for i, middle in enumerate(of_left) if middle >= meeting.cut},
        {j: OTHER_SIDE for j, middle in enumerate(of_right) if middle < meeting.cut},
    )


def _spliced(meeting: Meeting, pairs: list[tuple[int, int]]) -> Decision:
    middles = [(midpoint(meeting.left[i]), midpoint(meeting.right[j])) for i, j in pairs]
    fewer = _missing(meeting, pairs)

    def rank(index: int) -> tuple[bool, int, float]:
        i, j = pairs[index]
        alone = (i - 1, j - 1) not in pairs and (i + 1, j + 1) not in pairs
        left, right = middles[index]
        return alone, fewer[index], abs((left + right) / 2 - meeting.cut) + DOUBT * abs(left - right)

    best = min(range(len(pairs)), key=rank)
    i, j = pairs[best]
    if sum(middles[best]) / 2 < meeting.cut:  # the matched word itself: the version of the side where it lies
        i += 1
        j += 1
    return Decision(
        "spliced", dict.fromkeys(range(i, len(meeting.left)), SPLICED), dict.fromkeys(range(j), SPLICED)
    )


def _missing(meeting: Meeting, pairs: list[tuple[int, int]]) -> list[int]:
    """Return for each pair how many words a splice there would leave out that the other side heard better.

    Between two matched words each side has its version, and one side may have nothing: of two who talk at
    once, an engine hears now one, now both. Before the first and after the last pair one side begins or ends
    in the middle of speech, so nothing can be said of what is there.
    """
    left, right = [0], [0]  # what the left lacks before each pair, and the right after it
    for (i, j), (k, m) in pairwise(pairs):
        ours, theirs = meeting.left[i + 1 : k], meeting.right[j + 1 : m]
        left.append(left[-1] + _lacks(ours, theirs))
        right.append(right[-1] + _lacks(theirs, ours))
    return [before + right[-1] - after for before, after in zip(left, right, strict=True)]


def _lacks(ours: Sequence[Word], theirs: Sequence[Word]) -> int:
    """Return how many words more the other version has, if it is also the surer one."""
    more = len(theirs) - len(ours)
    return more if more > 0 and _sureness(theirs) > max(SURE, _sureness(ours)) else 0


def _sureness(words: Sequence[Word]) -> float:
    return sum(word.probability for word in words) / len(words) if words else 0.0


def _both(meeting: Meeting, first: int, last: int) -> Decision:
    """Keep all words but those that lie over a better one (on its own side of the cut, then surer)."""
    # side, index, word, whether it lies on the other's side of the cut
    sides = [(0, i, w, midpoint(w) >= meeting.cut) for i, w in enumerate(meeting.left) if i >= first]
    sides += [(1, j, w, midpoint(w) < meeting.cut) for j, w in enumerate(meeting.right[:last])]
    kept: tuple[list[Word], list[Word]] = ([], [])
    gone: tuple[dict[int, str], dict[int, str]] = ({}, {})
    for side, index, word, _ in sorted(sides, key=lambda s: (s[3], -s[2].probability, s[0], s[1])):
        if any(overlaid(word, other) for other in kept[1 - side]):
            gone[side][index] = OVERLAID
        else:
            kept[side].append(word)
    return Decision("kept both", *gone)


def overlaid(one: Word, other: Word) -> bool:
    """Return whether two words lie over one another for more than half of the shorter one."""
    (one_start, one_stop), (other_start, other_stop) = _at(one), _at(other)
    common = min(one_stop, other_stop) - max(one_start, other_start)
    shorter = min(one_stop - one_start, other_stop - other_start)
    return 2 * common > shorter or (shorter <= 0 <= common)
