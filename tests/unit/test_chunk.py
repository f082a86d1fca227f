"""Plans tile their track and cut where it is quiet; timelines put tracks on one clock."""

import itertools
import random
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sessionscribe.artifacts.plan import ChunkPlan, PlannedChunk, Span, Timeline, chunk_count
from sessionscribe.artifacts.recording import AudioStream, Conversion
from sessionscribe.audio import flac
from sessionscribe.config.settings import Chunk, Vad
from sessionscribe.core.errors import UserError
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.engines import vad
from sessionscribe.engines.vad import FRAME, Scan
from sessionscribe.stages.chunk.chunk import build_timeline, place_cuts, plan_chunks, tile

MEETING = Path(__file__).resolve().parents[1] / "data/toy/recordings/meeting.mp4"


def scan_of(samples: int, voiced: list[tuple[int, int]], energy: list[float] | None = None) -> Scan:
    spans = [Span(start=start, stop=stop) for start, stop in voiced]
    frames = -(-samples // FRAME)
    return Scan(samples, spans, spans, np.asarray(energy or [1.0] * frames, np.float32))


def check_tiling(cores: list[PlannedChunk], samples: int, chunks: int) -> None:
    assert [core.index for core in cores] == list(range(chunks))
    assert (cores[0].start, cores[-1].stop) == (0, samples)
    assert (cores[0].start_cut, cores[-1].stop_cut) == ("edge", "edge")
    for left, right in itertools.pairwise(cores):
        assert left.stop == right.start
        assert left.stop_cut == right.start_cut != "edge"
    for core in cores:
        assert 0 <= core.start <= core.stop <= samples


@pytest.mark.parametrize(
    ("duration_s", "target_s", "count"),
    [(0, 600, 1), (0.3, 600, 1), (899, 600, 1), (901, 600, 2), (10_800, 600, 18), (float("nan"), 600, 1)],
)
def test_chunk_count(duration_s: float, target_s: float, count: int) -> None:
    assert chunk_count(duration_s, target_s) == count


@st.composite
def tracks(draw: st.DrawFn) -> tuple[Scan, int, Chunk]:
    samples = draw(st.integers(0, 200_000))
    edges = sorted(draw(st.sets(st.integers(0, samples), max_size=20)))
    voiced = list(zip(edges[::2], edges[1::2], strict=False))
    frames = -(-samples // FRAME)
    energy = (
        draw(st.lists(st.floats(0, 1, width=32), min_size=frames, max_size=frames)) if frames < 60 else None
    )
    options = Chunk(target_s=5, search_s=draw(st.sampled_from([0.0, 0.3, 2.0])), min_silence_s=0.1)
    return scan_of(samples, voiced, energy), draw(st.integers(1, 40)), options


@settings(max_examples=300, deadline=None)
@given(tracks())
def test_cores_always_tile_the_track(track: tuple[Scan, int, Chunk]) -> None:
    scan, chunks, options = track
    cuts = place_cuts(scan, chunks, options)
    check_tiling(tile(scan.samples, cuts), scan.samples, chunks)
    speech = [(span.start, span.stop) for span in scan.voiced]
    for number, (place, kind) in enumerate(cuts, start=1):
        assert abs(place - number * scan.samples / chunks) <= options.search_s * SAMPLE_RATE + 1
        assert kind == "forced" or not any(start < place < stop for start, stop in speech)
    if scan.samples >= 10 * chunks:
        assert all(core.stop > core.start for core in tile(scan.samples, cuts))


def minute(text: float) -> int:
    return round(text * 60 * SAMPLE_RATE)


def test_the_longest_pause_near_the_target_is_cut_at_its_centre() -> None:
    # Speech for 20 minutes but for pauses of 1 s at 9:30, 3 s at 10:40 and 9 s at 12:00 (too far away).
    voiced = [(0, minute(9.5)), (minute(9.5) + 16_000, minute(10) + 40 * 16_000)]
    voiced += [(minute(10) + 43 * 16_000, minute(12)), (minute(12) + 9 * 16_000, minute(20))]
    cuts = place_cuts(scan_of(minute(20), voiced), 2, Chunk())
    assert cuts == [(minute(10) + round(41.5 * 16_000), "silence")]


def test_of_equal_pauses_the_nearest_is_taken() -> None:
    voiced = [(0, minute(9.5)), (minute(9.5) + 16_000, minute(10.25)), (minute(10.25) + 16_000, minute(20))]
    assert place_cuts(scan_of(minute(20), voiced), 2, Chunk()) == [(minute(10.25) + 8_000, "silence")]


def test_without_a_pause_the_quietest_place_is_cut() -> None:
    energy = np.ones(-(-minute(20) // FRAME))
    energy[18_900:18_905] = 0.1
    energy[10_000] = 0.0
    scan = scan_of(minute(20), [(0, minute(20))], list(energy))
    assert place_cuts(scan, 2, Chunk()) == [(18_902 * FRAME + FRAME // 2, "forced")]


def test_silence_is_cut_evenly() -> None:
    cuts = place_cuts(scan_of(minute(40), []), 4, Chunk())
    assert cuts == [(minute(10), "silence"), (minute(20), "silence"), (minute(30), "silence")]


def test_a_constant_hum_is_cut_near_the_targets() -> None:
    cuts = place_cuts(scan_of(minute(20), [(0, minute(20))]), 2, Chunk())
    assert cuts[0][1] == "forced"
    assert abs(cuts[0][0] - minute(10)) <= FRAME


def write_flac(path: Path, samples: np.ndarray) -> Path:
    soundfile.write(path, samples, SAMPLE_RATE, subtype="PCM_16")
    return path


def plan_of(path: Path, chunks: int, folder: Path, **settings: object) -> ChunkPlan:
    output = folder / "plan.json"
    options = Chunk.model_validate(settings)
    plan = plan_chunks(audio=path, session="s", track="t", chunks=chunks, options=options, output=output)
    assert ChunkPlan.read(output) == plan
    check_tiling(plan.cores, plan.samples, chunks)
    return plan


@pytest.mark.parametrize("samples", [1, 100, 4_800, 16_000])
@pytest.mark.parametrize("chunks", [1, 2, 7])
def test_very_short_tracks(tmp_path: Path, samples: int, chunks: int) -> None:
    rng = np.random.default_rng(0)
    path = write_flac(tmp_path / "a.flac", 0.1 * rng.standard_normal(samples))
    assert plan_of(path, chunks, tmp_path).samples == samples


def test_silence_has_no_speech_and_still_a_plan(tmp_path: Path) -> None:
    plan = plan_of(write_flac(tmp_path / "a.flac", np.zeros(minute(2))), 4, tmp_path)
    assert plan.speech == []
    assert {core.stop_cut for core in plan.cores[:-1]} == {"silence"}


def test_a_part_of_a_live_session_is_not_cut(tmp_path: Path) -> None:
    path = write_flac(tmp_path / "a.flac", np.zeros(16_000))
    common = {"audio": path, "session": "s", "track": "t", "options": Chunk(), "output": tmp_path / "p.json"}
    assert len(plan_chunks(**common, chunks=1).cores) == 1


def test_damaged_audio_is_told(tmp_path: Path) -> None:
    path = write_flac(tmp_path / "a.flac", np.random.default_rng(0).uniform(-0.1, 0.1, minute(3)))
    data = path.read_bytes()
    for broken in (b"", data[: len(data) // 2], b"no audio"):
        path.write_bytes(broken)
        with pytest.raises(UserError, match=r"a.flac: .*Delete the file and run again"):
            plan_of(path, 2, tmp_path)
    soundfile.write(path, np.zeros((100, 2)), 8_000)
    with pytest.raises(UserError, match="has 2 channels at 8000 Hz"):
        plan_of(path, 2, tmp_path)
    assert not (tmp_path / "plan.json").exists()


def speech(folder: Path, repeat: int) -> Path:
    """Return the toy meeting as a converted track, `repeat` times over."""
    from faster_whisper.audio import decode_audio  # noqa: PLC0415 -- heavy

    return write_flac(folder / "speech.flac", np.tile(decode_audio(str(MEETING))[: 70 * SAMPLE_RATE], repeat))


def test_speech_is_found_as_faster_whisper_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vad, "LEVELS_DB", (0.0,))
    from faster_whisper.vad import VadOptions, get_speech_timestamps  # noqa: PLC0415 -- heavy

    path = speech(tmp_path, 2)  # longer than two blocks: what the network remembers must be carried over
    samples = flac.read_samples(path, 0, soundfile.info(path).frames)
    whole = get_speech_timestamps(
        samples,
        VadOptions(threshold=0.5, min_speech_duration_ms=100, min_silence_duration_ms=300, speech_pad_ms=200),
    )
    faint = Span(start=0, stop=1)
    monkeypatch.setattr(vad, "faint", lambda *_: [faint])
    found = vad.scan(path, Vad())
    assert [(s.start, s.stop) for s in found.speech[1:]] == [(s["start"], s["end"]) for s in whole]
    assert found.speech[0] == found.voiced[0] == faint
    assert whole


def test_faint_speech_is_found_beside_speech_and_not_in_noise() -> None:
    second = round(SAMPLE_RATE / FRAME)
    probability, energy = np.zeros(20 * second, np.float32), np.full(20 * second, 1e-6, np.float32)
    speech = [Span(start=0, stop=3 * second * FRAME)]

    def heard(start: float, stop: float, likely: float, loud: float) -> list[tuple[int, int]]:
        """Return what is found where there is sound, of which half a second may be speech."""
        p, e = probability.copy(), energy.copy()
        p[: 3 * second], e[: 3 * second] = 0.9, 1e-2
        frames = slice(round(start * second), round(stop * second))
        p[frames], e[frames] = 0.06, loud
        p[frames.start : frames.start + second // 2] = likely
        found = vad.faint(p, e, speech, len(p) * FRAME, Vad())
        return [(span.start // FRAME, span.stop // FRAME) for span in found]

    assert heard(5, 6, 0.3, 1e-5) == [(5 * second, 6 * second)]
    assert heard(5, 6, 0.2, 1e-5) == []  # not likely enough
    assert heard(5, 6, 0.3, 2e-6) == []  # as quiet as what surrounds it
    assert heard(5, 5.4, 0.3, 1e-5) == []  # too short
    assert heard(2, 4, 0.3, 1e-5) == []  # the end of what is decoded
    energy[: 2 * second], energy[10 * second :] = 0, 1e-4  # noise here, digital silence there
    assert heard(12, 13, 0.3, 2e-4) == []
    assert heard(5, 6, 0.3, 1e-5) == [(5 * second, 6 * second)]
    assert vad.faint(probability[:0], energy[:0], [], 0, Vad()) == []


def test_speech_is_cut_in_its_pauses(tmp_path: Path) -> None:
    plan = plan_of(speech(tmp_path, 2), 4, tmp_path)
    assert {core.stop_cut for core in plan.cores[:-1]} <= {"silence", "forced"}
    assert any(core.stop_cut == "silence" for core in plan.cores)
    for core in plan.cores[:-1]:
        if core.stop_cut == "silence":
            around = flac.read_samples(tmp_path / "speech.flac", core.stop - 2_000, core.stop + 2_000)
            assert np.sqrt(np.mean(around**2)) < 0.02
    assert plan_of(tmp_path / "speech.flac", 4, tmp_path) == plan


@given(st.lists(st.floats(0, 1, width=32), max_size=200), st.floats(0, 0.5), st.floats(0, 0.5))
def test_padded_speech_is_in_order_and_inside(
    probabilities: list[float], silence: float, width: float
) -> None:
    samples = max(0, len(probabilities) * FRAME - 100)
    options = Vad(min_silence_s=silence, min_speech_s=0, pad_s=width)
    voiced = vad.spans(np.asarray(probabilities, np.float32), samples, options)
    padded = vad.pad(voiced, samples, width)
    edges = [edge for span in padded for edge in (span.start, span.stop)]
    assert edges == sorted(edges)
    assert all(0 <= edge <= samples for edge in edges)
    assert all(p.start <= v.start < v.stop <= p.stop for p, v in zip(padded, voiced, strict=True))


def test_samples_are_read_exactly(tmp_path: Path) -> None:
    path = write_flac(tmp_path / "a.flac", np.random.default_rng(0).uniform(-0.5, 0.5, minute(1)))
    whole, _ = soundfile.read(path, dtype="float32")
    for start, stop in [(0, 0), (0, 1), (12_345, 99_999), (minute(1) - 7, minute(1))]:
        part = flac.read_samples(path, start, stop)
        assert part.dtype == np.float32
        assert np.array_equal(part, whole[start:stop])
    assert np.array_equal(np.concatenate(list(flac.blocks(path, 50_001))), whole)
    with pytest.raises(ValueError, match="not inside"):
        flac.read_samples(path, 0, minute(1) + 1)


def converted(track: str, samples: int) -> Conversion:
    stream = AudioStream(index=0, codec="flac", sample_rate=16_000, channels=1)
    return Conversion(
        session="s", track=track, samples=samples, stream=stream, choice="", channel="", peak=1.0
    )


def timeline(folder: Path, layout: str, tracks: list[Conversion], **settings: object) -> Timeline:
    rows = {"parts": [None] * len(tracks), "speakers": [None] * len(tracks), **settings}
    output = folder / "timeline.json"
    made = build_timeline(session="s", layout=layout, conversions=tracks, output=output, **rows)
    assert Timeline.read(output) == made
    return made


def test_a_recording_is_its_track(tmp_path: Path) -> None:
    made = timeline(tmp_path, "recording", [converted("main", 500)])
    assert (made.samples, made.gaps, made.tracks[0].offset, made.tracks[0].speaker) == (500, [], 0, None)


def test_tracks_begin_together(tmp_path: Path) -> None:
    made = timeline(
        tmp_path, "multitrack", [converted("a", 500), converted("b", 700)], speakers=["Anna", "Bert"]
    )
    assert [(t.offset, t.speaker) for t in made.tracks] == [(0, "Anna"), (0, "Bert")]
    assert made.samples == 700


@pytest.mark.parametrize(
    ("parts", "missing"),
    [
        ([0, 1, 2], []),
        ([1, 2, 3], []),
        ([0, 2, 3], [1]),
        ([1, 4, 5], [2, 3]),
        ([2, 3, 4], []),
        ([2, 4], [3]),
        ([412, 413, 415], [414]),
        ([7], []),
    ],
)
def test_a_missing_part_is_a_gap(tmp_path: Path, parts: list[int], missing: list[int]) -> None:
    made = timeline(tmp_path, "live", [converted(f"p{part}", 100) for part in parts], parts=parts)
    assert [gap.reason for gap in made.gaps] == [f"part {number} is missing" for number in missing]
    assert made.samples == 100 * (len(parts) + len(missing))
    spans = sorted(
        [(t.offset, t.offset + t.samples) for t in made.tracks] + [(g.start, g.stop) for g in made.gaps]
    )
    assert [start for start, _ in spans] == [0, *(stop for _, stop in spans[:-1])]


def test_parts_are_put_in_order_with_gaps_of_the_median_length(tmp_path: Path) -> None:
    rows = [(3, 300), (0, 100), (1, 100), (4, 20)]
    random.Random(1).shuffle(rows)
    tracks = [converted(f"p{part}", samples) for part, samples in rows]
    made = timeline(tmp_path, "live", tracks, parts=[part for part, _ in rows])
    assert [(t.track, t.offset) for t in made.tracks] == [("p0", 0), ("p1", 100), ("p3", 300), ("p4", 600)]
    assert [(g.start, g.stop) for g in made.gaps] == [(200, 300)]


def test_parts_without_a_number_come_last(tmp_path: Path) -> None:
    made = timeline(tmp_path, "live", [converted("x", 10), converted("a", 10)], parts=[None, 1])
    assert [t.track for t in made.tracks] == ["a", "x"]


def test_a_timeline_needs_one_entry_for_each_track(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="argument 2 is longer"):
        timeline(tmp_path, "live", [converted("a", 10)], parts=[1, 2])


def test_a_part_that_is_no_good_is_a_gap_with_a_reason(tmp_path: Path) -> None:
    lengths = {"a": 16_000, "b": 1, "c": 1, "d": 16_000, "e": 8_000}
    whys = {"b": ("is empty", 0.0), "c": ("is broken", 3.0), "e": ("is truncated", 2.0)}
    made = timeline(
        tmp_path,
        "live",
        [
            converted(name, samples).model_copy(
                update=dict(zip(("missing", "missing_s"), whys.get(name, ("", 0.0)), strict=True))
            )
            for name, samples in lengths.items()
        ],
        parts=[0, 1, 2, 3, 4],
    )
    assert [(gap.start, gap.stop, gap.reason) for gap in made.gaps] == [
        (16_001, 32_001, "part 1 is empty"),
        (32_002, 80_002, "part 2 is broken"),
        (104_002, 136_002, "part 4 is truncated"),
    ]
    assert [track.offset for track in made.tracks] == [0, 16_000, 32_001, 80_002, 96_002]
    assert made.samples == 136_002


def sliced(name: str, starts_s: float | None, samples: int = 16_000) -> Conversion:
    return converted(name, samples).model_copy(update={"starts_s": starts_s})


def test_slices_of_a_stream_lie_where_its_clock_says(tmp_path: Path) -> None:
    parts = [sliced("a", None), sliced("b", 1.006), sliced("d", 7.5), sliced("e", 8.49), sliced("f", 60.0)]
    made = timeline(tmp_path, "live", parts, parts=[0, 1, 3, 4, 5], headers=[None, 0, 0, 0, 0])
    assert [track.offset / 16_000 for track in made.tracks] == [0, 1.006, 7.5, 8.5, 60]
    assert [(gap.start / 16_000, gap.stop / 16_000, gap.reason) for gap in made.gaps] == [
        (2.006, 7.5, "part 2 is missing"),
        (9.5, 60, "the recorder's clock went on, but it recorded nothing"),
    ]


def test_a_first_part_that_is_only_a_header_takes_no_time(tmp_path: Path) -> None:
    header = converted("a", 1).model_copy(update={"missing": "is only a header"})
    made = timeline(tmp_path, "live", [header, sliced("b", 0.0)], parts=[0, 1], headers=[None, 0])
    assert made.tracks[1].offset == 1
    assert [(gap.start, gap.stop) for gap in made.gaps] == [(1, 1)]


def test_the_clock_of_a_stream_begins_with_its_first_slice(tmp_path: Path) -> None:
    parts = [sliced("a", None), sliced("b", 1.0), sliced("c", None), sliced("d", 1.0), sliced("e", 5.0)]
    made = timeline(tmp_path, "live", parts, parts=[0, 1, 2, 3, 5], headers=[None, 0, None, 2, 2])
    assert [track.offset / 16_000 for track in made.tracks] == [0, 1, 2, 3, 7]


def test_a_clock_that_is_hours_off_is_none(tmp_path: Path) -> None:
    parts = [sliced("a", None), sliced("b", 10.0**6), sliced("c", 0.2)]
    made = timeline(tmp_path, "live", parts, parts=[0, 1, 2], headers=[None, 0, 0])
    assert [track.offset / 16_000 for track in made.tracks] == [0, 1, 2]
    assert made.gaps == []


def test_a_track_that_has_other_chunks_than_was_noted_says_so(tmp_path: Path) -> None:
    audio = write_flac(tmp_path / "a.flac", np.zeros(30 * 16_000, np.float32))
    told = {"audio": audio, "session": "s", "track": "t", "options": Chunk(target_s=10, search_s=2)}
    with pytest.raises(UserError, match=r"is 30\.0 s long, not 10\.0 s as noted: chunks 3, not 1"):
        plan_chunks(**told, chunks=1, length_s=10.0, output=tmp_path / "plan.json")
    assert not (tmp_path / "plan.json").exists()
    made = plan_chunks(**told, chunks=2, length_s=29.0, output=tmp_path / "plan.json")
    assert len(made.cores) == 2, "encoders add and leave out a little: that redoes nothing"


def test_a_passage_that_is_quieter_than_others_is_heard_at_another_level() -> None:
    energy = np.full(1875, 10.0 ** (-75 / 10), np.float32)
    energy[900:], energy[1200:1205], energy[1500:] = 0.01, 0.5, 0
    energy[1000:1400] = np.where(energy[1000:1400] == 0.5, 0.5, np.float32(10.0 ** (-55 / 10)))  # a door
    gain = vad.gains(energy)
    assert gain[[0, 860]] == pytest.approx(10 ** (45 / 20), rel=0.01)
    assert gain[[1040, 1202, 1350]] == pytest.approx(10 ** (25 / 20), rel=0.01)
    assert set(gain[[920, 1470, 1600]]) == {1}, "loud enough, or silent"
