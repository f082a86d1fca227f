"""A speaker on every word."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import builders
from builders import word, words
from sessionscribe.artifacts.merged import Merged, MergedWord
from sessionscribe.artifacts.speakers import Turns, Voices
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.stages.diarize.boundaries import snapped
from sessionscribe.stages.diarize.diarize import NO_TURN, NOT_ASKED, assign_speakers, track_turns


def assign(
    folder: Path, merged: Merged, turns: Turns | None, speakers: dict[str, str] | None = None
) -> Transcript:
    return assign_speakers(merged=merged, turns=turns, speakers=speakers or {}, output=folder / "t.json")


def by_speaker(transcript: Transcript) -> list[tuple[str | None, str]]:
    return [(segment.speaker, segment.text) for segment in transcript.segments]


def test_the_turn_with_the_largest_overlap_wins_and_segments_split_there(tmp_path: Path) -> None:
    merged = builders.merged(words("good morning. hello to you", 0, 1.0))
    transcript = assign(tmp_path, merged, builders.turns((0, 2.2, "B"), (2.2, 9, "A")))
    assert by_speaker(transcript) == [("B", "good morning."), ("A", "hello to you")]
    assert transcript.speakers == ["B", "A"]
    assert transcript.segments[1].start == 2.0
    assert not transcript.flags
    assert Transcript.read(tmp_path / "t.json") == transcript


def test_equal_overlap_goes_to_the_turn_with_the_midpoint(tmp_path: Path) -> None:
    merged = builders.merged([word("even", 1.0, 2.0)])
    transcript = assign(tmp_path, merged, builders.turns((0, 1.5, "A"), (1.5, 3, "B")))
    assert by_speaker(transcript) == [("B", "even")]
    # a word without length has no overlap at all
    merged = builders.merged([word("point", 1.5, 1.5)])
    assert by_speaker(assign(tmp_path, merged, builders.turns((0, 1.5, "A"), (1.5, 3, "B"))))[0][0] == "B"


def test_a_word_outside_all_turns_goes_to_the_nearest_within_half_a_second(tmp_path: Path) -> None:
    merged = builders.merged([word("near", 5.4, 5.6)], [word("far", 6.0, 6.2)], [word("between", 7.0, 7.2)])
    turns = builders.turns((0, 5, "A"), (7.6, 9, "B"), (7.3, 7.5, "C"))
    transcript = assign(tmp_path, merged, turns)
    assert by_speaker(transcript) == [("A", "near"), (None, "far"), ("C", "between")]
    assert transcript.segments[1].words[0].reason == NO_TURN == "no speaker turn within 0.5 s"
    assert transcript.flags == ["1 word without a speaker"]


def test_a_single_word_needs_evidence_to_change_the_speaker(tmp_path: Path) -> None:
    turns = builders.turns((0, 1.0, "A"), (1.0, 1.3, "B"), (1.3, 9, "A"))
    flowing = [word("I", 0.6, 0.95), word("am", 1.0, 1.3), word("here", 1.35, 1.7)]
    assert by_speaker(assign(tmp_path, builders.merged(flowing), turns)) == [("A", "I am here")]
    paused = [word("I", 0.4, 0.8), *flowing[1:]]
    assert len(by_speaker(assign(tmp_path, builders.merged(paused), turns))) == 3
    punctuated = [word("I?", 0.6, 0.95), *flowing[1:]]
    assert by_speaker(assign(tmp_path, builders.merged(punctuated), turns))[1] == ("B", "am")


def test_overlapped_speech_is_marked(tmp_path: Path) -> None:
    merged = builders.merged([word("yes", 1.0, 1.4), word("well", 1.5, 2.0), word("then", 2.1, 2.5)])
    turns = builders.turns((0, 4, "A"), (1.4, 1.8, "B"), exclusive=[(0, 4, "A")])
    transcript = assign(tmp_path, merged, turns)
    assert [w.second_speaker for w in transcript.segments[0].words] == [None, "B", None]
    assert len(transcript.turns) == 2


def test_the_track_names_the_speaker(tmp_path: Path) -> None:
    merged = builders.merged(words("all of it is mine", 0), track="2-bob")
    turns = builders.turns((0, 1, "alice"), (0.5, 3, "bob"), exclusive=[(0, 1, "alice"), (1, 3, "bob")])
    transcript = assign(tmp_path, merged, turns, {"1-alice": "alice", "2-bob": "bob"})
    assert by_speaker(transcript) == [("bob", "all of it is mine")]
    assert transcript.segments[0].words[0].second_speaker == "alice"


def test_without_turns_nobody_is_named_and_nothing_is_flagged(tmp_path: Path) -> None:
    merged = builders.merged(words("good morning."), words("hello to you", 9))
    transcript = assign(tmp_path, merged, None)
    assert by_speaker(transcript) == [(None, "good morning."), (None, "hello to you")]
    assert {w.reason for segment in transcript.segments for w in segment.words} == {NOT_ASKED}
    assert (transcript.diarization, transcript.speakers, transcript.turns) == ("off", [], [])
    assert not transcript.flags


def test_flags_say_what_a_reader_must_know(tmp_path: Path) -> None:
    empty = builders.merged()
    assert assign(tmp_path, empty, builders.turns()).flags == ["no speech was found"]
    gaps = builders.timeline(builders.plan(40), gaps=[(10, 20), (25, 26.5)]).gaps
    merged = builders.merged(words("so it goes")).model_copy(
        update={"gaps": gaps, "removed": [builders.removed(words("x")) for _ in range(2)]}
    )
    assert assign(tmp_path, merged, builders.turns((0, 9, "A"))).flags == [
        "2 gaps in the recording, 11.5 s in all",
        "2 segments removed as invented",
    ]


turn_lists = st.lists(st.tuples(st.integers(0, 500), st.integers(1, 60), st.sampled_from("ABC")), max_size=12)


@pytest.mark.usefixtures("fast_disk")
@given(raw=turn_lists, starts=st.lists(st.integers(0, 550), min_size=1, max_size=20))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_word_stays_and_has_a_speaker_or_a_reason(
    tmp_path_factory: pytest.TempPathFactory, raw: list[tuple[int, int, str]], starts: list[int]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    found = [word(f"w{i}", t / 10, t / 10 + 0.1) for i, t in enumerate(sorted(starts))]
    regular = [(start / 10, (start + length) / 10, who) for start, length, who in raw]
    exclusive, until = [], 0.0
    for start, end, who in sorted(regular):
        if end > until:
            exclusive.append((max(start, until), end, who))
            until = end
    transcript = assign(folder, builders.merged(found), builders.turns(*regular, exclusive=exclusive or None))
    spoken = [w for segment in transcript.segments for w in segment.words]
    assert [w.text for w in spoken] == [w.text for w in found]
    assert all((w.speaker is None) == (w.reason == NO_TURN) for w in spoken)
    assert all({w.speaker for w in s.words} == {s.speaker} for s in transcript.segments)
    assert all(w.second_speaker is None or w.second_speaker != w.speaker for w in spoken)
    for w in spoken:
        nearest = min((max(a - w.end, w.start - b, 0) for a, b, _ in exclusive), default=9.0)
        assert (w.speaker is None) == (nearest > 0.5 + 1e-6) or abs(nearest - 0.5) < 1e-5


def test_turns_of_tracks_come_from_their_speech(tmp_path: Path) -> None:
    one = builders.plan(20, track="1", speech=[(1, 3), (3, 4), (8, 12)])
    two = builders.plan(20, track="2", speech=[(0, 1), (9, 10)])
    timeline = builders.timeline(one, two, layout="multitrack", offsets=[0, 2], speakers=["ann", "bob"])
    written = {"output": tmp_path / "turns.json", "voices": tmp_path / "voices.json"}
    turns = track_turns(timeline=timeline, plans=[two, one], **written)
    assert [(t.start, t.end, t.speaker) for t in turns.turns] == [
        (1, 4, "ann"),
        (2, 3, "bob"),
        (8, 12, "ann"),
        (11, 12, "bob"),
    ]
    assert [(t.start, t.end, t.speaker) for t in turns.exclusive] == [(1, 4, "ann"), (8, 12, "ann")]
    assert (turns.speakers, turns.method, turns.duration_s) == (["ann", "bob"], "tracks", 22)
    assert Turns.read(tmp_path / "turns.json") == turns
    assert Voices.read(tmp_path / "voices.json").voices == []  # nobody listened


def test_exclusive_turns_are_cut_not_moved(tmp_path: Path) -> None:
    one = builders.plan(20, track="1", speech=[(0, 5)])
    two = builders.plan(20, track="2", speech=[(4, 8)])
    turns = track_turns(
        timeline=builders.timeline(one, two, layout="multitrack"),
        plans=[one, two],
        output=tmp_path / "turns.json",
        voices=tmp_path / "voices.json",
    )
    assert [(t.start, t.end, t.speaker) for t in turns.exclusive] == [(0, 5, "1"), (5, 8, "2")]


# Changes of speakers, and what speaks for them.


def spoken_by(text: str, speakers: str, *, pauses: dict[int, float] | None = None) -> str:
    """Who says each word, a letter each; words last 0.2 s, with ``pauses`` (s) before some of them."""
    clock, found = 0.0, []
    for index, piece in enumerate(text.split()):
        clock += (pauses or {}).get(index, 0.0)
        found.append(MergedWord(**word(piece, clock, clock + 0.2).model_dump(), track="main", chunk=0))
        clock += 0.2
    return "".join(who or "-" for who in snapped(found, [None if s == "-" else s for s in speakers]))


@pytest.mark.parametrize(
    ("text", "by_turns", "wanted"),
    [
        # The edge of the turn lies one word too late, or too early.
        ("We can go. That sounds good.", "AAAABB", "AAABBB"),
        ("We can go. That sounds good.", "AABBBB", "AAABBB"),
        # It is where it belongs.
        ("We can go. That sounds good.", "AAABBB", "AAABBB"),
        # Nothing near speaks for another place.
        ("we can go that sounds good", "AAABBB", "AAABBB"),
        ("One. two three four five six seven eight", "AAAAAAAB", "AAAAAAAB"),
        # The end of a sentence counts more than a comma, and from farther away; a title ends none.
        ("We don't know. Well, that is not so", "AAAABBBB", "AAABBBBB"),
        ("We don't, you know that. Well", "AABBBB", "AAAAAB"),
        ("we saw Mr. Mayhew there today", "AABBBB", "AABBBB"),
        # A word in running speech is no turn of its own, one after a sentence is.
        ("we can go that sounds good", "AABAAA", "AAAAAA"),
        ("We can. Yes. So we go", "AABAAA", "AABAAA"),
        # A change does not move beyond the next one, and nobody is lost.
        ("So. Well then. Yes now", "ABBAA", "ABBAA"),
        ("go on. now", "A-B", "A-B"),
    ],
)
def test_a_change_of_speakers_is_at_punctuation_near_it(text: str, by_turns: str, wanted: str) -> None:
    assert spoken_by(text, by_turns) == wanted


def test_a_pause_is_evidence_too_but_less_than_punctuation() -> None:
    assert spoken_by("we can go that sounds good", "AAAABB", pauses={3: 0.2}) == "AAABBB"
    assert spoken_by("we can go that sounds good", "AAAABB", pauses={3: 0.1}) == "AAAABB"
    # A pause after three words, a full stop after five.
    assert spoken_by("we can go that now. sounds good", "AAAABBB", pauses={3: 0.2}) == "AAAAABB"


@given(st.text("AB-", min_size=1, max_size=30), st.data())
def test_changes_move_by_a_second_at_most_and_no_speaker_is_made_up(speakers: str, data: Any) -> None:
    pieces = data.draw(
        st.lists(st.sampled_from(["a", "b.", "c,"]), min_size=len(speakers), max_size=len(speakers))
    )
    pauses = data.draw(st.dictionaries(st.integers(0, 30), st.floats(0, 1), max_size=10))
    found = spoken_by(" ".join(pieces), speakers, pauses=pauses)
    assert [who == "-" for who in found] == [who == "-" for who in speakers]
    # Words are 0.2 s long: a change moves over five of them at most, and single words go first.
    for index, who in enumerate(found):
        assert who in speakers[max(0, index - 6) : index + 7]
