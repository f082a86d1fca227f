"""Guards the parts of faster-whisper and CTranslate2 that are no published interface and that we lean on.

Written for faster-whisper 1.2.1 and CTranslate2 4.8.5. If one of these fails after an update, read
scripts/sessionscribe/engines/windows.py and sequential.py again before changing the versions here.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

import ctranslate2
import faster_whisper
import pytest
from faster_whisper.audio import decode_audio, pad_or_trim
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import BatchedInferencePipeline, WhisperModel

from project import TOY


def test_the_versions_are_those_that_these_tests_were_written_for() -> None:
    assert (faster_whisper.__version__, ctranslate2.__version__) == ("1.2.1", "4.8.5")


def test_a_logger_is_told_where_windows_begin_and_which_are_left_out() -> None:
    source = inspect.getsource(WhisperModel.generate_segments)
    begin = '"Processing segment at %s", format_timestamp(time_offset)'
    assert begin in source
    assert '"No speech threshold is met (%f > %f)"' in source
    assert source.index(begin) < source.index("self.generate_with_fallback(encoder_output, prompt,")
    assert source.index("self.generate_with_fallback(") < source.index('"No speech threshold is met')
    assert "self.logger.isEnabledFor" in source


def test_what_is_taken_for_invented_vanishes_from_the_list_that_words_were_added_to() -> None:
    source = inspect.getsource(WhisperModel.generate_segments)
    begin = "self.add_word_timestamps(\n                    [current_segments],"
    assert begin in source
    assert source.index(begin) < source.index("current_segments[si:] = []")


def test_words_are_made_by_what_the_model_gives() -> None:
    source = inspect.getsource(WhisperModel.add_word_timestamps)
    assert set(re.findall(r"self\.(\w+)", source)) == {"find_alignment", "frames_per_second"}
    assert list(inspect.signature(WhisperModel.add_word_timestamps).parameters)[1:] == [
        "segments",
        "tokenizer",
        "encoder_output",
        "num_frames",
        "prepend_punctuations",
        "append_punctuations",
        "last_speech_timestamp",
    ]


def test_an_empty_clip_gives_options_and_decodes_nothing() -> None:
    source = inspect.getsource(BatchedInferencePipeline.transcribe)
    assert "if duration_after_vad" in source
    assert list(inspect.signature(BatchedInferencePipeline.generate_segment_batched).parameters)[1:] == [
        "features",
        "tokenizer",
        "options",
    ]


@pytest.fixture(scope="module")
def model() -> Any:
    return WhisperModel(str(TOY / "models/whisper-demo"), device="cpu", compute_type="int8", cpu_threads=1)


def sampled(model: Any, whisper: Any) -> list[int]:
    heard = decode_audio(str(TOY / "recordings/meeting.mp4"))[:160_000]
    encoded = model.encode(pad_or_trim(model.feature_extractor(heard)[..., :-1]))
    tokenizer = Tokenizer(model.hf_tokenizer, True, task="transcribe", language="en")
    found = whisper.generate(
        encoded, [model.get_prompt(tokenizer, [])], beam_size=1, sampling_topk=0, sampling_temperature=1.0
    )
    return list(found[0].sequences_ids[0])


def test_the_generator_of_a_thread_cannot_be_set_back_but_a_new_model_has_a_new_one(model: Any) -> None:
    """Why retries draw with a copy of the model."""

    def new() -> Any:
        return ctranslate2.models.Whisper(
            str(TOY / "models/whisper-demo"), device="cpu", compute_type="int8", intra_threads=1
        )

    ctranslate2.set_random_seed(0)
    one, two = new(), new()
    first, second = sampled(model, one), sampled(model, one)
    assert first != second
    ctranslate2.set_random_seed(0)
    assert sampled(model, one) != first
    assert sampled(model, two) == first
