"""The utterance bank: synthesised sentences with exact word times, in one raw file with an index.

``<prefix>.raw`` holds int16 little-endian mono samples at 16 kHz, one utterance after the other;
``<prefix>.json`` is a list with one object per utterance: ``text``, ``words`` (``[word, start, end]`` in
seconds from the utterance's start, one per whitespace-separated word), ``phones`` (``[name, start]``; may be
empty), ``speaker``, ``offset`` and ``length`` in samples.
"""

from __future__ import annotations

import json
import logging
import os
import random
from collections import defaultdict
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from . import grammar
from .voices import SAMPLE_RATE, Espeak, Speaker, speakers

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Utterance:
    """One sentence of one speaker."""

    text: str
    words: list[tuple[str, float, float]]
    phones: list[tuple[str, float]]
    speaker: str
    offset: int
    length: int

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.length / SAMPLE_RATE


class UtteranceBank:
    """Read access to a bank; samples are mapped from the file, not loaded."""

    def __init__(self, path_prefix: str | Path) -> None:
        with open(f"{path_prefix}.json", encoding="utf-8") as file:
            rows = json.load(file)
        self.utterances = [
            Utterance(
                text=row["text"],
                words=[(w, float(a), float(b)) for w, a, b in row["words"]],
                phones=[(p, float(a)) for p, a in row.get("phones", [])],
                speaker=row["speaker"],
                offset=row["offset"],
                length=row["length"],
            )
            for row in rows
        ]
        self._samples = np.memmap(f"{path_prefix}.raw", np.dtype("<i2"), "r")
        grouped: defaultdict[str, list[Utterance]] = defaultdict(list)
        for utterance in self.utterances:
            grouped[utterance.speaker].append(utterance)
        self.by_speaker: dict[str, list[Utterance]] = dict(grouped)

    def audio(self, utterance: Utterance) -> np.ndarray:
        """Return the samples of ``utterance``: float32, shape (length,), within -1 to 1."""
        part = self._samples[utterance.offset : utterance.offset + utterance.length]
        return part.astype(np.float32) / 32768


def _synthesize(job: tuple[str, list[Speaker], float, int, str]) -> tuple[list[dict[str, object]], str]:
    """Fill one shard: ``seconds`` of speech from ``speakers`` in turn; returns its rows and raw file."""
    split, members, seconds, seed, raw_path = job
    rng = random.Random(seed)
    engine = Espeak()
    rows: list[dict[str, object]] = []
    position = 0
    with open(raw_path, "wb") as raw:
        while position < seconds * SAMPLE_RATE:
            speaker = members[len(rows) % len(members)]
            made = None
            while made is None:
                text = grammar.sentence(rng, split)
                made = engine.say(text, speaker)
            samples = np.round(made.audio * 32767).astype("<i2")
            raw.write(samples.tobytes())
            rows.append(
                {
                    "text": text,
                    "words": made.words,
                    "phones": made.phones,
                    "speaker": speaker.name,
                    "offset": position,
                    "length": len(samples),
                }
            )
            position += len(samples)
    return rows, raw_path


def synthesize_bank(
    prefix: str | Path, split: str, *, speaker_count: int, hours: float, seed: int, processes: int = 2
) -> None:
    """Write a bank of about ``hours`` of speech, spread evenly over ``speaker_count`` speakers."""
    Path(prefix).parent.mkdir(parents=True, exist_ok=True)
    members = speakers(split, speaker_count)
    jobs = [
        (split, members[k::processes], hours * 3600 / processes, seed * 1000 + k, f"{prefix}.raw.{k}.tmp")
        for k in range(processes)
    ]
    # Not "spawn": the child would import the main module, which in a workflow is the whole job.
    with get_context("fork").Pool(processes) as pool:
        shards = pool.map(_synthesize, jobs)
    rows: list[dict[str, object]] = []
    offset = 0
    with open(f"{prefix}.raw.tmp", "wb") as raw:
        for part, path in shards:
            data = Path(path).read_bytes()
            raw.write(data)
            rows.extend({**row, "offset": offset + int(str(row["offset"]))} for row in part)
            offset += len(data) // 2
            os.unlink(path)
    with open(f"{prefix}.json.tmp", "w", encoding="utf-8") as index:
        json.dump(rows, index)
    os.replace(f"{prefix}.raw.tmp", f"{prefix}.raw")
    os.replace(f"{prefix}.json.tmp", f"{prefix}.json")
    log.info(
        "%s: %d utterances, %.2f h, %d speakers", prefix, len(rows), offset / SAMPLE_RATE / 3600, len(members)
    )
