"""The audit finds what was done to a session behind its back, and says nothing about one that is whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import builders
from sessionscribe.artifacts.audit import Audit
from sessionscribe.artifacts.chunk_transcript import (
    ChunkTranscript,
    FallbackSpan,
    Language,
    LanguageVote,
    Word,
)
from sessionscribe.artifacts.plan import ChunkPlan, CutKind, Span
from sessionscribe.artifacts.recording import AudioStream, Conversion
from sessionscribe.artifacts.speakers import Turn
from sessionscribe.config.settings import Audit as Options
from sessionscribe.config.settings import Merge
from sessionscribe.core.intervals import common, length, outside, united
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.stages.audit.audit import AuditInputs, audit_session, speaker_shares
from sessionscribe.stages.audit.passages import covered, speech_gaps
from sessionscribe.stages.diarize.diarize import assign_speakers
from sessionscribe.stages.merge.merge import merge_transcript

LEFT = "we should talk about the project today and about all of the costs too"
RIGHT = "before the others come back from lunch"
CUT_S = 4.7
MEET_S = 5.6  # where the window that reaches over the cut ends


def conversion(plan: ChunkPlan, warnings: Sequence[str] = ()) -> Conversion:
    stream = AudioStream(index=0, codec="flac", sample_rate=16_000, channels=1)
    return Conversion(
        session=plan.session,
        track=plan.track,
        samples=plan.samples,
        stream=stream,
        choice="the only one",
        channel="the only one",
        peak=0.5,
        warnings=list(warnings),
    )


@pytest.fixture
def session(tmp_path: Path, fast_disk: None) -> AuditInputs:
    """A recording of ten seconds, cut once in running speech, in a window that the first chunk decodes."""
    plan = builders.plan(10, [(CUT_S, "forced")], speech=[(0.0, 8.7)])
    return evidence(tmp_path, plan, two_chunks(plan, builders.words(LEFT), builders.words(RIGHT, MEET_S)))


def two_chunks(plan: ChunkPlan, *words: Sequence[Word]) -> list[ChunkTranscript]:
    meet = round(MEET_S * SAMPLE_RATE)
    heard = [Span(start=0, stop=meet), Span(start=meet, stop=plan.samples)]
    return [builders.chunk(plan, index, words[index], heard=heard[index]) for index in (0, 1)]


def evidence(folder: Path, plan: ChunkPlan, chunks: list[ChunkTranscript]) -> AuditInputs:
    timeline = builders.timeline(plan)
    merged = merge_transcript(
        timeline=timeline, plans=[plan], chunks=chunks, options=Merge(), output=folder / "merged.json"
    )
    length = plan.samples / SAMPLE_RATE
    turns = builders.turns((0.0, 4.0, "A"), (4.0, length, "B"), duration_s=length)
    spoken = assign_speakers(merged=merged, turns=turns, speakers={}, output=folder / "spoken.json")
    language = Language(session="s", language="en", probability=1.0, given=True, votes=[])
    return AuditInputs(timeline, [conversion(plan)], [plan], chunks, language, merged, spoken)


def audit(given: AuditInputs, folder: Path, **options: Any) -> Audit:
    found = audit_session(given, options=Options(**options), output=folder / "audit.json")
    assert Audit.read(folder / "audit.json") == found
    return found


def test_a_whole_session_is_complete(session: AuditInputs, tmp_path: Path) -> None:
    found = audit(session, tmp_path)
    assert (found.verdict, found.problems, found.flags) == ("complete", [], [])
    heard = len(LEFT.split()) + len(RIGHT.split())
    words = found.words
    assert (words.heard, words.kept, words.strays) == (heard, heard, [])
    (track,) = found.tracks
    assert (track.tiled, track.chunks, track.planned) == (True, 2, 2)
    assert (track.speech_s, track.covered_s) == (8.7, 8.7)
    assert [(part.speaker, part.speech_s, part.phantom) for part in found.speakers] == [
        ("A", 4.0, False),
        ("B", 6.0, False),
    ]
    assert sum(part.words for part in found.speakers) == words.kept


def changed(chunk: ChunkTranscript, words: Callable[[list[Word]], list[Word]]) -> ChunkTranscript:
    (segment,) = chunk.segments
    return chunk.model_copy(update={"segments": [segment.model_copy(update={"words": words(segment.words)})]})


def deaf(given: AuditInputs) -> AuditInputs:
    left, right = given.chunks
    heard = Span(start=round(6.5 * SAMPLE_RATE), stop=right.heard.stop)
    return replace(given, chunks=[left, right.model_copy(update={"heard": heard})])


def heard_twice(given: AuditInputs) -> AuditInputs:
    left, right = given.chunks
    heard = Span(start=round(4.5 * SAMPLE_RATE), stop=right.heard.stop)
    return replace(given, chunks=[left, right.model_copy(update={"heard": heard})])


def without_chunk(given: AuditInputs) -> AuditInputs:
    return replace(given, chunks=given.chunks[:1])


def with_a_changed_word(given: AuditInputs) -> AuditInputs:
    first = changed(given.chunks[0], lambda words: [words[0].model_copy(update={"text": "They"}), *words[1:]])
    return replace(given, chunks=[first, given.chunks[1]])


def with_a_lost_word(given: AuditInputs) -> AuditInputs:
    segment = given.merged.segments[0]
    shorter = segment.model_copy(update={"words": segment.words[1:]})
    merged = given.merged.model_copy(update={"segments": [shorter, *given.merged.segments[1:]]})
    return replace(given, merged=merged)


def with_a_word_that_nobody_said(given: AuditInputs) -> AuditInputs:
    part = given.transcript.segments[0]
    longer = part.model_copy(update={"words": [*part.words, part.words[-1]]})
    spoken = given.transcript.model_copy(update={"segments": [longer, *given.transcript.segments[1:]]})
    return replace(given, transcript=spoken)


def with_a_drift(given: AuditInputs) -> AuditInputs:
    def late(words: list[Word]) -> list[Word]:
        return [w.model_copy(update={"start": w.start - 0.6, "end": w.end - 0.6}) for w in words]

    return replace(given, chunks=[given.chunks[0], changed(given.chunks[1], late)])


def with_a_hole_in_the_plan(given: AuditInputs) -> AuditInputs:
    plan = given.plans[0]
    second = plan.cores[1].model_copy(update={"start": plan.cores[1].start + SAMPLE_RATE})
    hole = plan.model_copy(update={"cores": [plan.cores[0], second]})
    chunks = [given.chunks[0], given.chunks[1].model_copy(update={"core": second})]
    return replace(given, plans=[hole], chunks=chunks)


def with_longer_audio(given: AuditInputs) -> AuditInputs:
    longer = given.conversions[0].model_copy(update={"samples": given.plans[0].samples + 8000})
    return replace(given, conversions=[longer])


def with_times_that_run_back(given: AuditInputs) -> AuditInputs:
    segment = given.merged.segments[0]
    a, b, *rest = segment.words
    turned = segment.model_copy(update={"words": [b, a, *rest]})
    merged = given.merged.model_copy(update={"segments": [turned, *given.merged.segments[1:]]})
    return replace(given, merged=merged)


def with_missing_audio(given: AuditInputs) -> AuditInputs:
    with_gap = builders.timeline(given.plans[0], gaps=[(4.0, 8.0)])
    return replace(given, timeline=with_gap)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (without_chunk, "track main: chunk 1 has no transcript"),
        (deaf, "track main: no chunk has decoded the speech from 5.600 to 6.500 s"),
        (heard_twice, "track main: two chunks have decoded 4.500 to 5.600 s"),
        (without_chunk, "in the transcript that no chunk has"),
        (with_a_changed_word, "1 word lost between stages"),
        (with_a_changed_word, "1 word in the transcript that no chunk has"),
        (with_a_lost_word, "1 word lost between stages"),
        (with_a_word_that_nobody_said, "1 word in the transcript that no chunk has"),
        (with_a_drift, "words moved by more than 0.5 s"),
        (with_a_hole_in_the_plan, "track main: 4.700 to 5.700 s belongs to no chunk"),
        (with_longer_audio, "track main: the plan and the converted audio differ in length by 0.500 s"),
        (with_times_that_run_back, "main: 1 word starting before the previous word"),
        (with_missing_audio, "00:00:04: no part 2"),
    ],
)
def test_what_is_missing_or_contradicts_itself_makes_it_incomplete(
    session: AuditInputs, tmp_path: Path, spoil: Callable[[AuditInputs], AuditInputs], problem: str
) -> None:
    found = audit(spoil(session), tmp_path)
    assert found.verdict == "incomplete"
    assert any(line.endswith(problem) for line in found.problems), found.problems


def test_what_stages_do_not_agree_on_is_shown(session: AuditInputs, tmp_path: Path) -> None:
    strays = audit(with_a_changed_word(session), tmp_path).words.strays
    assert [(stray.text, stray.chunk, stray.start) for stray in strays] == [("They", 0, 0.0), ("we", 0, 0.0)]


def flagged(given: AuditInputs, folder: Path, **options: Any) -> str:
    found = audit(given, folder, **options)
    assert found.problems == []
    assert found.verdict == "complete with flags"
    return "; ".join(found.flags)


def test_speech_without_a_word_is_a_flag_unless_it_was_removed_with_a_reason(tmp_path: Path) -> None:
    plan = builders.plan(60, speech=[(0, 5), (20, 22), (30, 32), (50, 52)])
    said = builders.words("so it is"), builders.words("and that was it", start=50.0)
    given = evidence(tmp_path, plan, [builders.chunk(plan, 0, *said)])
    found = audit(given, tmp_path)
    (gap,) = found.gaps
    assert (gap.start, gap.end) == (1.1, 32.0)
    assert gap.speech_s == pytest.approx(3.9 + 2 + 2)
    assert not gap.decoded_again
    assert found.flags == [
        "1 stretch of speech without a word, 7.9 s in all (the longest from 00:00:01 to 00:00:32)"
    ]
    assert flagged(given, tmp_path, gap_s=7.0)
    assert audit(given, tmp_path, gap_s=8.0).gaps == []

    noise = builders.removed(builders.words("you you", start=21.0, step=5.5), reason="taken for silence")
    chunk = builders.chunk(plan, 0, *said, taken_out=[noise])
    (gap,) = audit(evidence(tmp_path, plan, [chunk]), tmp_path, gap_s=3.0).gaps
    assert (gap.start, gap.end, gap.speech_s) == (1.1, 21.0, pytest.approx(3.9 + 1))


def test_what_was_decoded_both_ways_and_removed_is_told(tmp_path: Path) -> None:
    plan = builders.plan(60, speech=[(0, 5), (20, 26)])
    bad = builders.segment(builders.words("la la", start=21.0))
    again = FallbackSpan(
        start=20, end=26, reason="why", winner="batched", words=0, first=0, second=0, loser=[bad]
    )
    noise = builders.removed(builders.words("la", start=30.0), reason="not speech")
    chunk = builders.chunk(plan, 0, builders.words("so it is what it is by now"), taken_out=[noise])
    given = evidence(tmp_path, plan, [chunk.model_copy(update={"redecoded": [again]})])
    found = audit(given, tmp_path)
    assert [(part.start, part.end, part.winner, part.lost) for part in found.redecoded] == [
        (20, 26, "batched", "la la")
    ]
    assert [(part.text, part.reason) for part in found.removed] == [("la", "not speech")]
    assert [gap.decoded_again for gap in found.gaps] == [True]


def test_phrases_that_go_round_and_doubtful_words_are_listed(tmp_path: Path) -> None:
    plan = builders.plan(20, speech=[(0.0, 16)])
    loop = builders.words(" ".join(["and so on"] * 6))
    mumbled = [w.model_copy(update={"probability": 0.2}) for w in builders.words("a b c d e f", start=8.0)]
    chunk = builders.chunk(plan, 0, [*loop, *mumbled, *builders.words("well yes", start=11.0)])
    found = audit(evidence(tmp_path, plan, [chunk]), tmp_path, gap_s=9)
    assert [(part.text, part.times) for part in found.repeats] == [("and so on", 6)]
    (unsure,) = found.unsure
    assert unsure.start == pytest.approx(8.0, abs=1)
    assert unsure.probability < 0.4
    assert found.flags[0] == "1 phrase repeated many times"
    assert "words in stretches of low probability" in found.flags[1]


def test_hotwords_that_there_was_no_room_for_are_told(session: AuditInputs, tmp_path: Path) -> None:
    chunks = [chunk.model_copy(update={"unused_prompt": ["Vallaki", "Krezk"]}) for chunk in session.chunks]
    found = audit(replace(session, chunks=chunks), tmp_path)
    assert found.unused_prompt == ["Vallaki", "Krezk"]
    assert found.flags == ["2 hotwords not used, from `Vallaki` on: the model takes 223 tokens of hotwords"]


def test_a_language_in_doubt_and_languages_by_stretch(session: AuditInputs, tmp_path: Path) -> None:
    votes = [
        LanguageVote(track="main", start=float(i), language=code, probability=0.9)
        for i, code in enumerate(("en", "de", "en", "fr"))
    ]
    doubtful = Language(session="s", language="en", probability=0.5, given=False, votes=votes)
    second = session.chunks[1].model_copy(update={"language": "de"})
    given = replace(session, language=doubtful, chunks=[session.chunks[0], second])
    found = audit(given, tmp_path)
    assert found.flags == [
        "perhaps several languages: en (2), de (1), fr (1) of 4 votes; all was decoded as en. "
        "To decode each passage in its own: `transcribe.language: mixed`, or `--language mixed` for "
        "`sessionscribe add`"
    ]
    starts, ends = (
        [getattr(c.segments[n], at) for c in given.chunks] for n, at in ((0, "start"), (-1, "end"))
    )
    assert [(part.language, part.start, part.end) for part in found.language.spans] == [
        ("en", starts[0], ends[0]),
        ("de", starts[1], ends[1]),
    ]
    own = [segment.model_copy(update={"language": "de"}) for segment in session.chunks[0].segments]
    spoken = [session.chunks[0].model_copy(update={"segments": own}), second]
    (span,) = audit(replace(given, chunks=spoken), tmp_path).language.spans
    assert (span.language, span.chunks, span.start, span.end) == ("de", 2, starts[0], ends[1])
    agreed = doubtful.model_copy(update={"probability": 0.7, "votes": votes[:3]})
    assert "en (2), de (1) of 3 votes" in audit(replace(given, language=agreed), tmp_path).flags[0]
    faint = [vote.model_copy(update={"probability": 0.7}) for vote in votes]
    unsure = agreed.model_copy(update={"votes": faint})
    assert audit(replace(given, language=unsure), tmp_path).flags == []
    assert audit(replace(given, language=doubtful.model_copy(update={"given": True})), tmp_path).flags == []


def test_a_phantom_speaker_is_a_flag_but_not_on_tracks(session: AuditInputs, tmp_path: Path) -> None:
    turns = [*session.transcript.turns, Turn(start=8.6, end=8.7, speaker="C")]
    spoken = session.transcript.model_copy(update={"turns": turns, "speakers": ["A", "B", "C"]})
    given = replace(session, transcript=spoken)
    assert flagged(given, tmp_path) == "speaker C has only 1.0% of the speech: it may not be a person"
    assert audit(given, tmp_path, min_speaker_share=0.005).flags == []
    tracks = given.timeline.model_copy(update={"layout": "multitrack"})
    assert audit(replace(given, timeline=tracks), tmp_path).flags == []


def test_microphones_that_pick_up_other_voices_are_a_flag(session: AuditInputs, tmp_path: Path) -> None:
    def on_two_tracks(late_s: float) -> AuditInputs:
        (first, *rest) = session.transcript.segments
        moved = [w.model_copy(update={"start": w.start + late_s, "speaker": "B"}) for w in first.words]
        parts = [first, first.model_copy(update={"words": moved, "speaker": "B"}), *rest]
        spoken = session.transcript.model_copy(update={"segments": parts, "layout": "multitrack"})
        return replace(session, transcript=spoken)

    (line,) = [flag for flag in audit(on_two_tracks(0.3), tmp_path).flags if "on another track" in flag]
    assert "one track is a mix, or microphones pick up other voices" in line
    for other in (on_two_tracks(6), session):
        assert not any("on another track" in flag for flag in audit(other, tmp_path).flags)


def test_what_the_recording_lacks_and_what_the_transcript_says_are_flags_too(
    session: AuditInputs, tmp_path: Path
) -> None:
    short = [conversion(session.plans[0], ["the sound ends 2.0 s before the recording does"])]
    spoken = session.transcript.model_copy(update={"flags": ["1 word without a speaker"]})
    found = audit(replace(session, conversions=short, transcript=spoken), tmp_path)
    assert found.flags == ["1 word without a speaker", "the sound ends 2.0 s before the recording does"]


WORDS = st.lists(st.sampled_from(["we", "need", "two", "people", "for", "it"]), max_size=14)


@settings(max_examples=25)
@given(left=WORDS, right=WORDS, kind=st.sampled_from(["silence", "forced"]), shift=st.floats(0, 2))
def test_whatever_the_merger_makes_of_two_chunks_every_word_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory,
    left: list[str],
    right: list[str],
    kind: CutKind,
    shift: float,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    plan = builders.plan(16, [(CUT_S, kind)], speech=[(0.0, 15.0)])
    later = builders.words(" ".join(right), start=round(MEET_S + shift, 3))
    chunks = two_chunks(plan, builders.words(" ".join(left)), later)
    words = audit(evidence(folder, plan, chunks), folder).words
    assert (words.lost, words.unknown, words.moved) == (0, 0, 0)
    assert words.heard == len(left) + len(right) == words.kept


SETS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=6).map(
    lambda found: united((start, start + size) for start, size in found)
)


@given(one=SETS, other=SETS)
def test_intervals_are_sets(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    def members(intervals: list[tuple[int, int]]) -> set[int]:
        return {n for start, stop in intervals for n in range(start, stop)}

    assert members(common(one, other)) == members(one) & members(other)
    assert members(outside(one, other)) == members(one) - members(other)
    assert length(one) == len(members(one))


@given(
    speech=SETS,
    words=st.lists(st.tuples(st.integers(0, 80), st.integers(0, 9)), max_size=6),
    gap=st.integers(1, 30),
)
def test_gaps_hold_more_speech_than_allowed_and_nothing_else_does(
    speech: list[tuple[int, int]], words: list[tuple[int, int]], gap: int
) -> None:
    spans = [Span(start=a * SAMPLE_RATE, stop=b * SAMPLE_RATE) for a, b in speech]
    plan = builders.plan(100).model_copy(update={"speech": spans})
    said = [(a * SAMPLE_RATE, (a + b) * SAMPLE_RATE) for a, b in words]
    found = speech_gaps(plan, [], said, gap_s=gap, offset=5 * SAMPLE_RATE)
    voiced = {n for a, b in speech for n in range(a, b)}
    taken = {n for a, b in words for n in range(a, a + b)}
    for part in found:
        inside = set(range(int(part.start) - 5, int(part.end) - 5))
        assert not inside & taken
        assert len(inside & voiced) == part.speech_s > gap
    here = {n for part in found for n in range(int(part.start) - 5, int(part.end) - 5)}
    run = 0
    for n in range(101):
        if n in taken or n == 100:
            assert run <= gap
            run = 0
        elif n in voiced and n not in here:
            run += 1
    heard, near = covered(plan, said, gap_s=gap)
    assert heard == len(voiced) * SAMPLE_RATE
    assert near == heard - sum(round(part.speech_s) for part in found) * SAMPLE_RATE


def test_shares_add_up_and_silence_has_none() -> None:
    turns = builders.turns((0, 3, "A"), (2, 3, "B")).turns
    spoken = builders.transcript().model_copy(update={"turns": turns, "speakers": ["B", "A", "C"]})
    assert [(part.speaker, part.share, part.phantom) for part in speaker_shares(spoken, 0.02)] == [
        ("B", 0.25, False),
        ("A", 0.75, False),
        ("C", 0.0, True),
    ]
    nobody = speaker_shares(spoken.model_copy(update={"turns": [], "speakers": ["A"]}), 0.02)
    assert [(part.share, part.phantom) for part in nobody] == [(0.0, False)]
