"""Long recordings whose words are known to the sample: what the benchmarks of accuracy listen to.

They are conversations with natural voices (`make natural`), one after the other, and Whisper base; in short
forms a recording and a model of the tests, for which nothing has to be made or fetched.
"""

from __future__ import annotations

import sys
import tempfile
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent))
from common import SPEECH_MODEL, TOY
from natural_voices.media import read_audio
from recordings import CONVERSATIONS, FOLDERS, recordings

from sessionscribe.artifacts.chunk_transcript import ChunkTranscript, Word
from sessionscribe.artifacts.merged import Merged
from sessionscribe.artifacts.plan import ChunkPlan, Timeline, TimelineTrack
from sessionscribe.config.settings import Config, load
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.engines.fetch import ensure_speech
from sessionscribe.evaluation.normalise import normaliser
from sessionscribe.formats.references import read_file
from sessionscribe.formats.utterances import PlainTranscript, PlainWord, Utterance
from sessionscribe.stages.merge.merge import merge_transcript
from sessionscribe.stages.transcribe.transcribe import transcribe_chunk

Audio = NDArray[np.float32]
Piece = tuple[Audio, Sequence[Utterance]]
"""Samples at 16 kHz, and what is said in them, in seconds from their start."""
ENGLISH = normaliser("en")


@dataclass(frozen=True)
class Recording:
    """16 kHz mono FLAC, and all that is said in it."""

    name: str
    path: Path
    samples: int
    truth: PlainTranscript

    @property
    def words(self) -> list[PlainWord]:
        """Every word, in order of time."""
        return sorted(self.truth.words, key=lambda word: (word.start or 0.0, word.end or 0.0))


def settings(short: bool) -> Config:
    """Return default settings with the real Whisper base, or (``short``) those of the tests, on the CPU."""
    if short:
        files, model = [TOY / "config.yaml"], SPEECH_MODEL
    else:
        files, model = [], ensure_speech("Systran/faster-whisper-base", say=partial(print, file=sys.stderr))
    own = {"model": str(model), "device": "cpu", "compute_type": "int8", "language": "en"}
    return load(files, {"transcribe": own})


def natural(minutes: float) -> Iterator[Piece]:
    """Return conversations with natural voices that nothing was tuned on, so many minutes at least or all."""
    found = list(recordings(FOLDERS[CONVERSATIONS]))
    if not found:
        sys.exit("there are no conversations: run `make natural`")
    for one in found:
        if minutes > 0:
            yield soundfile.read(one.path, dtype="float32")[0], one.truth.utterances or ()
        minutes -= one.duration_s / 60


def short_session() -> Piece:
    """Return the live session of the tests, which has two minutes."""
    (said,) = read_file(TOY / "truth/live.json")
    audio = np.concatenate([read_audio(path) for path in sorted((TOY / "recordings/live").iterdir())])
    length = round((said.duration_s or 0.0) * SAMPLE_RATE)
    audio = np.pad(audio[:length], (0, max(0, length - len(audio))))
    return audio, said.utterances or ()


def truth(name: str, utterances: Sequence[Utterance], samples: int) -> PlainTranscript:
    """Return all that is said in a recording."""
    return PlainTranscript(
        name, utterances=tuple(utterances), duration_s=samples / SAMPLE_RATE, language="en"
    )


def moved(said: Iterable[Utterance], by: float) -> list[Utterance]:
    """Return utterances so many seconds later."""
    found = []
    for part in said:
        words = tuple(replace(w, start=(w.start or 0.0) + by, end=(w.end or 0.0) + by) for w in part.words)
        found.append(replace(part, start=words[0].start, end=words[-1].end, words=words))
    return found


def timeline(recording: Recording) -> Timeline:
    """Return the timeline of a session that is this recording alone."""
    track = TimelineTrack(track="main", offset=0, samples=recording.samples, speaker=None)
    return Timeline(
        session=recording.name, layout="recording", samples=recording.samples, tracks=[track], gaps=[]
    )


def transcribed(
    recording: Recording, plan: ChunkPlan, config: Config
) -> tuple[list[ChunkTranscript], Merged]:
    """Decode every chunk of a plan and merge them, as the workflow does."""
    with tempfile.TemporaryDirectory(prefix="chunks-") as scratch:
        chunks = [
            transcribe_chunk(
                audio=recording.path,
                plan=plan,
                index=core.index,
                language="en",
                options=config.transcribe,
                threads=1,
                output=Path(scratch) / "chunk.json",
            )
            for core in plan.cores
        ]
        merged = merge_transcript(
            timeline=timeline(recording),
            plans=[plan],
            chunks=chunks,
            options=config.merge,
            output=Path(scratch) / "merged.json",
        )
    return chunks, merged


def said(name: str, segments: Sequence[Sequence[Word]]) -> PlainTranscript:
    """Return what was heard, in the form in which it is scored."""
    utterances = [
        Utterance(
            " ".join(word.text for word in words),
            words[0].start,
            words[-1].end,
            None,
            tuple(PlainWord(word.text, word.start, word.end) for word in words),
        )
        for words in segments
        if words
    ]
    return PlainTranscript(name, utterances=tuple(utterances), language="en")


def middle(word: PlainWord) -> float:
    """Return the middle of a word in time."""
    return ((word.start or 0.0) + (word.end or 0.0)) / 2


def paired(truth: Sequence[PlainWord], heard: Sequence[PlainWord], within_s: float) -> dict[int, int]:
    """Return which word of the truth was heard as which: the same text at about the same time, nearest first.

    Args:
        truth: words in any order.
        heard: words in any order.
        within_s: how far apart in time two words may lie and be the same.
    """
    places: dict[str, list[tuple[float, int]]] = {}
    for j, word in enumerate(heard):
        places.setdefault(same_text(word), []).append((middle(word), j))
    for found in places.values():
        found.sort()
    near = []
    for i, word in enumerate(truth):
        time, beside = middle(word), places.get(same_text(word), [])
        for other, j in beside[bisect(beside, (time - within_s, -1)) :]:
            if other > time + within_s:
                break
            near.append((abs(other - time), i, j))
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, j in sorted(near):
        if i not in pairs and j not in taken:
            pairs[i] = j
            taken.add(j)
    return pairs


@cache
def _normalised(text: str) -> str:
    return " ".join(ENGLISH.words(text))


def same_text(word: PlainWord) -> str:
    """Return a word's text in the form in which words are compared."""
    return _normalised(word.text)


def rounded(value: Any) -> Any:
    """Return figures with five decimals."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return round(float(value), 5) if isinstance(value, float) else value
