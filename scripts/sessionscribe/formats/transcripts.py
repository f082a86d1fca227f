"""JSON formats of transcripts: Whisper, WhisperX, SegLST (MeetEval), and our own."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from sessionscribe.artifacts.transcript import SpokenSegment, Transcript
from sessionscribe.config.settings import Export
from sessionscribe.core.text import join_words, one_line, spaces_before
from sessionscribe.formats.scoring import NOBODY
from sessionscribe.formats.utterances import (
    PlainTranscript,
    SpeakerTurn,
    Text,
    Time,
    Utterance,
    invalid,
)

LEAST = 1e-4  # lower bound of probabilities, for the logarithm


def whisper(transcript: Transcript, _: Export) -> str:
    """Return the format of ``whisper --word_timestamps True --output_format json``.

    Values that finished transcripts lack are null or empty: tokens, temperature, compression ratio, no-speech
    probability. ``avg_logprob`` is the mean over words, not over tokens.
    """
    segments: list[dict[str, Any]] = []
    for number, segment in enumerate(transcript.segments):
        texts = [" " * word.space + one_line(word.text) for word in segment.words]
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


def whisperx(transcript: Transcript, _: Export) -> str:
    """Return the format of ``whisperx --diarize --output_format json``."""
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


def seglst(transcript: Transcript, _: Export) -> str:
    """Return SegLST, a JSON list of segments with times and speakers (the format of MeetEval and CHiME)."""
    rows = [
        {
            "session_id": transcript.session,
            "start_time": segment.start,
            "end_time": segment.end,
            "speaker": NOBODY if segment.speaker is None else one_line(segment.speaker),
            "words": one_line(segment.text),
        }
        for segment in transcript.segments
        if one_line(segment.text)
    ]
    return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"


class _Transcript(BaseModel):
    """A transcript of ours (of any version, or merged), Whisper's or WhisperX's; other fields are ignored."""

    session: str | None = None
    language: str | None = None
    duration_s: Time | None = None
    segments: list[Utterance]
    turns: tuple[SpeakerTurn, ...] | None = None


class _SegLst(BaseModel):
    session_id: str | None = None
    words: Text
    start_time: Time | None = None
    end_time: Time | None = None
    speaker: Text | None = None


def read_json(path: Path, text: str) -> list[PlainTranscript]:
    """Read a transcript of ours, Whisper's or WhisperX's, or SegLST."""
    try:
        content = json.loads(text)
        if isinstance(content, list):
            return _from_seglst(path, TypeAdapter(list[_SegLst]).validate_python(content))
        if isinstance(content, dict) and "segments" in content:
            return [_from_transcript(path, _Transcript.model_validate(content))]
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise invalid(path, f"is not valid ({place}: {first['msg']})") from error
    except (ValueError, RecursionError) as error:
        raise invalid(path, f"is not valid JSON ({str(error).splitlines()[0]})") from error
    raise invalid(path, "is neither a transcript nor SegLST")


def _from_seglst(path: Path, parts: Sequence[_SegLst]) -> list[PlainTranscript]:
    found: dict[str, list[Utterance]] = {} if parts else {path.stem: []}
    for part in parts:
        said = Utterance(part.words, part.start_time, part.end_time, part.speaker)
        found.setdefault(part.session_id or path.stem, []).append(said)
    return [
        PlainTranscript(session, utterances=tuple(sorted(said, key=lambda u: u.start or 0.0)))
        for session, said in found.items()
    ]


def _from_transcript(path: Path, found: _Transcript) -> PlainTranscript:
    utterances = tuple(map(_completed, found.segments))
    turns = found.turns if found.turns or not utterances else None
    session = found.session or path.stem
    return PlainTranscript(session, utterances, turns, found.language, found.duration_s)


def _completed(said: Utterance) -> Utterance:
    """Give the words of an utterance its speaker and its spaces; without text, it gets that of its words."""
    text = said.text.strip()
    words = [replace(w, text=w.text.strip(), speaker=w.speaker or said.speaker) for w in said.words]
    if text:
        spaces = spaces_before(text, [word.text for word in words])
        words = [replace(word, space=space) for word, space in zip(words, spaces, strict=True)]
    return replace(said, text=text or join_words(words), words=tuple(words))
