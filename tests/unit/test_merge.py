"""Merging: nothing lost, nothing doubled, whatever the chunks say and in whatever order they come."""

import json
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import builders
from builders import word, words
from sessionscribe.artifacts.chunk_transcript import ChunkTranscript, Word
from sessionscribe.artifacts.merged import Merged
from sessionscribe.artifacts.plan import ChunkPlan, CutKind, Span, Timeline
from sessionscribe.config.settings import Merge, Transcribe
from sessionscribe.core.errors import UserError
from sessionscribe.core.units import SAMPLE_RATE, milliseconds
from sessionscribe.stages.merge.merge import merge_transcript
from sessionscribe.stages.transcribe.windows import chunk_windows, span_of

OPTIONS = Merge()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("merge")


def merge(
    output: Path, plans: list[ChunkPlan], chunks: list[ChunkTranscript], timeline: Timeline | None = None
) -> Merged:
    return merge_transcript(
        timeline=timeline or builders.timeline(*plans),
        plans=plans,
        chunks=chunks,
        options=OPTIONS,
        output=output,
    )


def said(merged: Merged) -> list[str]:
    return [w.text for segment in merged.segments for w in segment.words]


@st.composite
def sessions(draw: st.DrawFn) -> tuple[Timeline, list[ChunkPlan], list[ChunkTranscript]]:
    """Any session: one to three tracks, any cuts, words anywhere in what a chunk decodes, and beyond."""
    plans, chunks, serial = [], [], 0
    for track in range(draw(st.integers(1, 3))):
        lengths = draw(st.lists(st.integers(1, 12), min_size=1, max_size=4))
        cuts = [float(sum(lengths[: i + 1])) for i in range(len(lengths) - 1)]
        kinds = [draw(st.sampled_from(["silence", "forced"])) for _ in cuts]
        plan = builders.plan(float(sum(lengths)), list(zip(cuts, kinds, strict=True)), track=f"t{track}")
        beyond = draw(st.sampled_from([0, SAMPLE_RATE // 2, 2 * SAMPLE_RATE]))
        plans.append(plan)
        for core in plan.cores:
            segments = []
            for _ in range(draw(st.integers(0, 3))):
                found = []
                for _ in range(draw(st.integers(0, 5))):
                    serial += 1  # the probability names the word
                    low, high = core.start / 16000 - 2.5, core.stop / 16000 + 2.5
                    start = max(0.0, round(draw(st.floats(low, high)), 3))
                    length = draw(st.sampled_from([0.0, 0.05, 0.3, 1.0]))
                    text = draw(st.sampled_from(["no", "No.", "yes", "maybe,", "--"]))
                    found.append(Word(text=text, start=start, end=start + length, probability=serial / 10000))
                segments.append(found)
            taken_out = (
                [builders.removed(words("thank you", core.start / 16000))] if draw(st.booleans()) else []
            )
            heard = Span(start=max(0, core.start - beyond), stop=core.stop + beyond)
            chunks.append(builders.chunk(plan, core.index, *segments, taken_out=taken_out, heard=heard))
    offsets = [draw(st.floats(0, 20)) for _ in plans]
    return builders.timeline(*plans, offsets=offsets), plans, chunks


@pytest.mark.usefixtures("fast_disk")
@given(session=sessions(), seed=st.integers(0, 1000))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_word_is_in_the_transcript(
    folder: Path, session: tuple[Timeline, list[ChunkPlan], list[ChunkTranscript]], seed: int
) -> None:
    timeline, plans, chunks = session
    merged = merge(folder / "one.json", plans, chunks, timeline)

    given_words = Counter(
        (c.track, c.core.index, w.text, w.probability) for c in chunks for s in c.segments for w in s.words
    )
    kept = [w for segment in merged.segments for w in segment.words]
    assert Counter((w.track, w.chunk, w.text, w.probability) for w in kept) == given_words
    assert len(merged.removed) == sum(len(c.removed) for c in chunks)

    for track in timeline.tracks:
        own = [w for segment in merged.segments if segment.track == track.track for w in segment.words]
        for before, after in pairwise(own):
            assert before.start <= before.end <= after.start <= after.end
    for w in kept:
        assert 0 <= w.start <= w.end <= merged.duration_s
    starts = [segment.start for segment in merged.segments]
    assert starts == sorted(starts)
    for segment in merged.segments:
        assert (segment.start, segment.end) == (segment.words[0].start, segment.words[-1].end)
        gaps = [b.start - a.end for a, b in pairwise(segment.words)]
        assert all(gap < OPTIONS.segment_gap_s for gap in gaps)

    random.Random(seed).shuffle(chunks)
    again = merge(folder / "two.json", plans[::-1], chunks, timeline)
    assert again == merged == Merged.read(folder / "one.json")
    assert (folder / "two.json").read_bytes() == (folder / "one.json").read_bytes()


def test_files_of_earlier_versions_are_read_without_what_nobody_asks_any_more(tmp_path: Path) -> None:
    plan = builders.plan(20, [(10, "forced")])
    old = json.loads(plan.text())
    for core in old["cores"]:
        core |= {"context_start": 0, "context_stop": 20 * SAMPLE_RATE}
    (tmp_path / "plan.json").write_text(json.dumps(old))
    assert ChunkPlan.read(tmp_path / "plan.json") == plan
    merged = merge(tmp_path / "m.json", [plan], [builders.chunk(plan, index) for index in (0, 1)])
    gone = {"text": "so", "start": 9.0, "end": 9.2, "probability": 0.9, "reason": "beyond the cut"}
    old = json.loads(merged.text()) | {"seams": [{"track": "main", "left": 0}], "schema_version": 3}
    old["dropped"] = [gone | {"track": "main", "chunk": 0}]
    (tmp_path / "old.json").write_text(json.dumps(old))
    assert Merged.read(tmp_path / "old.json") == merged


def test_where_nothing_was_heard_twice_all_words_stay_and_nothing_is_doubted(tmp_path: Path) -> None:
    plan = builders.plan(20, [(10, "forced")])
    ends, begins = builders.samples(10.5), builders.samples(20)
    left = builders.chunk(plan, 0, words("no no no", 9.6), heard=Span(start=0, stop=ends))
    right = builders.chunk(plan, 1, words("no no", 10.6), heard=Span(start=ends, stop=begins))
    merged = merge(tmp_path / "m.json", [plan], [left, right])
    assert said(merged) == ["no"] * 5


@pytest.mark.parametrize("kind", ["silence", "forced"])
@pytest.mark.parametrize("empty", [0, 1])
def test_a_window_that_reaches_over_a_chunk_without_any_keeps_its_words(
    tmp_path: Path, kind: CutKind, empty: int
) -> None:
    """Speech on both sides of the cut is one window, and one side has nothing else to decode."""
    speech = [(7.5, 9.5), (10.5, 12.0)] if empty else [(8.5, 9.0), (10.5, 14.5)]
    plan = builders.plan(20, [(10, kind)], speech=speech)
    windows = [chunk_windows(plan, n, Transcribe(window_s=8)) for n in (0, 1)]
    assert not windows[empty]
    heard = [span_of(found, core) for found, core in zip(windows, plan.cores, strict=True)]
    talk = words("one two", speech[0][0]) + words("three four", speech[1][0])
    chunks = [builders.chunk(plan, n, *([] if n == empty else [talk]), heard=heard[n]) for n in (0, 1)]
    merged = merge(tmp_path / "m.json", [plan], chunks)
    assert said(merged) == ["one", "two", "three", "four"]


def test_live_parts_do_not_overlap_and_keep_all_words(tmp_path: Path) -> None:
    parts = [builders.plan(10, track=f"00{n}") for n in range(3)]
    timeline = builders.timeline(*parts, layout="live", offsets=[0, 10, 30], gaps=[(20, 30)])
    chunks = [builders.chunk(part, 0, words("the end of it", 8.6)) for part in parts]
    merged = merge(tmp_path / "m.json", parts, chunks, timeline)
    assert said(merged) == ["the", "end", "of", "it"] * 3
    assert [s.start for s in merged.segments] == [8.6, 18.6, 38.6]
    assert max(s.end for s in merged.segments) <= merged.duration_s == 40
    assert merged.gaps == timeline.gaps


def test_track_offsets_are_added_in_whole_samples(tmp_path: Path) -> None:
    plan = builders.plan(20)
    late = builders.timeline(plan, offsets=[14400 - 1 / 3])
    merged = merge(tmp_path / "m.json", [plan], [builders.chunk(plan, 0, [word("hi", 1.001)])], late)
    assert merged.segments[0].start == round((14400 * 16000 - 5333 + 16016) / 16000, 3)


def test_the_same_lengths_stay_the_same_wherever_a_track_begins(tmp_path: Path) -> None:
    """Where it begins half a millisecond off, all times are halves: rounded to even, lengths would differ."""
    plan = builders.plan(20)
    for begin in range(8, 16 * 200, 16):
        late = builders.timeline(plan, offsets=[begin / SAMPLE_RATE])
        found = merge(
            tmp_path / "m.json", [plan], [builders.chunk(plan, 0, words("a b c", 0.15, 0.15))], late
        )
        (segment,) = found.segments
        starts = [milliseconds(w.start) for w in segment.words]
        assert [b - a for a, b in pairwise(starts)] == [150, 150], begin


def test_segments_follow_the_engine_and_long_pauses(tmp_path: Path) -> None:
    plan = builders.plan(20)
    chunk = builders.chunk(plan, 0, words("a b", 0) + words("c d", 4), words("e", 4.8))
    merged = merge(tmp_path / "m.json", [plan], [chunk])
    assert [[w.text for w in s.words] for s in merged.segments] == [["a", "b"], ["c", "d"], ["e"]]


@pytest.mark.parametrize("offset", [0, 495, 14400 + 1 / 3])
def test_where_a_segment_ends_does_not_depend_on_when_the_track_begins(tmp_path: Path, offset: float) -> None:
    """As floats, 17.233 - 16.933 is more than 0.3, and 512.233 - 511.933 less."""
    plan = builders.plan(26, [(17, "silence")])
    left, right = word("and", 16.8, 16.933), word("so", 17.233, 17.4)
    chunks = [builders.chunk(plan, 0, [left]), builders.chunk(plan, 1, [right])]
    merged = merge(tmp_path / "m.json", [plan], chunks, builders.timeline(plan, offsets=[offset]))
    assert [[w.text for w in s.words] for s in merged.segments] == [["and"], ["so"]]


def test_what_the_guards_removed_is_there_in_session_time(tmp_path: Path) -> None:
    plan = builders.plan(20)
    phantom = builders.removed(words("thanks for watching", 3), "phrase in silence")
    chunk = builders.chunk(plan, 0, taken_out=[phantom])
    merged = merge(tmp_path / "m.json", [plan], [chunk], builders.timeline(plan, offsets=[100]))
    assert (merged.removed[0].start, merged.removed[0].words[0].start) == (103.0, 103.0)
    assert merged.removed[0].reason == "phrase in silence"


def test_engines_are_the_distinct_ones_and_the_language_that_of_most_words(tmp_path: Path) -> None:
    plan = builders.plan(40, [(10, "silence"), (20, "silence"), (30, "silence")])
    gpu = builders.ENGINE.model_copy(update={"device": "cuda"})
    nothing = builders.ENGINE.model_copy(update={"name": "none"})
    chunks = [
        builders.chunk(plan, 0, words("eins zwei drei", 1), language="de", engine=gpu),
        builders.chunk(plan, 1, words("one", 11), language="en"),
        builders.chunk(plan, 2, words("vier", 21), language="de"),
        builders.chunk(plan, 3, language="mixed", engine=nothing),
    ]
    merged = merge(tmp_path / "m.json", [plan], chunks)
    assert (merged.engines, merged.language, merged.chunks) == ([builders.ENGINE, gpu], "de", 4)
    own = [segment.model_copy(update={"language": "fr"}) for segment in chunks[0].segments]
    chunks[0] = chunks[0].model_copy(update={"segments": own})
    assert merge(tmp_path / "m.json", [plan], chunks).language == "fr"
    silent = [builders.chunk(plan, n, engine=nothing, language="und") for n in range(4)]
    assert merge(tmp_path / "m.json", [plan], silent).language == "und"


def test_a_missing_doubled_or_foreign_chunk_is_refused(tmp_path: Path) -> None:
    plan = builders.plan(20, [(10, "silence")])
    other = builders.plan(20, [(11, "silence")])
    one, two = builders.chunk(plan, 0), builders.chunk(plan, 1)
    for chunks, message in [
        ([one], "1 transcript of track main: not one for each of the 2 chunks of its plan"),
        ([one, two, two], "3 transcripts of track main: not one for each"),
        ([one, builders.chunk(other, 1)], "2 transcripts of track main: not one for each"),
    ]:
        with pytest.raises(UserError, match=message):
            merge(tmp_path / "m.json", [plan], chunks)
    assert not (tmp_path / "m.json").exists()
