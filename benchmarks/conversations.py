"""Long recordings whose words are known to the sample: what the benchmarks of accuracy listen to.

Conversations are mixed from the utterance bank of held-out voices (rules/demo_models.smk makes it where it is
missing; that needs Debian's libespeak-ng1). The demo recordings, one after the other, need nothing at all.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
from demo_models.bank import UtteranceBank  # noqa: E402
from demo_models.conversation import ConversationMixer, MixSettings  # noqa: E402
from demo_models.media import read_audio  # noqa: E402
from sessionscribe.artifacts import (  # noqa: E402
    SAMPLE_RATE,
    ChunkTranscript,
    CutKind,
    Merged,
    Plan,
    Span,
    Timeline,
    TimelineTrack,
    Word,
)
from sessionscribe.chunk import tile  # noqa: E402
from sessionscribe.config import Config, load  # noqa: E402
from sessionscribe.evaluation.normalise import normaliser  # noqa: E402
from sessionscribe.evaluation.references import from_truth  # noqa: E402
from sessionscribe.evaluation.said import Said, SaidWord, Utterance  # noqa: E402
from sessionscribe.merge import merge_transcript  # noqa: E402
from sessionscribe.transcribe import transcribe_chunk  # noqa: E402

Audio = NDArray[np.float32]
Piece = tuple[Audio, dict[str, Any]]
"""Samples at 16 kHz, and the content of a truth file, in seconds from their start."""
ENGLISH = normaliser("en")
BANK = ROOT / "build/demo_models/bank/heldout"
TOY = ROOT / "tests/data/toy"
PIECE_S = 600.0
"""Length of the conversations that a long recording is made of, each with four other voices."""
DENSE = MixSettings(
    overlap_probability=0.0, gap_mean_s=0.05, pause_s=(0.05, 0.3), utterances_per_turn=(2, 3, 3, 4)
)
"""Hardly a pause of half a second: most cuts are forced."""


@dataclass(frozen=True)
class Recording:
    """16 kHz mono FLAC, and all that is said in it."""

    name: str
    path: Path
    samples: int
    truth: Said

    @property
    def words(self) -> list[SaidWord]:
        """Every word, in order of time."""
        return sorted(self.truth.words, key=lambda word: (word.start or 0.0, word.end or 0.0))


def settings(**transcribe: Any) -> Config:
    """Return the settings of the demo (the bundled model on the CPU), with others for decoding."""
    model = str(TOY / "models/whisper-demo")
    return load(
        [ROOT / "tests/data/toy/config.yaml"],
        {"transcribe": {"model": model, "language": "en", **transcribe}},
    )


def mixed(minutes: float, seed: int, style: MixSettings | None = None) -> Iterator[Piece]:
    """Mix a long conversation from the bank, which is made where it is missing."""
    if not BANK.with_suffix(".json").is_file():
        command = [sys.executable, "-m", "snakemake", "-s", "rules/demo_models.smk", "--cores", "2"]
        made = f"{BANK.relative_to(ROOT)}.json"
        subprocess.run([*command, made], cwd=ROOT, check=True, stdout=sys.stderr)
    mixer = ConversationMixer(UtteranceBank(BANK), style)
    left, parts = minutes * 60, []
    while left > 0:
        parts.append((seed * 1000 + len(parts), min(left, PIECE_S)))
        left -= PIECE_S

    for number, length in parts:
        made = mixer.mix(number, length, 4)
        yield made.waveform, made.truth()


def demo(*sessions: str) -> Iterator[Piece]:
    """Return sessions of the demo, one after the other: `meeting` has 4 minutes, `live` has 2."""
    for session in sessions:
        content = json.loads((TOY / f"truth/{session}.json").read_text(encoding="utf-8"))
        given = TOY / "recordings"
        files = [given / "meeting.mp4"] if session == "meeting" else sorted((given / session).iterdir())
        audio = np.concatenate([read_audio(path) for path in files])
        length = round(content["duration_s"] * SAMPLE_RATE)
        yield np.pad(audio[:length], (0, max(0, length - len(audio)))), content


def joined(folder: Path, name: str, pieces: Iterable[Piece]) -> Recording:
    """Write pieces one after the other."""
    folder.mkdir(parents=True, exist_ok=True)
    path, at, utterances = folder / f"{name}.flac", 0, []
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1, "PCM_16") as file:
        for audio, content in pieces:
            file.write(audio)
            utterances += moved(content, at / SAMPLE_RATE)
            at += len(audio)
    return Recording(name, path, at, truth(name, utterances, at))


def truth(name: str, utterances: Sequence[Utterance], samples: int) -> Said:
    """Return all that is said in a recording."""
    return Said(name, utterances=tuple(utterances), duration_s=samples / SAMPLE_RATE, language="en")


def moved(content: dict[str, Any], by: float) -> list[Utterance]:
    """Return the utterances of a truth file, so many seconds later."""
    found = []
    for part in from_truth(content).utterances or ():
        words = tuple(replace(w, start=(w.start or 0.0) + by, end=(w.end or 0.0) + by) for w in part.words)
        found.append(replace(part, start=words[0].start, end=words[-1].end, words=words))
    return found


def plan(recording: Recording, speech: Sequence[Span], cuts: list[tuple[int, CutKind]]) -> Plan:
    """Return the plan with these cuts."""
    cores = tile(recording.samples, cuts)
    return Plan(
        session=recording.name, track="main", samples=recording.samples, cores=cores, speech=list(speech)
    )


def timeline(recording: Recording) -> Timeline:
    """Return the timeline of a session that is this recording alone."""
    track = TimelineTrack(track="main", offset=0, samples=recording.samples, speaker=None)
    return Timeline(
        session=recording.name, shape="recording", samples=recording.samples, tracks=[track], gaps=[]
    )


def transcribed(recording: Recording, plan: Plan, config: Config) -> tuple[list[ChunkTranscript], Merged]:
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


def said(name: str, segments: Sequence[Sequence[Word]]) -> Said:
    """Return what was heard, in the form in which it is scored."""
    utterances = [
        Utterance(
            " ".join(word.text for word in words),
            words[0].start,
            words[-1].end,
            None,
            tuple(SaidWord(word.text, word.start, word.end) for word in words),
        )
        for words in segments
        if words
    ]
    return Said(name, utterances=tuple(utterances), language="en")


def middle(word: SaidWord) -> float:
    """Return the middle of a word in time."""
    return ((word.start or 0.0) + (word.end or 0.0)) / 2


def paired(truth: Sequence[SaidWord], heard: Sequence[SaidWord], within_s: float) -> dict[int, int]:
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


def same_text(word: SaidWord) -> str:
    """Return a word's text in the form in which words are compared."""
    return _normalised(word.text)


def rounded(value: Any) -> Any:
    """Return figures with five decimals."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return round(float(value), 5) if isinstance(value, float) else value
