"""What went wrong where chunks meet (seams.py): words lost and doubled, errors near cuts and elsewhere."""

from __future__ import annotations

import sys
from bisect import bisect
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent))
import conversations
from conversations import Recording, middle, paired

from sessionscribe.artifacts import SAMPLE_RATE, ChunkTranscript, CutKind, Merged, Plan
from sessionscribe.evaluation.intervals import Bootstrap
from sessionscribe.evaluation.said import Said, SaidWord, Utterance
from sessionscribe.evaluation.words import word_errors

NEAR_S = 2.0
SAME_S = 0.5
"""How far two times of one word may lie apart."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """A recording decoded in chunks."""

    plan: Plan
    chunks: list[ChunkTranscript]
    merged: Merged

    @property
    def cuts(self) -> list[tuple[float, CutKind]]:
        """Where it was cut (s), and how."""
        return [(core.stop / SAMPLE_RATE, core.stop_cut) for core in self.plan.cores[:-1]]

    @property
    def words(self) -> list[SaidWord]:
        """All words of the merged transcript, in order of time; the chunk stands for the speaker."""
        found = [word for segment in self.merged.segments for word in segment.words]
        return [SaidWord(w.text, w.start, w.end, str(w.chunk)) for w in sorted(found, key=lambda w: w.start)]


def around(words: Sequence[SaidWord], time: float, reach: float) -> list[SaidWord]:
    """Return the words whose middle is so near a moment."""
    return [word for word in words if abs(middle(word) - time) <= reach]


def near_any(time: float, cuts: Sequence[float]) -> bool:
    """Return whether a moment is near one of the cuts, which are in order."""
    after = bisect(cuts, time)
    return any(abs(time - cut) <= NEAR_S for cut in cuts[max(0, after - 1) : after + 1])


@dataclass
class Seams:
    """Seams of one kind, and what went wrong at them; words that another person talks over are kept apart."""

    count: int = 0
    words: int = 0
    lost: list[str] = field(default_factory=list)
    lost_talked_over: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)

    def add(self, other: Seams) -> None:
        """Take those of another recording along."""
        self.count += other.count
        self.words += other.words
        self.lost += other.lost
        self.lost_talked_over += other.lost_talked_over
        self.doubled += other.doubled

    def figures(self) -> dict[str, Any]:
        """Return them for JSON."""
        lists = {"lost": self.lost, "lost_talked_over": self.lost_talked_over, "doubled": self.doubled}
        rates = {f"{name}_per_1000": round(1000 * len(of) / self.count, 2) for name, of in lists.items()}
        return {"seams": self.count, "words_near": self.words, **rates, **lists}


def at_seams(recording: Recording, done: Run, found: dict[CutKind, Seams]) -> None:
    """Look for lost and doubled words at every seam."""
    truth, merged = recording.words, done.words
    sides = [[SaidWord(w.text, w.start, w.end) for s in c.segments for w in s.words] for c in done.chunks]
    for number, (cut, kind) in enumerate(done.cuts):
        seams = found.setdefault(kind, Seams())
        said, kept = (around(words, cut, NEAR_S + 2) for words in (truth, merged))
        has = paired(said, kept, SAME_S)
        heard = {
            i
            for side in sides[number : number + 2]
            for i in paired(said, around(side, cut, NEAR_S + 2), SAME_S)
        }
        near = [i for i, word in enumerate(said) if abs(middle(word) - cut) <= NEAR_S]
        seams.count += 1
        seams.words += len(near)
        instead = replaced(said, kept, has)
        lost = [i for i in near if i in heard and i not in has and i not in instead]
        for i in lost:
            group = seams.lost_talked_over if talked_over(said, i) else seams.lost
            group.append(_named(recording, said[i]))
        for j, word in enumerate(kept):
            if abs(middle(word) - cut) <= NEAR_S and j not in has.values():
                beside = [kept[k] for k in has.values() if kept[k].speaker != word.speaker]
                twin = paired([word], beside, SAME_S)
                if twin and not heard_twice(word, beside[twin[0]], sides[number : number + 2]):
                    seams.doubled.append(_named(recording, word))


def heard_twice(word: SaidWord, other: SaidWord, sides: Sequence[Sequence[SaidWord]]) -> bool:
    """Return whether one side alone has both words: its own error, and none of cutting."""
    return any(len(paired([word, other], side, SAME_S / 2)) == 2 for side in sides)


def replaced(said: Sequence[SaidWord], kept: Sequence[SaidWord], has: dict[int, int]) -> set[int]:
    """Return the words for which another one stands in the transcript: an error, but none of cutting."""
    left = [i for i in range(len(said)) if i not in has]
    others = [j for j in range(len(kept)) if j not in has.values()]
    blank = [replace(word, text="") for word in (*(said[i] for i in left), *(kept[j] for j in others))]
    return {left[i] for i in paired(blank[: len(left)], blank[len(left) :], 2 * SAME_S)}


def talked_over(said: Sequence[SaidWord], number: int) -> bool:
    """Return whether somebody else talks during a word, or the word before or after it by the same person.

    An engine writes down one of two who talk at once; the two sides of a cut may each have chosen another.
    """
    speaker = said[number].speaker
    own = [i for i, word in enumerate(said) if word.speaker == speaker]
    at = own.index(number)
    beside = [said[i] for i in own[max(0, at - 1) : at + 2] if _apart(said[i], said[number]) < SAME_S]
    return any(_apart(word, other) < 0 for other in said if other.speaker != speaker for word in beside)


def _apart(one: SaidWord, other: SaidWord) -> float:
    """Return the pause between two words; below 0 they overlap."""
    starts, ends = (one.start or 0.0, other.start or 0.0), (one.end or 0.0, other.end or 0.0)
    return max(starts) - min(ends)


def _named(recording: Recording, word: SaidWord) -> str:
    return f"{recording.name} {middle(word):.2f} {word.text}"


def errors_by_word(recording: Recording, done: Run) -> tuple[Array, Array]:
    """Return the errors at each word of the truth, and how many words it is to the normaliser."""
    each = [Utterance(w.text, w.start, w.end, None, (w,)) for w in recording.truth.words]
    truth = Said(recording.name, utterances=tuple(each), language="en")
    # Word by word on both sides: the normaliser would join numbers that follow one another.
    words = [[word] for segment in done.merged.segments for word in segment.words]
    found = conversations.said(recording.name, words)
    counted = word_errors(truth, found, conversations.ENGLISH)
    return counted.errors, counted.totals


def changed(one: Run, other: Run, cuts: Sequence[float], by: float = 0.0) -> Array:
    """Return how many words of either run the other lacks at that time, away from cuts, and of how many."""
    moved = [replace(w, start=(w.start or 0.0) - by, end=(w.end or 0.0) - by) for w in other.words]
    pairs = paired(one.words, moved, SAME_S)
    lacking = total = 0
    for words, known in ((one.words, set(pairs)), (moved, set(pairs.values()))):
        away = [number for number, word in enumerate(words) if not near_any(middle(word), cuts)]
        total += len(away)
        lacking += len(set(away) - known)
    return np.array([lacking, total], np.float64)


@dataclass
class Found:
    """What was counted in one recording.

    The rows are utterances: errors near cuts, words there, the same elsewhere; of the whole recording, of all
    grids, and of those whose cuts move to pauses, as the workflow's do (``placed``).
    """

    seams: dict[CutKind, Seams] = field(default_factory=dict)
    chunked: Array = field(default_factory=lambda: np.zeros((0, 4)))
    placed: Array = field(default_factory=lambda: np.zeros((0, 4)))
    whole: Array = field(default_factory=lambda: np.zeros((0, 4)))
    moved: Array = field(default_factory=lambda: np.zeros(2))


def by_utterance(recording: Recording, runs: Sequence[Run]) -> Array:
    """Return errors and words near cuts and elsewhere, a row for each utterance of the truth."""
    words = recording.truth.words
    starts = np.cumsum([0, *(len(part.words) for part in recording.truth.utterances or ())])[:-1]
    rows: Array = np.zeros((len(starts), 4))
    for done in runs:
        errors, totals = errors_by_word(recording, done)
        cuts = [cut for cut, _ in done.cuts]
        near = np.array([near_any(middle(word), cuts) for word in words])
        parts = (errors * near, totals * near, errors * ~near, totals * ~near)
        rows += np.stack([np.add.reduceat(part, starts) for part in parts], axis=1)
    return rows


def summary(parts: Sequence[Found]) -> dict[str, Any]:
    """Return the figures over all recordings."""
    seams: dict[CutKind, Seams] = defaultdict(Seams)
    for part in parts:
        for kind, found in part.seams.items():
            seams[kind].add(found)
    names = ("whole", "placed", "chunked")
    whole, placed, chunked = (np.concatenate([getattr(part, name) for part in parts]) for name in names)
    wer = [float(rows[:, ::2].sum() / rows[:, 1::2].sum()) for rows in (whole, placed, chunked)]
    return {
        "seams": {kind: seams[kind].figures() for kind in sorted(seams)},
        "wer": {"whole": wer[0], "chunked": wer[1], "chunked, all grids": wer[2]}
        | _between(lambda d: _over_whole(d, placed, whole), len(whole)),
        "word_errors": {
            "near": float(chunked[:, 0].sum() / chunked[:, 1].sum()),
            "elsewhere": float(chunked[:, 2].sum() / chunked[:, 3].sum()),
            "words_near": int(chunked[:, 1].sum()),
        }
        | _between(lambda d: _near_over_elsewhere(d, chunked), len(chunked)),
        "moved_cuts": share(np.sum([part.moved for part in parts], axis=0)),
    }


def _over_whole(drawn: Array, chunked: Array, whole: Array) -> float:
    one, other = drawn @ chunked, drawn @ whole
    return float((one[0] + one[2]) / (one[1] + one[3]) - (other[0] + other[2]) / (other[1] + other[3]))


def _near_over_elsewhere(drawn: Array, rows: Array) -> float:
    near, near_words, other, other_words = drawn @ rows
    return float(near / near_words - other / other_words)


def _between(difference: Callable[[Array], float], utterances: int) -> dict[str, Any]:
    """Return a difference with its 95 % interval; utterances are drawn."""
    low, high = Bootstrap().interval(utterances, difference) or (None, None)
    return {"difference": difference(np.ones(utterances)), "low": low, "high": high}


def share(counted: Array) -> dict[str, Any]:
    """Return what `changed` counted, for JSON."""
    return {"changed": int(counted[0]), "words": int(counted[1]), "share": float(counted[0] / counted[1])}
