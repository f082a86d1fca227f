"""A second utterance bank with very many voices and few sentences of each.

Words do not matter to segmentation and embedding, voices do: with two hundred of them both models learn
the voices by heart. Here every speaker is drawn at random (accent, variant, pitch, rate, resampling, tilt)
from the variants of the training split, without those that are kept back for tuning.
"""

from __future__ import annotations

import json
import logging
import os
import random
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .bank import UtteranceBank
from .grammar import sentence
from .training import voice_families
from .voices import ACCENTS, SAMPLE_RATE, Espeak, Speaker

log = logging.getLogger(__name__)


def random_speaker(name: str, variants: list[str], rng: random.Random) -> Speaker:
    """A speaker drawn at random, more widely than those of the bank that the speech model is trained on."""
    return Speaker(
        name=name,
        voice=f"{rng.choice(ACCENTS)}+{rng.choice(variants)}",
        rate=rng.randint(130, 195),
        pitch=rng.randint(5, 95),
        pitch_range=rng.randint(25, 85),
        warp=rng.choice((0.85, 0.88, 0.92, 0.96, 1.0, 1.04, 1.08, 1.12, 1.15)),
        tilt=rng.uniform(-0.5, 0.5),
    )


def training_variants(bank: UtteranceBank, every: int = 10) -> list[str]:
    """The synthesiser's variants that are not kept back for tuning (see `training.validation_speakers`)."""
    families = list(voice_families(bank))
    return [family for family in families if family not in families[::every]]


def synthesize_voices(speakers: Iterable[Speaker], prefix: Path, sentences: int, seed: int) -> None:
    """Write `sentences` utterances of each speaker as a bank (`<prefix>.json`, `<prefix>.raw`)."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    engine, rng, rows, position = Espeak(), random.Random(seed), [], 0
    with open(f"{prefix}.raw.tmp", "wb") as raw:
        for speaker in speakers:
            for _ in range(sentences):
                text = sentence(rng, "train")
                made = engine.say(text, speaker)
                if made is None:
                    continue
                samples = np.round(made.audio * 32767).astype("<i2")
                raw.write(samples.tobytes())
                rows.append(
                    {
                        "text": text,
                        "words": made.words,
                        "speaker": speaker.name,
                        "offset": position,
                        "length": len(samples),
                    }
                )
                position += len(samples)
    with open(f"{prefix}.json.tmp", "w", encoding="utf-8") as index:
        json.dump(rows, index)
    os.replace(f"{prefix}.raw.tmp", f"{prefix}.raw")
    os.replace(f"{prefix}.json.tmp", f"{prefix}.json")
    log.info("%d utterances, %.1f h", len(rows), position / SAMPLE_RATE / 3600)


def synthesize_voices_bank(bank: UtteranceBank, prefix: Path, count: int, sentences: int, seed: int) -> None:
    """Make the bank of `count` random voices, without the variants that `bank` keeps back for tuning."""
    rng = random.Random(seed)
    variants = training_variants(bank)
    speakers = [random_speaker(f"voice-{index:04d}", variants, rng) for index in range(count)]
    synthesize_voices(speakers, prefix, sentences, seed)
