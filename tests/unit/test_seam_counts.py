"""The benchmark of seams sees what is lost and what is doubled."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

import builders
from builders import word, words
from sessionscribe.artifacts import ChunkTranscript, Merged, MergedSegment, MergedWord, Plan, Word
from sessionscribe.config import Merge
from sessionscribe.evaluation.said import SaidWord, Utterance
from sessionscribe.merge import merge_transcript

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import conversations
import seam_counts
from seam_counts import Run, Seams

PLAN = builders.plan(20, [(10, "forced")])
SAID = words("one two three four five six seven eight", 8.2)


def recording(said: list[Word]) -> conversations.Recording:
    part = Utterance(
        " ".join(w.text for w in said),
        said[0].start,
        said[-1].end,
        "anna",
        tuple(SaidWord(w.text, w.start, w.end) for w in said),
    )
    return conversations.Recording(
        "talk", Path(), PLAN.samples, conversations.truth("talk", [part], PLAN.samples)
    )


def decoded(folder: Path, plan: Plan, left: list[Word], right: list[Word]) -> Run:
    chunks: list[ChunkTranscript] = [builders.chunk(plan, 0, left), builders.chunk(plan, 1, right)]
    merged = merge_transcript(
        timeline=builders.timeline(plan),
        plans=[plan],
        chunks=chunks,
        options=Merge(),
        output=folder / "merged.json",
    )
    return Run(plan, chunks, merged)


def tampered(done: Run, change: dict[str, list[MergedWord]]) -> Run:
    """The run with some words of its transcript replaced."""
    kept = [w for s in done.merged.segments for old in s.words for w in change.get(old.text, [old])]
    segment = MergedSegment(track="main", start=kept[0].start, end=kept[-1].end, words=kept)
    merged: Merged = done.merged.model_copy(update={"segments": [segment]})
    return Run(done.plan, done.chunks, merged)


def counted(done: Run) -> Seams:
    found: dict[str, Seams] = {}
    seam_counts.at_seams(recording(SAID), done, found)  # type: ignore[arg-type]
    return found["forced"]


@pytest.fixture
def done(tmp_path: Path) -> Run:
    return decoded(tmp_path, PLAN, SAID[:7], SAID[1:])


def merged_word(text: str, start: float, chunk: int) -> MergedWord:
    return MergedWord(**word(text, start).model_dump(), track="main", chunk=chunk)


def test_a_clean_seam_has_nothing_lost_or_doubled(done: Run) -> None:
    seams = counted(done)
    assert (seams.count, seams.words, seams.lost, seams.doubled) == (1, 8, [], [])


def test_a_word_that_was_heard_and_is_gone_is_lost_one_heard_wrong_is_not(done: Run) -> None:
    assert counted(tampered(done, {"five": []})).lost == ["talk 9.95 five"]
    other = {"five": [merged_word("fire", 9.8, 0)]}
    assert not counted(tampered(done, other)).lost


def test_a_lost_word_that_somebody_else_talks_over_is_counted_apart() -> None:
    said = [SaidWord("of", 9.0, 9.2, "anna"), SaidWord("course", 9.2, 9.6, "anna")]
    over = SaidWord("good", 9.5, 9.9, "ben")
    assert [seam_counts.talked_over([*said, over], i) for i in range(3)] == [True, True, True]
    later = replace(over, start=9.6)
    assert [seam_counts.talked_over([*said, later], i) for i in range(3)] == [False, False, False]
    far = [SaidWord("well", 8.0, 8.4, "anna"), replace(over, start=8.1, end=8.3), *said]
    assert [seam_counts.talked_over(far, i) for i in range(4)] == [True, True, False, False]


def test_a_word_that_both_sides_gave_is_doubled_one_that_was_said_twice_is_not(done: Run) -> None:
    twice = {"five": [merged_word("five", 9.8, 0), merged_word("five", 10.0, 1)]}
    seams = counted(tampered(done, twice))
    assert (len(seams.doubled), seams.lost) == (1, [])
    again = {"five": [merged_word("five", 9.8, 0), merged_word("five", 10.0, 0)]}
    assert not counted(tampered(done, again)).doubled, "one chunk alone said so: its error, not the cut's"


def test_what_nobody_heard_is_no_loss_of_cutting(tmp_path: Path) -> None:
    done = decoded(tmp_path, PLAN, SAID[:4], SAID[5:])
    assert not counted(done).lost


def test_changes_are_counted_away_from_cuts_only(done: Run) -> None:
    other = tampered(done, {"one": [], "eight": [merged_word("late", 11.0, 1)]})
    assert list(seam_counts.changed(done, other, [])) == [3, 15]
    assert list(seam_counts.changed(done, other, [8.3])) == [2, 6]
    later = Run(done.plan, done.chunks, done.merged)
    assert list(seam_counts.changed(done, later, [])) == [0, 16]


def test_errors_belong_to_the_words_near_the_cut_or_elsewhere(done: Run) -> None:
    other = tampered(done, {"five": [], "six": [merged_word("sick", 10.2, 1)]})
    near, near_words, far, far_words = seam_counts.by_utterance(recording(SAID), [other]).sum(axis=0)
    assert (near, near_words, far, far_words) == (2, 8, 0, 0)
