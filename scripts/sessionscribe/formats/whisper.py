"""The transcript as other programs give it: JSON of Whisper and of WhisperX."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from sessionscribe.artifacts.transcript import SpokenSegment, SpokenWord, Transcript
from sessionscribe.config.settings import Export
from sessionscribe.core.text import one_line

LEAST = 1e-4  # a word's probability is at least this, for the logarithm


def whisper(transcript: Transcript, _: Export) -> str:
    """As ``whisper --word_timestamps True --output_format json``; words have the space before them.

    What a finished transcript does not know is null or empty: tokens, temperature, compression ratio,
    no-speech probability. ``avg_logprob`` is the mean over words, not over tokens.
    """
    segments: list[dict[str, Any]] = []
    for number, segment in enumerate(transcript.segments):
        texts = _with_spaces(segment.words)
        logs = [math.log(max(word.probability, LEAST)) for word in segment.words]
        segments.append(
            {
                "id": number,
                "seek": round(segment.start * 100),
                "start": segment.start,
                "end": segment.end,
                "text": "".join(texts),
                "tokens": [],
                "temperature": None,
                "avg_logprob": round(sum(logs) / len(logs), 4) if logs else None,
                "compression_ratio": None,
                "no_speech_prob": None,
                "words": [
                    {"word": text, "start": word.start, "end": word.end, "probability": word.probability}
                    for text, word in zip(texts, segment.words, strict=True)
                ],
            }
        )
    text = "".join(segment["text"] for segment in segments)
    return _dumped({"text": text, "segments": segments, "language": transcript.language})


def _with_spaces(words: Sequence[SpokenWord]) -> list[str]:
    return [" " * word.space + one_line(word.text) for word in words]


def whisperx(transcript: Transcript, _: Export) -> str:
    """As ``whisperx --diarize --output_format json``: no speaker, no key ``speaker``."""
    segments = [
        {
            "start": segment.start,
            "end": segment.end,
            "text": one_line(segment.text),
            "words": list(_scored(segment)),
            **_speaker(segment.speaker),
        }
        for segment in transcript.segments
    ]
    words = [word for segment in transcript.segments for word in _scored(segment)]
    return _dumped({"segments": segments, "word_segments": words, "language": transcript.language})


def _scored(segment: SpokenSegment) -> Iterator[dict[str, Any]]:
    for word in segment.words:
        text = {"word": one_line(word.text), "start": word.start, "end": word.end, "score": word.probability}
        yield {**text, **_speaker(word.speaker)}


def _speaker(speaker: str | None) -> dict[str, str]:
    return {} if speaker is None else {"speaker": one_line(speaker)}


def _dumped(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n"
