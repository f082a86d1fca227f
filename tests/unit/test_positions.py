"""What is decided of the same words does not depend on where in a recording they lie.

Between floats of seconds, a pause of 0.15 s is a little longer at one place and a little shorter at another.
So each case here lies exactly on the edge of a decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import builders
from sessionscribe.artifacts.chunk_transcript import Word
from sessionscribe.artifacts.merged import MergedWord
from sessionscribe.artifacts.plan import Span
from sessionscribe.artifacts.speakers import Turn
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.cli.enroll import alone, longest
from sessionscribe.config.settings import Transcribe
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.editing.edited import EditToken
from sessionscribe.editing.edits import make
from sessionscribe.engines.decoded import Decoded, TimedWord
from sessionscribe.engines.stitching import restored
from sessionscribe.evaluation.diff import diff
from sessionscribe.evaluation.diff_report import paragraphs as compared
from sessionscribe.evaluation.words import without_ignored
from sessionscribe.formats import references
from sessionscribe.formats.reading import paragraphs
from sessionscribe.formats.utterances import PlainTranscript, PlainWord, Utterance
from sessionscribe.stages.audit.audit import speaker_shares
from sessionscribe.stages.correct.apply import overlay
from sessionscribe.stages.correct.table import Edit
from sessionscribe.stages.diarize.boundaries import snapped
from sessionscribe.stages.diarize.diarize import assign_speakers
from sessionscribe.stages.name.name import who_talks
from sessionscribe.stages.transcribe.hallucinations import is_hallucination

POSITIONS = [round(number * 7.001, 3) for number in range(600)]
"""In seconds, over more than an hour."""
# Half a second is the same between floats but where these get coarser.
POSITIONS += [round(2**number - before - 0.3, 3) for number in range(4, 12) for before in range(13)]


def words(at: float, *said: tuple[str, float, float]) -> list[Word]:
    """Words (text, start, end) of a passage that begins at a position, rounded as they are stored."""
    return [builders.word(text, ms(at + start), ms(at + end)) for text, start, end in said]


def ms(time: float) -> float:
    return round(time, 3)


def merged_words(at: float, *said: tuple[str, float, float]) -> list[MergedWord]:
    return [MergedWord(**word.model_dump(), track="main", chunk=0) for word in words(at, *said)]


def transcript(at: float, *said: tuple[str, str, float, float]) -> Transcript:
    """A segment (speaker, text, start, end) for each word."""
    return builders.transcript(
        *((speaker, words(at, (text, start, end))) for speaker, text, start, end in said),
        duration_s=ms(at + 100),
    )


# What a chunk has.


def test_words_as_fast_as_somebody_speaks_are_no_hallucination() -> None:
    for at in POSITIONS:
        said = words(at, *(("no", number * 0.1, (number + 1) * 0.1) for number in range(20)))
        where = [(0, 10_000 * SAMPLE_RATE)]
        assert not is_hallucination(builders.segment(said), where, Transcribe()), at


def test_a_word_on_the_border_of_two_pieces_belongs_to_the_second() -> None:
    for at in POSITIONS:
        start, end = ms(at + 1.9), ms(at + 2.1)
        begin = round(at * SAMPLE_RATE)
        pieces = [
            Span(start=begin, stop=begin + 2 * SAMPLE_RATE),
            Span(start=begin + 5 * SAMPLE_RATE, stop=begin + 7 * SAMPLE_RATE),
        ]
        segment = Decoded("so", start, end, (TimedWord("so", start, end, 0.9),), -0.1, 0.1, 1.0, 0.0)
        (word,) = restored(segment, pieces).words
        assert word.start == pytest.approx(at + 5), at


# Who speaks.


def spoken_by(speakers: str, found: Sequence[MergedWord]) -> str:
    return "".join(str(who) for who in snapped(found, list(speakers)))


def test_a_pause_is_one_wherever_it_is() -> None:
    for at in POSITIONS:
        said = merged_words(at, ("we", 0.0, 0.2), ("go", 0.35, 0.55), ("now", 0.55, 0.75))
        assert spoken_by("ABA", said) == "ABA", at
        said = merged_words(at, ("we", 0.0, 0.2), ("go", 0.2, 0.4), ("now", 0.55, 0.75))
        assert spoken_by("ABA", said) == "ABA", at


def test_a_change_of_speakers_moves_as_far_wherever_it_is() -> None:
    for at in POSITIONS:
        before = [("we", 0.0, 0.2), ("go.", 0.2, 0.4), ("now", 0.4, 0.6), ("or", 0.6, 0.85)]
        said = merged_words(at, *before, ("then", 0.95, 1.0), ("so", 1.0, 1.2))
        assert spoken_by("AAAABB", said) == "AABBBB", at
        after = [("now", 0.45, 0.6), ("or.", 0.6, 0.9), ("then", 0.9, 1.0)]
        said = merged_words(at, ("we", 0.0, 0.2), ("go", 0.2, 0.35), *after)
        assert spoken_by("AABBB", said) == "AAAAB", at


def test_of_two_places_equally_near_the_first_is_taken() -> None:
    for at in POSITIONS:
        said = merged_words(
            at, ("we", 0.0, 0.2), ("go.", 0.2, 0.4), ("now", 0.4, 0.6), ("or.", 0.6, 0.8), ("then", 0.8, 1.0)
        )
        assert spoken_by("AAABB", said) == "AABBB", at


def test_a_word_that_two_turns_share_is_the_ones_in_whose_turn_its_middle_is(tmp_path: Path) -> None:
    for at in POSITIONS[::5]:
        word = words(at, ("even", 0.9, 1.1))
        turns = builders.turns((at, ms(at + 1), "A"), (ms(at + 1), ms(at + 2), "B"))
        output = tmp_path / "t.json"
        found = assign_speakers(merged=builders.merged(word), turns=turns, speakers={}, output=output)
        assert found.segments[0].speaker == "B", at


def test_how_long_somebody_is_heard_alone_is_the_same_everywhere() -> None:
    for at in POSITIONS:
        turns = [
            Turn(start=ms(at + start), end=ms(at + start + length), speaker="A")
            for start, length in ((0, 1.2), (10, 10.2), (30, 10.2), (50, 10.2))
        ]
        found = alone(turns, "A")
        assert len(found) == 4, at
        assert sum(stop - start for start, stop in longest(found)) == 30 * SAMPLE_RATE, at
        assert len(longest(found)) == 3, at


def test_a_moment_is_the_same_one_everywhere() -> None:
    for at in POSITIONS:
        later = transcript(at, ("A", "so", 0.0, 1.0), ("B", "no", 0.501, 1.0))
        time = at + 0.5
        named = f"{int(time // 60)}:{int(time % 60):02d}.{round(time * 1000) % 1000:03d}"
        assert who_talks(later, named) == "A", at


# Corrections.


def test_segments_of_one_speaker_stay_apart_by_a_second() -> None:
    for at in POSITIONS:
        said = transcript(at, ("A", "yes", 0.0, 0.4), ("B", "no", 1.4, 1.8))
        edit = Edit("speaker", ms(at + 1.4), ms(at + 1.8), "B", "no", "A")
        found = overlay(said, {}, [edit]).transcript
        assert [segment.text for segment in found.segments] == ["yes", "no"], at


def test_words_outside_all_turns_are_turns_apart_by_a_second() -> None:
    for at in POSITIONS:
        said = transcript(at, ("B", "yes", 0.0, 0.4), ("B", "no", 1.4, 1.8)).model_copy(update={"turns": []})
        edit = Edit("speaker", ms(at), ms(at + 1.8), "B", "yes no", "A")
        assert len(overlay(said, {}, [edit]).transcript.turns) == 2, at


def test_a_word_with_its_middle_at_the_end_of_a_turn_is_not_in_it() -> None:
    for at in POSITIONS:
        said = transcript(at, ("B", "yes", 0.0, 0.4), ("B", "no", 0.9, 1.1))
        turn = Turn(start=at, end=ms(at + 1), speaker="B")
        edit = Edit("speaker", ms(at + 0.9), ms(at + 1.1), "B", "no", "A")
        found = overlay(said.model_copy(update={"turns": [turn]}), {}, [edit]).transcript.turns
        told = [(turn.start, turn.end, turn.speaker) for turn in found]
        assert told == [(at, ms(at + 1), "B"), (ms(at + 0.9), ms(at + 1.1), "A")], at


def test_the_place_of_a_correction_is_looked_for_as_far_everywhere() -> None:
    for at in POSITIONS:
        said = transcript(at, ("A", "castle", 5.1, 5.5))
        edit = Edit("words", ms(at + 0.1), ms(at + 0.4), was="castle", now="Castle")
        assert overlay(said, {}, [edit]).corrections[0].state == "applied", at
        early = replace(edit, start=ms(at + 0.099))
        assert overlay(said, {}, [early]).corrections[0].state == "open", at


def test_a_stretch_has_the_words_whose_middle_is_its_edge() -> None:
    for at in POSITIONS:
        said = transcript(at, ("A", "castle", 0.9, 1.1), ("A", "hill", 2.9, 3.1))
        edit = Edit("speaker", ms(at + 1), ms(at + 3), "A", "", "B")
        found = overlay(said, {}, [edit]).transcript
        assert [segment.speaker for segment in found.segments] == ["B", "B"], at


def test_who_has_two_thirds_of_a_stretch_is_named_by_it() -> None:
    for at in POSITIONS:
        said = transcript(at, ("A", "yes", 0.0, 0.2), ("B", "no", 0.3, 0.5), ("B", "go", 0.6, 0.8))
        edit = Edit("name", ms(at), ms(at + 0.8), was="C", now="Carla")
        assert overlay(said, {}, [edit]).names.final == {"A": "A", "B": "Carla"}, at


def test_a_name_is_noted_with_the_first_of_the_longest_stretches() -> None:
    for at in POSITIONS[::5]:
        said = transcript(at, ("A", "yes", 0.0, 0.7), ("B", "no", 1.0, 1.2), ("A", "go", 2.3, 3.0))
        copy = [EditToken("yes", "Anna", 0), EditToken("no", "B", 1), EditToken("go", "Anna", 2)]
        assert [edit.start for edit in make(said, {}, [], copy).new] == [at], at


# What is shown.


def test_paragraphs_end_alike_everywhere() -> None:
    for at in POSITIONS:
        paused = transcript(at, ("A", "yes", 0.0, 0.4), ("A", "no", 2.4, 2.8))
        assert len(paragraphs(paused)) == 2, at
        said = [("A", "yes", start, start + 1.0) for start in range(0, 60, 2)]
        long = transcript(at, *said, ("A", "end", 59.1, 60.0))
        assert len(paragraphs(long)) == 1, at


# What is checked.


def test_whose_share_is_just_enough_is_no_phantom() -> None:
    for at in POSITIONS:
        found = speaker_shares(transcript(at, ("A", "so", 0.0, 9.8), ("B", "no", 10.0, 10.2)), 0.02)
        assert [part.phantom for part in found] == [False, False], at


# What is compared.


def test_words_in_ctm_are_parted_by_the_same_pause(tmp_path: Path) -> None:
    path = tmp_path / "x.ctm"
    for at in POSITIONS[::5]:
        path.write_text(f"x 1 {at:.3f} 0.4 one\nx 1 {at + 1.4:.3f} 0.4 two\n")
        (said,) = references.read_file(path)
        assert len(said.utterances or ()) == 2, at


def one_after_the_other(*said: tuple[str, float, float]) -> PlainTranscript:
    found = tuple(PlainWord(text, ms(start), ms(end), "A") for text, start, end in said)
    text = " ".join(word.text for word in found)
    return PlainTranscript("s", utterances=(Utterance(text, found[0].start, found[-1].end, "A", found),))


def test_what_is_ignored_ends_before_the_middle_of_a_word() -> None:
    for at in POSITIONS:
        said = one_after_the_other(("so", at + 0.9, at + 1.1))
        assert without_ignored(said, [(at, ms(at + 1))]) == said, at
        assert not without_ignored(said, [(ms(at + 1), ms(at + 2))]).utterances, at


def test_a_word_moved_by_half_a_second_counts_as_moved_everywhere() -> None:
    for at in POSITIONS:
        before, after = (
            one_after_the_other(("so", at, at + 0.2)),
            one_after_the_other(("so", at + 0.5, at + 0.7)),
        )
        assert diff(before, after).summary.moved == 1, at


def test_a_comparison_has_the_same_paragraphs_everywhere() -> None:
    for at in POSITIONS:
        said = one_after_the_other(("so", at, at + 0.2), ("we", at + 2.2, at + 2.4))
        assert len(compared(diff(said, said))) == 1, at
