"""The speech engine at work, with the bundled model: nothing about a chunk depends on what else runs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
import soundfile

from held import free_all, held
from project import SPEECH_MODEL, TOY
from sessionscribe.artifacts.chunk_transcript import ChunkTranscript
from sessionscribe.artifacts.plan import ChunkPlan, PlannedChunk, Span
from sessionscribe.config.settings import Chunk, Transcribe, Vad
from sessionscribe.core.errors import UserError
from sessionscribe.engines.decoded import Decoded, words_of
from sessionscribe.engines.whisper import SpeechModel
from sessionscribe.engines.windows import SHORT_S, WindowDecoder
from sessionscribe.jobs import metrics
from sessionscribe.stages.chunk.chunk import plan_chunks, tile
from sessionscribe.stages.transcribe.fallback import NO_WORD, SILENCE
from sessionscribe.stages.transcribe.transcribe import transcribe_chunk

MODEL = str(SPEECH_MODEL)
OPTIONS = Transcribe(model=MODEL, device="cpu", compute_type="int8", language="en", beam_size=2, window_s=8.0)
SETTINGS: dict[str, Any] = {
    "beam_size": 2,
    "temperature": 0.0,
    "condition_on_previous_text": False,
    "word_timestamps": True,
}
FROM_S, TO_S = 150, 240


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ChunkPlan]:
    """The last minute and a half of the demo meeting, and a plan of three chunks."""
    from faster_whisper.audio import decode_audio  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("talk")
    samples = decode_audio(str(TOY / "recordings/meeting.mp4"))[FROM_S * 16_000 : TO_S * 16_000]
    soundfile.write(folder / "talk.flac", samples, 16_000, subtype="PCM_16")
    plan = plan_chunks(
        audio=folder / "talk.flac",
        session="talk",
        track="main",
        chunks=3,
        options=Chunk(vad=Vad(min_silence_s=0.15, pad_s=0.1)),
        output=folder / "plan.json",
    )
    return folder / "talk.flac", plan


@pytest.fixture
def make(talk: tuple[Path, ChunkPlan], tmp_path: Path) -> Any:
    """Transcribe a chunk; the result and its file are returned."""

    def made(index: int, options: Transcribe, name: str = "chunk") -> tuple[ChunkTranscript, bytes]:
        output = tmp_path / f"{name}.{index}.json"
        found = transcribe_chunk(
            audio=talk[0], plan=talk[1], index=index, language="en", options=options, threads=1, output=output
        )
        return found, output.read_bytes()

    return made


@pytest.fixture
def windows(talk: tuple[Path, ChunkPlan]) -> list[tuple[float, Any]]:
    """Twelve windows of different lengths."""
    samples, _ = soundfile.read(talk[0], dtype="float32")
    lengths = random.Random(1)
    return [
        (7.0 * i, samples[int(7 * i * 16_000) :][: int(lengths.uniform(2, 6.9) * 16_000)]) for i in range(12)
    ]


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    """The bundled model as faster-whisper has it."""
    yield SpeechModel(OPTIONS, threads=1)._loaded.whisper
    free_all()


def words(found: ChunkTranscript) -> list[str]:
    return [word.text for segment in found.segments for word in segment.words]


@pytest.mark.parametrize(
    "options",
    [
        OPTIONS,
        # Every window is decoded again in halves.
        OPTIONS.model_copy(update={"low_confidence_log_prob": -0.01}),
    ],
    ids=["usual", "decoded again"],
)
def test_chunks_at_once_are_the_same_to_the_byte_as_one_after_the_other(
    make: Any, options: Transcribe
) -> None:
    alone = [make(index, options) for index in range(3)]
    with ThreadPoolExecutor(3) as lanes:
        beside = list(lanes.map(lambda index: make(index, options, "beside"), [2, 0, 1]))
    assert [content for _, content in beside] == [alone[index][1] for index in (2, 0, 1)]
    assert sum(len(words(found)) for found, _ in alone) > 50


def test_the_words_of_chunks_are_those_of_the_whole(
    make: Any, talk: tuple[Path, ChunkPlan], tmp_path: Path
) -> None:
    """Wherever a track is cut, through speech as well."""
    audio, cut = talk
    ends = [core.stop - 3 * 16_000 for core in cut.cores[:-1]]
    moved = tile(cut.samples, [(end, "forced") for end in ends])

    def transcribed(cores: list[PlannedChunk]) -> list[str]:
        plan = cut.model_copy(update={"cores": cores})
        output = tmp_path / "c.json"
        found = [
            transcribe_chunk(
                audio=audio, plan=plan, index=i, language="en", options=OPTIONS, threads=1, output=output
            )
            for i in range(len(cores))
        ]
        return [word for chunk in found for word in words(chunk)]

    expected = transcribed(tile(cut.samples, []))
    assert len(expected) > 50
    assert transcribed(cut.cores) == transcribed(moved) == expected


def test_a_model_is_loaded_once_for_all_jobs_and_each_counts_what_it_heard(make: Any) -> None:
    free_all()
    loads, heard = [], []

    def job(index: int) -> None:
        with metrics.measured() as used:
            core = make(index, OPTIONS)[0].core
            loads.append(used.loads)
            heard.append(used.audio_s == pytest.approx((core.stop - core.start) / 16_000))

    with ThreadPoolExecutor(3) as lanes:
        list(lanes.map(job, range(3)))
    assert sorted(map(list, loads)) == [[], [], [MODEL]]
    assert all(heard)
    assert len(held()) == 1


def test_another_number_format_is_another_model(make: Any) -> None:
    free_all()
    make(0, OPTIONS)
    found, _ = make(0, OPTIONS.model_copy(update={"compute_type": "float32"}))
    assert found.engine.compute_type == "float32"
    assert len(held()) == 2
    assert free_all() == 2


def test_a_number_format_that_this_machine_lacks_is_replaced(make: Any) -> None:
    found, _ = make(0, OPTIONS.model_copy(update={"compute_type": "int8_float16"}))
    assert found.engine.compute_type == "float32"


def test_a_gpu_that_is_none_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import ctranslate2  # noqa: PLC0415

    def refuse(_device: str) -> set[str]:
        raise RuntimeError("CUDA failed with error CUDA driver version is insufficient")

    monkeypatch.setattr(ctranslate2, "get_supported_compute_types", refuse)
    with pytest.raises(
        UserError, match=r"cannot be loaded on the GPU \(CUDA failed .* insufficient\)"
    ) as error:
        SpeechModel(OPTIONS.model_copy(update={"device": "cuda"}), threads=1)
    assert "set `transcribe.device: cpu`" in str(error.value)


def test_speech_without_a_word_is_decoded_again(make: Any) -> None:
    # In windows of 30 s, three times as long as it is used to, the bundled model loses its place.
    lossy = OPTIONS.model_copy(update={"window_s": 30.0, "fallback_gap_s": 2.0})
    first = [make(i, lossy.model_copy(update={"fallback_gap_s": 0.0}), "first")[0] for i in range(3)]
    both = [make(i, lossy)[0] for i in range(3)]
    assert all(not found.redecoded for found in first)
    again = [(found, part) for found in both for part in found.redecoded if part.reason == NO_WORD]
    assert again
    assert sum(part.words for _, part in again) > 0
    assert {part.winner for _, part in again if part.words} == {"second"}
    gained = sum(len(words(found)) for found in both) - sum(len(words(found)) for found in first)
    assert gained > 0
    for found in both:
        starts = [segment.start for segment in found.segments]
        assert starts == sorted(starts)


def test_a_window_that_failed_a_threshold_is_decoded_again_and_the_worse_version_is_kept_aside(
    make: Any,
) -> None:
    first, _ = make(1, OPTIONS.model_copy(update={"fallback_gap_s": 0.0}), "first")
    threshold = median(s.avg_logprob for s in first.segments) + 0.01
    unsure = [s.text for s in first.segments if s.avg_logprob < threshold]
    found, _ = make(1, OPTIONS.model_copy(update={"low_confidence_log_prob": threshold}))
    assert unsure
    assert len(found.redecoded) > 0
    gone = [s for part in found.redecoded for s in part.loser] + list(found.removed)
    both = {s.text for s in found.segments} | {s.text for s in gone}
    assert set(unsure) <= both, "whichever won, what was heard first is there"
    assert all(part.winner == ("second" if part.second > part.first else "first") for part in found.redecoded)
    spans = [(part.start, part.end) for part in found.redecoded]
    sure = [s for s in first.segments if not any(a < s.end and s.start < b for a, b in spans)]
    assert all(segment in found.segments for segment in sure), "what was sure stays as it was"


def test_windows_that_the_engine_takes_for_silence_are_listed(
    make: Any, talk: tuple[Path, ChunkPlan]
) -> None:
    deaf = OPTIONS.model_copy(update={"no_speech_threshold": -1.0, "log_prob_threshold": 0.0})
    found, _ = make(1, deaf)
    assert found.segments == []
    assert {segment.reason for segment in found.removed} == {SILENCE}
    heard = " ".join(segment.text for segment in found.removed).lower()
    said = [word.strip(".,?!").lower() for word in words(make(1, OPTIONS)[0])]
    assert sum(word in heard for word in said) > 0.7 * len(said)
    spans = [(segment.start, segment.end) for segment in found.removed]
    assert spans == sorted(spans)
    assert all(found.heard.start / 16_000 <= a < b <= found.heard.stop / 16_000 for a, b in spans)


def test_a_language_that_is_none_is_a_clear_error(make: Any, talk: tuple[Path, ChunkPlan]) -> None:
    with pytest.raises(UserError, match="`xx` is not a language code"):
        SpeechModel(OPTIONS, threads=1).transcribe(
            np.zeros(32_000, np.float32), [(Span(start=0, stop=32_000),)], "xx", OPTIONS
        )


def test_a_hub_model_that_is_not_here_is_not_asked_for() -> None:
    with pytest.raises(UserError, match=r"it is not on this machine.*models fetch base"):
        SpeechModel(OPTIONS.model_copy(update={"model": "somebody/no-such-model"}), threads=1)


def rounded(found: list[Decoded]) -> list[Decoded]:
    """Without the last digits of what floating-point sums differ in."""
    return [
        replace(
            segment,
            avg_logprob=round(segment.avg_logprob, 4),
            no_speech_prob=round(segment.no_speech_prob, 4),
        )
        for segment in found
    ]


def test_the_size_of_batches_changes_nothing_with_int8(engine: Any, windows: list[tuple[float, Any]]) -> None:
    decoder = WindowDecoder(engine, "cpu")
    found = [decoder.decode(windows, "en", SETTINGS, batch_size=size) for size in (1, 2, 3, 4, 9)]
    assert all(other == found[0] for other in found)
    assert len(found[0]) == len(windows)


def test_it_is_what_faster_whisper_makes_of_the_windows(
    engine: Any, windows: list[tuple[float, Any]], talk: tuple[Path, ChunkPlan]
) -> None:
    import faster_whisper  # noqa: PLC0415

    samples, _ = soundfile.read(talk[0], dtype="float32")
    windows = [(start, piece) for start, piece in windows if len(piece) > SHORT_S * 16_000]
    assert len(windows) > 2
    clips = [{"start": start, "end": start + len(piece) / 16_000} for start, piece in windows]
    theirs, _ = faster_whisper.BatchedInferencePipeline(engine).transcribe(
        samples, language="en", clip_timestamps=clips, batch_size=1, **SETTINGS
    )
    ours = WindowDecoder(engine, "cpu").decode(windows, "en", SETTINGS, batch_size=4)
    for segment, expected in zip(ours, theirs, strict=True):
        assert segment.text == expected.text.strip()
        assert segment.avg_logprob == pytest.approx(expected.avg_logprob, abs=1e-6)
        assert segment.compression_ratio == pytest.approx(expected.compression_ratio)
        same_words = words_of(vars(word) for word in expected.words)
        assert [word.text for word in segment.words] == [word.text for word in same_words]
        for word, same in zip(segment.words, same_words, strict=True):
            assert (word.start, word.end) == pytest.approx((same.start, same.end), abs=0.021)


def test_an_error_reaches_its_job_and_the_next_one_is_decoded(
    engine: Any, windows: list[tuple[float, Any]]
) -> None:
    decoder = WindowDecoder(engine, "cpu")
    with pytest.raises(ValueError, match="beam size"):
        decoder.decode(windows[:2], "en", SETTINGS | {"beam_size": 0}, batch_size=2)
    assert decoder.decode(windows[:1], "en", SETTINGS, batch_size=2)


def test_float32_differs_in_last_digits_only(windows: list[tuple[float, Any]]) -> None:
    exact = SpeechModel(OPTIONS.model_copy(update={"compute_type": "float32"}), threads=1)._loaded.whisper
    decoder = WindowDecoder(exact, "cpu")
    one, four = (decoder.decode(windows, "en", SETTINGS, batch_size=size) for size in (1, 4))
    assert rounded(one) == rounded(four)
