"""Guards the parts of faster-whisper and CTranslate2 that are no published interface and that we lean on.

Written for faster-whisper 1.2.1 and CTranslate2 4.8.5. If one of these fails after an update, read
scripts/sessionscribe/engines/windows.py again before changing the versions here.
"""

from __future__ import annotations

import inspect
import re

import ctranslate2
import faster_whisper
from faster_whisper.transcribe import BatchedInferencePipeline, WhisperModel


def test_the_versions_are_those_that_these_tests_were_written_for() -> None:
    assert (faster_whisper.__version__, ctranslate2.__version__) == ("1.2.1", "4.8.5")


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
