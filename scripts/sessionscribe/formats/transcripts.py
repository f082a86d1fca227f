"""Transcripts in JSON: as Whisper, WhisperX, MeetEval (SegLST) and this program have them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from sessionscribe.artifacts.transcript import SpokenSegment, Transcript
from sessionscribe.config.settings import Export
from sessionscribe.core.text import join_words, one_line, spaces_before
from sessionscribe.formats.scoring import NOBODY
from sessionscribe.formats.utterances import (
    PlainTranscript,
    PlainWord,
    SpeakerTurn,
    Text,
    Time,
    Utterance,
    broken,
)

LEAST = 1e-4  # a word's probability is at least this, for the logarithm


def whisper(transcript: Transcript, _: Export) -> str:
    """As ``whisper --word_timestamps True --output_format json``; words have the space before them.

    What a finished transcript does not know is null or empty: tokens, temperature, compression ratio,
    no-speech probability. ``avg_logprob`` is the mean over words, not over tokens.
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


def seglst(transcript: Transcript, _: Export) -> str:
    """Segments with times and speakers, as a list in JSON (the format of MeetEval and CHiME)."""
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
    """Ours of any version, a merged one, Whisper's and WhisperX's; what is not listed is left aside."""

    session: str | None = None
    language: str | None = None
    duration_s: Time | None = None
    segments: list[Utterance]
    turns: tuple[SpeakerTurn, ...] | None = None


class _Truth(BaseModel):
    session: str
    duration_s: Time | None = None
    words: list[PlainWord]
    turns: list[SpeakerTurn]


class _SegLst(BaseModel):
    session_id: str | None = None
    words: Text
    start_time: Time | None = None
    end_time: Time | None = None
    speaker: Text | None = None


def read_json(path: Path, text: str) -> list[PlainTranscript]:
    """Read a transcript of ours, Whisper's or WhisperX's, a truth file, or SegLST."""
    try:
        content = json.loads(text)
        if isinstance(content, list):
            return _from_seglst(path, TypeAdapter(list[_SegLst]).validate_python(content))
        if isinstance(content, dict) and "segments" in content:
            return [_from_transcript(path, _Transcript.model_validate(content))]
        if isinstance(content, dict) and "words" in content and "turns" in content:
            return [from_truth(content)]
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise broken(path, f"is not valid ({place}: {first['msg']})") from error
    except (ValueError, RecursionError) as error:
        raise broken(path, f"is not valid JSON ({str(error).splitlines()[0]})") from error
    raise broken(path, "is neither a transcript, nor a truth file, nor SegLST")


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
    """Return an utterance whose words have its speaker and spaces, or that has the text of its words."""
    text = said.text.strip()
    words = [replace(w, text=w.text.strip(), speaker=w.speaker or said.speaker) for w in said.words]
    if text:
        spaces = spaces_before(text, [word.text for word in words])
        words = [replace(word, space=space) for word, space in zip(words, spaces, strict=True)]
    return replace(said, text=text or join_words(words), words=tuple(words))


def from_truth(content: Any) -> PlainTranscript:
    """Return the content of a truth file, as ``resources/demo/truth`` has them.

    Its words stand turn after turn: where two speak at once, each keeps their words together.

    Raises:
        ValidationError: it is no truth file.
    """
    truth = _Truth.model_validate(content)
    turns = sorted(truth.turns, key=lambda turn: (turn.start, turn.end))

    def turn_of(word: PlainWord) -> int:
        middle = ((word.start or 0.0) + (word.end or 0.0)) / 2
        own = (n for n, turn in enumerate(turns) if turn.speaker == word.speaker)
        return min(own, key=lambda n: max(turns[n].start - middle, middle - turns[n].end, 0.0), default=-1)

    ordered = sorted(((turn_of(word), word.start or 0.0, n) for n, word in enumerate(truth.words)))
    utterances = []
    for _, group in groupby(ordered, key=lambda item: item[0]):
        said = tuple(truth.words[n] for *_, n in group)
        text = " ".join(word.text for word in said)
        utterances.append(Utterance(text, said[0].start, said[-1].end, said[0].speaker, said))
    return PlainTranscript(truth.session, tuple(utterances), tuple(turns), duration_s=truth.duration_s)
