"""What holds of every cut and every merge, whatever was said and heard."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import builders
from sessionscribe.artifacts.chunk_transcript import ChunkTranscript, Word
from sessionscribe.artifacts.merged import Merged
from sessionscribe.artifacts.plan import ChunkPlan, CutKind, PlannedChunk, Timeline, chunk_count
from sessionscribe.config.settings import Chunk, Merge
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.engines.vad import FRAME, Scan
from sessionscribe.stages.chunk.chunk import place_cuts, plan_chunks, tile
from sessionscribe.stages.merge.merge import merge_transcript

QUICK = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
MINUTES = 60 * SAMPLE_RATE


# --- cutting -----------------------------------------------------------------------------------------------


@st.composite
def scans(draw: st.DrawFn) -> tuple[Scan, int]:
    """A track of up to ten minutes with any speech, and how many chunks are wanted of it."""
    samples = draw(st.integers(1, 10 * MINUTES))
    edges = sorted(draw(st.sets(st.integers(0, samples), max_size=40)))
    voiced = [builders.Span(start=a, stop=b) for a, b in zip(edges[::2], edges[1::2], strict=False)]
    seed = draw(st.integers(0, 1000))
    energy = np.random.default_rng(seed).random(-(-samples // FRAME)).astype(np.float32)
    found = Scan(samples=samples, speech=voiced, voiced=voiced, energy=energy)
    return found, draw(st.integers(1, 30))


OPTIONS = st.builds(
    lambda target_s, share, **more: Chunk(target_s=target_s, search_s=share * target_s, **more),
    target_s=st.sampled_from([5, 60, 600]),
    share=st.floats(0, 0.4),
    min_silence_s=st.floats(0.05, 2),
)


@QUICK
@given(track=scans(), options=OPTIONS)
def test_every_sample_belongs_to_one_core(track: tuple[Scan, int], options: Chunk) -> None:
    found, chunks = track
    cores = tile(found.samples, place_cuts(found, chunks, options))
    assert [core.index for core in cores] == list(range(chunks))
    assert (cores[0].start, cores[-1].stop) == (0, found.samples)
    for before, after in pairwise(cores):
        assert before.start <= before.stop == after.start <= after.stop
        assert before.stop_cut == after.start_cut != "edge"
    assert {cores[0].start_cut, cores[-1].stop_cut} == {"edge"}


@QUICK
@given(track=scans(), options=OPTIONS)
def test_cuts_follow_from_the_audio_and_the_settings_of_chunks_alone(
    track: tuple[Scan, int], options: Chunk
) -> None:
    found, chunks = track
    cuts = place_cuts(found, chunks, options)
    assert cuts == place_cuts(found, chunks, options)
    # How the words are joined for decoding does not move a cut.
    joined = Scan(samples=found.samples, speech=[], voiced=found.voiced, energy=found.energy)
    assert cuts == place_cuts(joined, chunks, options)
    # Neither does an equally loud recording of another level.
    louder = Scan(samples=found.samples, speech=found.speech, voiced=found.voiced, energy=found.energy * 4)
    assert cuts == place_cuts(louder, chunks, options)


def test_a_copy_under_another_name_and_of_another_time_is_cut_alike(tmp_path: Path) -> None:
    audio = np.random.default_rng(3).normal(0, 0.05, 40 * SAMPLE_RATE).astype(np.float32)
    for name, stamp in (("one", 1), ("two", 10**9)):
        soundfile.write(tmp_path / f"{name}.flac", audio, SAMPLE_RATE, subtype="PCM_16")
        os.utime(tmp_path / f"{name}.flac", (stamp, stamp))
    plans = [
        plan_chunks(
            audio=tmp_path / f"{name}.flac",
            session=name,
            track=name,
            chunks=chunk_count(40, 10),
            options=Chunk(target_s=10, search_s=3),
            output=tmp_path / f"{name}.json",
        )
        for name in ("one", "two")
    ]
    assert plans[0].cores == plans[1].cores
    assert len(plans[0].cores) == 4


# --- a session ---------------------------------------------------------------------------------------------

TEXTS = st.sampled_from(["no", "No.", "yes", "the", "well,", "--", "Strahd"])


def heard(
    low: float, high: float, most: int = 8, texts: st.SearchStrategy[str] = TEXTS
) -> st.SearchStrategy[list[Word]]:
    """Words in time order, anywhere between two times; they may overlap and last no time at all."""
    one = st.tuples(texts, st.floats(low, high), st.sampled_from([0.0, 0.05, 0.3, 1.0]), st.floats(0.01, 1))
    return st.lists(one, max_size=most).map(
        lambda found: [
            Word(text=text, start=round(start, 3), end=round(start, 3) + length, probability=round(sure, 4))
            for text, start, length, sure in sorted(found, key=lambda word: word[1])
        ]
    )


Session = tuple[Timeline, list[ChunkPlan], list[ChunkTranscript]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("properties")


def numbered(words: Iterable[Word], serial: Iterator[int]) -> list[Word]:
    """The words with a probability that names each."""
    return [word.model_copy(update={"probability": next(serial) / 10_000}) for word in words]


def in_context(core: PlannedChunk) -> st.SearchStrategy[list[Word]]:
    return heard(core.start / SAMPLE_RATE, core.stop / SAMPLE_RATE, most=6)


@st.composite
def sessions(draw: st.DrawFn) -> Session:
    """One or two tracks of several chunks, with any cuts, words anywhere in what a chunk decodes."""
    plans, chunks, serial = [], [], iter(range(1, 10_000))
    for track in range(draw(st.integers(1, 2))):
        lengths = draw(st.lists(st.integers(3, 12), min_size=1, max_size=5))
        places = np.cumsum(lengths).tolist()
        kinds: list[CutKind] = [draw(st.sampled_from(["silence", "forced"])) for _ in places[:-1]]
        plan = builders.plan(float(places[-1]), list(zip(places[:-1], kinds, strict=True)), track=f"t{track}")
        plans.append(plan)
        for core in plan.cores:
            words = numbered(draw(in_context(core)), serial)
            half = len(words) // 2
            chunks.append(builders.chunk(plan, core.index, words[:half], words[half:]))
    offsets = [float(draw(st.integers(0, 20))) for _ in plans]
    return builders.timeline(*plans, offsets=offsets), plans, chunks


def merge(output: Path, session: Session) -> Merged:
    timeline, plans, chunks = session
    return merge_transcript(timeline=timeline, plans=plans, chunks=chunks, options=Merge(), output=output)


def by_chunk(merged: Merged) -> dict[tuple[str, int], dict[float, Word]]:
    """All words of the stored file by the chunk that they come from, by their number."""
    found: dict[tuple[str, int], dict[float, Word]] = defaultdict(dict)
    for word in (w for segment in merged.segments for w in segment.words):
        assert word.probability not in found[word.track, word.chunk], "owned twice"
        found[word.track, word.chunk][word.probability] = word
    return found


@pytest.mark.usefixtures("fast_disk")
@QUICK
@given(session=sessions())
def test_from_the_stored_file_every_chunk_can_be_put_together_again(folder: Path, session: Session) -> None:
    timeline, _, chunks = session
    merge(folder / "merged.json", session)
    found = by_chunk(Merged.read(folder / "merged.json"))
    lies = {track.track: track for track in timeline.tracks}
    for chunk in chunks:
        own = found.pop((chunk.track, chunk.core.index), {})
        words = [word for segment in chunk.segments for word in segment.words]
        assert set(own) == {word.probability for word in words}
        track = lies[chunk.track]
        for word in words:
            stored = own[word.probability]
            assert stored.text == word.text
            # Its time is that of the track on the session's clock, unless the word before it ends later.
            start = (track.offset + min(round(word.start * SAMPLE_RATE), track.samples)) / SAMPLE_RATE
            assert stored.start >= start - 0.001
        heard_at = {w.probability: w.start for w in words}
        starts = [heard_at[w.probability] for w in own.values()]
        assert starts == sorted(starts)
    assert not found


@pytest.mark.usefixtures("fast_disk")
@QUICK
@given(session=sessions())
def test_chunks_follow_one_another(folder: Path, session: Session) -> None:
    merged = merge(folder / "merged.json", session)
    for track in session[0].tracks:
        own = [w for segment in merged.segments if segment.track == track.track for w in segment.words]
        for before, after in pairwise(own):
            assert before.chunk <= after.chunk


@pytest.mark.usefixtures("fast_disk")
@QUICK
@given(session=sessions(), data=st.data())
def test_another_version_of_a_chunk_changes_nothing_beyond_its_neighbours(
    folder: Path, session: Session, data: st.DataObject
) -> None:
    timeline, plans, chunks = session
    place = data.draw(st.integers(0, len(chunks) - 1))
    old = chunks[place]
    plan = next(plan for plan in plans if plan.track == old.track)
    words = numbered(data.draw(in_context(old.core)), iter(range(20_000, 30_000)))
    other = [*chunks]
    other[place] = builders.chunk(plan, old.core.index, words)

    def elsewhere(merged: Merged) -> Counter[tuple[object, ...]]:
        return Counter(
            (w.track, w.chunk, w.text, w.probability)
            for segment in merged.segments
            for w in segment.words
            if w.track != old.track or abs(w.chunk - old.core.index) > 1
        )

    before = merge(folder / "before.json", session)
    after = merge(folder / "after.json", (timeline, plans, other))
    assert elsewhere(before) == elsewhere(after)


@pytest.mark.usefixtures("fast_disk")
@QUICK
@given(session=sessions(), data=st.data())
def test_the_order_of_plans_and_chunks_does_not_matter_and_merging_changes_none_of_them(
    folder: Path, session: Session, data: st.DataObject
) -> None:
    timeline, plans, chunks = session
    given_ones = [part.model_dump_json() for part in (timeline, *plans, *chunks)]
    merge(folder / "one.json", session)
    assert [part.model_dump_json() for part in (timeline, *plans, *chunks)] == given_ones
    shuffled = timeline, data.draw(st.permutations(plans)), data.draw(st.permutations(chunks))
    merge(folder / "two.json", shuffled)
    assert (folder / "one.json").read_bytes() == (folder / "two.json").read_bytes()


@pytest.mark.usefixtures("fast_disk")
@QUICK
@given(session=sessions(), later=st.integers(1, 1000))
def test_a_session_that_begins_later_is_the_same_later(folder: Path, session: Session, later: int) -> None:
    timeline, plans, chunks = session
    moved = timeline.model_copy(
        update={
            "samples": timeline.samples + later * SAMPLE_RATE,
            "tracks": [
                t.model_copy(update={"offset": t.offset + later * SAMPLE_RATE}) for t in timeline.tracks
            ],
        }
    )
    before = merge(folder / "before.json", session)
    after = merge(folder / "after.json", (moved, plans, chunks))
    for one, other in zip(before.segments, after.segments, strict=True):
        assert [w.text for w in one.words] == [w.text for w in other.words]
        times = [(w.start + later, w.end + later) for w in one.words]
        assert [(w.start, w.end) for w in other.words] == [pytest.approx(pair, abs=0.0011) for pair in times]
