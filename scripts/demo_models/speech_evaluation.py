"""Word error rate and word times of the speech model on held-out speech, decoded as the pipeline decodes.

PYTHONPATH=scripts python -m demo_models.speech_evaluation --model resources/demo/models/whisper-demo
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demo_models.bank import UtteranceBank
from demo_models.conversation import Conversation, ConversationMixer, MixSettings, Turn, Word, noise_floor
from demo_models.evaluation import Score, pooled, score_words, tokens_of, words_by_turn
from demo_models.media import FLAC, M4A, WEBM, through_codec, write_audio
from sessionscribe.artifacts import Core
from sessionscribe.config import Transcribe, Vad
from sessionscribe.engines.vad import scan
from sessionscribe.engines.whisper import SpeechModel
from sessionscribe.transcribe import decoding_windows

SAMPLE_RATE = 16_000
Audio = NDArray[np.float32]


def single_sentences(bank: UtteranceBank, count: int, seed: int) -> list[Conversation]:
    """Held-out sentences, each between half a second of faint noise."""
    rng = random.Random(seed)
    result = []
    for number, utterance in enumerate(rng.sample(bank.utterances, count)):
        audio = np.pad(bank.audio(utterance), SAMPLE_RATE // 2)
        words = [Word(t, a + 0.5, b + 0.5, utterance.speaker) for t, a, b in utterance.words]
        turn = Turn(utterance.speaker, 0.5, 0.5 + utterance.duration)
        noisy = audio + noise_floor(len(audio), -60.0, seed + number)
        result.append(Conversation(f"sentence-{number}", noisy, words, [turn]))
    return result


def conversations(bank: UtteranceBank, count: int, seed: int, minutes: float = 4.0) -> list[Conversation]:
    """Held-out conversations of three speakers, after AAC or Opus at a low bit rate by turns."""
    mixer = ConversationMixer(bank, MixSettings())
    result = []
    for number in range(count):
        made = mixer.mix(seed + number, minutes * 60, 3)
        coded = through_codec(made.waveform, M4A if number % 2 else WEBM)
        result.append(replace(made, waveform=coded))
    return result


def transcribe(model: SpeechModel, audio: Audio, options: Transcribe, vad: Vad) -> list[dict[str, Any]]:
    """Words of one recording as the pipeline finds them: VAD, windows, decoding."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "audio.flac"
        write_audio(path, audio, FLAC)
        speech = scan(path, vad).speech
    core = Core(
        index=0,
        start=0,
        stop=len(audio),
        context_start=0,
        context_stop=len(audio),
        start_cut="edge",
        stop_cut="edge",
    )
    windows = decoding_windows(speech, core, longest=round(options.window_s * SAMPLE_RATE), split=True)
    if not windows:
        return []
    segments, _ = model.transcribe(audio, windows, "en", options)
    return [{"text": w.text, "start": w.start, "end": w.end} for s in segments for w in s.words]


def evaluate(
    model: SpeechModel, recordings: Iterable[Conversation], options: Transcribe, vad: Vad
) -> tuple[Score, list[tuple[str, str]]]:
    """Pooled score, and (truth, found) text of each recording."""
    scores, texts = [], []
    for recording in recordings:
        found = tokens_of(transcribe(model, recording.waveform, options, vad))
        truth = tokens_of(words_by_turn(recording.truth()))
        score = Score(recording.session)
        score_words(score, truth, found, {})
        scores.append(score)
        texts.append((" ".join(t.text for t in truth), " ".join(t.text for t in found)))
    return pooled(scores), texts


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True)
    parser.add_argument("--bank", default="build/demo_models/bank/heldout")
    parser.add_argument("--sentences", type=int, default=200)
    parser.add_argument("--conversations", type=int, default=4)
    parser.add_argument("--seed", type=int, default=7000)
    parser.add_argument("--decoding", default="batched,sequential")
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--window", type=float, default=8.0)
    parser.add_argument(
        "--pause", type=float, default=0.15, help="shortest pause that splits speech, seconds"
    )
    parser.add_argument("--pad", type=float, default=0.1, help="kept on either side of speech, seconds")
    parser.add_argument("--texts", action="store_true", help="print truth and result")
    options = parser.parse_args(arguments)
    bank = UtteranceBank(options.bank)
    sets = {
        "sentences": single_sentences(bank, options.sentences, options.seed),
        "conversations": conversations(bank, options.conversations, options.seed),
    }
    vad = Vad(min_silence_s=options.pause, pad_s=options.pad)
    for decoding in options.decoding.split(","):
        settings = Transcribe(
            model=options.model,
            device="cpu",
            compute_type="int8",
            language="en",
            decoding=decoding,
            window_s=options.window,
            beam_size=options.beam,
        )
        model = SpeechModel(settings, threads=1)
        for name, recordings in sets.items():
            if not recordings:
                continue
            score, texts = evaluate(model, recordings, settings, vad)
            figures = {"set": name, "decoding": decoding, **score.figures()}
            keep = (
                "set",
                "decoding",
                "words",
                "wer",
                "substitutions",
                "deletions",
                "insertions",
                "start_error_median_s",
                "start_error_p95_s",
            )
            print(json.dumps({key: figures[key] for key in keep}), flush=True)
            if options.texts:
                for truth, found in texts:
                    print(f"  truth: {truth}\n  found: {found}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
