"""Corrections over a transcript: what a person changed is what stands there, and nothing of it gets lost."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from builders import transcript, word, words
from sessionscribe.artifacts.transcript import SpokenWord, Transcript
from sessionscribe.core.errors import UserError
from sessionscribe.core.tokens import atoms
from sessionscribe.editing.edited import EditToken
from sessionscribe.editing.edits import make
from sessionscribe.editing.rebase import rebased
from sessionscribe.stages.correct.apply import Overlaid, overlay
from sessionscribe.stages.correct.table import Edit

VOCABULARY = ["the", "a", "no", "Strahd", "castle", "went", "up", "hill,", "and", "then.", "don't", "ü", "…"]
SPEAKERS = ["SPEAKER_00", "SPEAKER_01", "Anna"]
Said = list[tuple[str, str | None]]


@st.composite
def transcripts(draw: st.DrawFn) -> Transcript:
    """A few segments of words that often repeat; some of no length, some while others talk."""
    segments, at = [], 0.0
    for _ in range(draw(st.integers(0, 6))):
        found = []
        for text in draw(st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=8)):
            length = draw(st.sampled_from([0.0, 0.2, 0.3]))
            found.append(word(text, round(at, 3), round(at + length, 3)))
            # Which of a dozen equal words at one and the same moment is meant, nothing could tell.
            at += max(0.01, length + draw(st.sampled_from([0.0, 0.05, 1.5])))
        segments.append((draw(st.sampled_from([*SPEAKERS, None])), found))
        at = max(0.0, at - draw(st.sampled_from([0.0, 0.0, 0.5])))  # people talk at once
    return transcript(*segments, duration_s=at + 5)


def said(of: Transcript) -> Said:
    return [
        (atom, found.speaker)
        for segment in of.segments
        for found in segment.words
        for atom in atoms(found.text)
    ]


def copy_of(lines: Said) -> list[EditToken]:
    return [EditToken(text, speaker, number) for number, (text, speaker) in enumerate(lines)]


@st.composite
def changed(draw: st.DrawFn, lines: Said) -> Said:
    """What a person might make of it: words replaced, left out, added; given to somebody else."""
    result: Said = []
    people = st.sampled_from([*dict.fromkeys(speaker for _, speaker in lines if speaker), "Carla"])
    for text, speaker in lines:
        what = draw(st.sampled_from(["", "", "", "", "", "word", "out", "add", "who"]))
        if what == "word":
            result.append((draw(st.sampled_from([*VOCABULARY, "Quite"])), speaker))
        elif what == "add":
            result += [
                (text, speaker),
                (
                    draw(st.sampled_from([*VOCABULARY, "new"])),
                    draw(st.sampled_from([speaker, speaker, draw(people)])),
                ),
            ]
        elif what == "who":
            result.append((text, draw(people)))
        elif not what:
            result.append((text, speaker))
    return result


def corrected(of: Transcript, edits: Sequence[Edit]) -> Overlaid:
    return overlay(of, {}, edits)


def same(found: Said, wanted: Said) -> None:
    assert [text for text, _ in found] == [text for text, _ in wanted]
    # Of whom the copy says nothing, anybody may have said it.
    assert [a for (_, a), (_, b) in zip(found, wanted, strict=True) if b] == [b for _, b in wanted if b]


def enough_in_common(old: Said, new: Said) -> bool:
    errors = Levenshtein.distance([text for text, _ in old], [text for text, _ in new])
    return errors < 0.4 * min(len(old), len(new)) or not old


@settings(max_examples=80, deadline=None, report_multiple_bugs=False)
@given(st.data())
def test_what_was_changed_is_what_stands_there(data: st.DataObject) -> None:
    made = data.draw(transcripts())
    wanted = data.draw(changed(said(made)))
    assume(enough_in_common(said(made), wanted))
    found = make(made, {}, [], copy_of(wanted))
    result = corrected(made, found.edits)
    same(said(result.transcript), wanted)
    assert {c.state for c in result.corrections} <= {"applied", "fulfilled"}
    again = make(made, {}, found.edits, copy_of(said(result.transcript)))
    assert (again.new, again.gone) == ([], [])


@settings(max_examples=50, deadline=None, report_multiple_bugs=False)
@given(st.data())
def test_edits_are_undone_one_edited_copy_after_another(data: st.DataObject) -> None:
    """Corrections of corrections: each copy is of the transcript as the one before it left it."""
    made = data.draw(transcripts())
    edits: list[Edit] = []
    for _ in range(2):
        before = said(corrected(made, edits).transcript)
        wanted = data.draw(changed(before))
        assume(enough_in_common(before, wanted))
        edits = make(made, {}, edits, copy_of(wanted)).edits
        same(said(corrected(made, edits).transcript), wanted)
    if enough_in_common(wanted, said(made)):
        edits = make(made, {}, edits, copy_of(said(made))).edits
        same(said(corrected(made, edits).transcript), said(made))


@settings(max_examples=40, deadline=None, report_multiple_bugs=False)
@given(st.data())
def test_a_copy_goes_before_what_is_said_of_words_everywhere(data: st.DataObject) -> None:
    made = data.draw(transcripts())
    anything = st.builds(
        lambda was, now: Edit("words", was=was, now=now),
        st.sampled_from(["the", "a", "the the", "no the"]),
        st.sampled_from(["", "the", "X", "X the"]),
    )
    edits = data.draw(st.lists(anything, max_size=2))
    for _ in range(2):
        before = said(corrected(made, edits).transcript)
        wanted = data.draw(changed(before))
        assume(enough_in_common(before, wanted))
        edits = make(made, {}, edits, copy_of(wanted)).edits
        same(said(corrected(made, edits).transcript), wanted)


def one_after_another(*copies: str, of: Transcript) -> list[Edit]:
    """Return the edits that copies make, and see that each reads as it was written."""
    edits: list[Edit] = []
    for number, text in enumerate(copies):
        pieces = [piece.partition("/") for piece in text.split()]
        lines: Said = [(piece, who or "SPEAKER_00") for piece, _, who in pieces]
        edits = make(of, {}, edits, copy_of(lines)).edits
        assert said(corrected(of, edits).transcript) == lines, f"copy {number + 1}"
    return edits


def test_equal_additions_at_one_time_are_told_apart_by_what_is_around_them() -> None:
    found = [word("a", 0.0, 0.2), *(word("the", 0.2, 0.2) for _ in range(6))]
    of = transcript(("SPEAKER_00", found), duration_s=5)
    edits = one_after_another("a no the the the the the the", "a the no the the the the the", of=of)
    assert [(edit.now, edit.before) for edit in edits] == [("no", "a the")]


def test_an_added_word_keeps_its_speaker_when_the_one_before_it_is_given_to_another() -> None:
    of = transcript(("SPEAKER_00", words("we went up the hill")))
    one_after_another("we all went up the hill", "we/Carla all went up the hill", of=of)


def test_words_are_added_before_the_first_one_however_late_it_is() -> None:
    of = transcript(("SPEAKER_00", words("we went up the hill", 200)), duration_s=300)
    (edit,) = one_after_another("Welcome! we went up the hill", of=of)
    added = corrected(of, [edit]).transcript.segments[0].words[0]
    assert 190 < added.start < added.end <= 200


def test_what_is_said_twice_of_words_everywhere_is_done_once() -> None:
    of = transcript(("SPEAKER_00", words("the castle the hill")))
    twice = [Edit("words", was="the", now="a", line=n) for n in (2, 3)]
    laid = corrected(of, twice)
    assert [text for text, _ in said(laid.transcript)] == ["a", "castle", "a", "hill"]
    assert [c.state for c in laid.corrections] == ["applied", "fulfilled"]
    laid = corrected(of, [twice[0], replace(twice[1], now="no")])
    assert said(laid.transcript) == said(of)
    assert [c.reason for c in laid.corrections] == ["contradicts line 3", "contradicts line 2"]
    # What somebody says keeps none of it from being read otherwise.
    mine = Edit("speaker", 0.0, 4.0, was="the castle the hill", now="Carla")
    laid = corrected(of, [twice[0], mine])
    assert said(laid.transcript) == [(text, "Carla") for text in ["a", "castle", "a", "hill"]]


def test_what_no_line_can_say_is_an_error_and_noted_nowhere() -> None:
    of = transcript(("SPEAKER_00", words("we went up the hill")))
    lines = [*said(of)[:2], ("right", "SPEAKER_07"), *said(of)[2:]]
    for order in (None, range(5)):
        with pytest.raises(
            UserError, match=r"`.*right.*` .*cannot be recorded.*there is no speaker SPEAKER_07"
        ):
            make(of, {}, [], copy_of(lines), order=order)


@st.composite
def heard_again(draw: st.DrawFn, of: Transcript) -> Transcript:
    """The same recording, transcribed anew: other times, some words others, missing or new."""
    segments = []
    for segment in of.segments:
        found = []
        for one in segment.words:
            what = draw(st.sampled_from(["", "", "", "", "", "", "", "word", "out", "add"]))
            shift = draw(st.sampled_from([0.0, 0.0, -0.04, 0.3]))
            start, end = max(0.0, round(one.start + shift, 3)), max(0.0, round(one.end + shift, 3))
            text = draw(st.sampled_from(VOCABULARY)) if what == "word" else one.text
            if what != "out":
                found.append(word(text, start, end))
            if what == "add":
                found.append(word(draw(st.sampled_from(VOCABULARY)), end, end))
        if found:
            segments.append((segment.speaker, found))
    return transcript(*segments, duration_s=of.duration_s)


@settings(max_examples=50, deadline=None, report_multiple_bugs=False)
@given(st.data())
def test_nothing_is_lost_when_it_is_transcribed_again(data: st.DataObject) -> None:
    made = data.draw(transcripts())
    wanted = data.draw(changed(said(made)))
    assume(enough_in_common(said(made), wanted))
    edits = make(made, {}, [], copy_of(wanted)).edits
    again = data.draw(heard_again(made))
    result = corrected(again, edits)
    assert [replace(edits[n], line=c.line).was for n, c in enumerate(result.corrections)] == [
        edit.was for edit in edits
    ]
    assert all((c.state == "open") == (c.reason is not None) for c in result.corrections)
    # What no correction touches is as it was heard, in its order; the others read as they were corrected.
    at = 0
    for item in result.items:
        own = [atom for found in item.words for atom in atoms(found.text)]
        if item.edit is None:
            assert own == result.words.text(item.start, item.stop)
        else:
            assert own == atoms(edits[item.edit].now)
        assert item.start == at
        at = item.stop
    assert at == len(result.words)
    shuffled = list(edits)
    random.Random(data.draw(st.integers(0, 9))).shuffle(shuffled)
    other = corrected(again, shuffled)
    assert other.transcript == result.transcript
    assert sorted(map(str, other.corrections)) == sorted(map(str, result.corrections))


@settings(max_examples=30, deadline=None, report_multiple_bugs=False)
@given(st.data())
def test_a_corrected_transcript_is_whole(data: st.DataObject) -> None:
    made = data.draw(transcripts())
    wanted = data.draw(changed(said(made)))
    assume(enough_in_common(said(made), wanted))
    result = corrected(made, make(made, {}, [], copy_of(wanted)).edits).transcript
    for segment in result.segments:
        assert segment.words
        assert {found.speaker for found in segment.words} == {segment.speaker}
        assert all(0 <= found.start <= found.end <= result.duration_s for found in segment.words)
        assert segment.start == min(found.start for found in segment.words)
        assert all(found.probability == 1.0 or not found.corrected or keeps(found) for found in segment.words)
    present = {segment.speaker for segment in result.segments if segment.speaker}
    assert present <= set(result.speakers)
    assert {turn.speaker for turn in result.turns} <= set(result.speakers)


def keeps(found: SpokenWord) -> bool:
    """Return whether only the speaker of a word was corrected: its probability is the engine's."""
    return found.probability == 0.9


@settings(max_examples=40, deadline=None, report_multiple_bugs=False)
@given(st.data())
def test_changes_in_an_older_copy_are_carried_over_or_kept(data: st.DataObject) -> None:
    made = data.draw(transcripts())
    base, wanted = copy_of(said(made)), data.draw(changed(said(made)))
    copy, lost = rebased(base, copy_of(wanted), made)
    same([(atom.text, atom.speaker) for atom in copy], wanted)
    assert lost == []
    again = data.draw(heard_again(made))
    copy, lost = rebased(base, base, again)
    assert [(atom.text, atom.speaker) for atom in copy] == said(again)
    assert lost == []
    marked = [*said(made)[:3], ("unheard-of", None), *said(made)[3:]]
    copy, lost = rebased(base, copy_of(marked), again)
    assert [atom.text for atom in copy].count("unheard-of") + len(lost) == 1
