"""Word error rate and word times of the speech model on held-out speech, decoded as the pipeline decodes.

PYTHONPATH=scripts python -m demo_models.speech_evaluation --model tests/data/toy/models/whisper-demo
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

import numpy as np
from numpy.typing import NDArray

from demo_models.bank import UtteranceBank
from demo_models.conversation import Conversation, ConversationMixer, MixSettings, Turn, Word, noise_floor
from demo_models.media import FLAC, M4A, WEBM, through_codec, write_audio
from sessionscribe.artifacts import Core, Plan
from sessionscribe.config import Transcribe, Vad
from sessionscribe.engines.vad import scan
from sessionscribe.evaluation.evaluate import Options, Scores
from sessionscribe.evaluation.evaluate import evaluate as scored
from sessionscribe.evaluation.references import from_truth
from sessionscribe.evaluation.said import Said, SaidWord, Utterance
from sessionscribe.transcribe import transcribe_chunk

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


def transcribe(audio: Audio, options: Transcribe, vad: Vad) -> tuple[Utterance, ...]:
    """What the workflow finds in one recording, taken as one chunk."""
    whole = len(audio)
    core = Core(
        index=0, start=0, stop=whole, context_start=0, context_stop=whole, start_cut="edge", stop_cut="edge"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "audio.flac"
        write_audio(path, audio, FLAC)
        speech = scan(path, vad).speech
        plan = Plan(session="s", track="main", samples=whole, cores=[core], speech=list(speech))
        made = transcribe_chunk(
            audio=path,
            plan=plan,
            index=0,
            language="en",
            options=options,
            threads=1,
            output=Path(folder) / "chunk.json",
        )
    return tuple(
        Utterance(s.text, s.start, s.end, None, tuple(SaidWord(w.text, w.start, w.end) for w in s.words))
        for s in made.segments
    )


def evaluate(
    recordings: Iterable[Conversation], options: Transcribe, vad: Vad
) -> tuple[Scores, list[tuple[str, str]]]:
    """Scores, and (truth, found) text of each recording."""
    both = []
    for recording in recordings:
        said = transcribe(recording.waveform, options, vad)
        truth = replace(from_truth(recording.truth()), turns=None)
        both.append((truth, Said(recording.session, utterances=said, language="en")))
    texts = [(_text(truth), _text(found)) for truth, found in both]
    return scored(both, Options()), texts


def _text(said: Said) -> str:
    return " ".join(part.text for part in said.utterances or ())


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
        for name, recordings in sets.items():
            if not recordings:
                continue
            scores, texts = evaluate(recordings, settings, vad)
            keep = ("wer", "start_median_s", "start_p95_s")
            figures = {name: scores.pooled[name].figures() for name in keep if name in scores.pooled}
            print(json.dumps({"set": name, "decoding": decoding, **figures}), flush=True)
            if options.texts:
                for truth, found in texts:
                    print(f"  truth: {truth}\n  found: {found}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
