"""The ways of decoding against one another: word errors, word times and completeness on the same audio.

    python benchmarks/decoding.py [--conversations 9] [--minutes 4] [--window 8] [--jobs 2] [--short]

Every recording is decoded as one chunk, by the same windows of speech, with the settings of the demo:

- batched, sequential: ours.
- engine, word times: faster-whisper's own sequential decoding of the same windows; after each decoding it
  goes on where the last word ended.
- engine, no word times: the same without word times; it goes on where the model's timestamps say.

Prints one JSON object; fails if the way that the demo uses is not the best one: if another one makes fewer
word errors for certain (the 95 % interval of the difference, over conversations). With `--short` two minutes
of the demo are decoded.

- complete: words of the truth for which some word was heard, right or wrong.
- passes: how often the model listened, for each window.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
import conversations
from conversations import Recording, rounded

from sessionscribe.artifacts import SAMPLE_RATE, Word
from sessionscribe.audio import read_samples
from sessionscribe.config import Config
from sessionscribe.engines.vad import scan
from sessionscribe.evaluation.evaluate import Options, SessionScore, score_session, scores_of
from sessionscribe.evaluation.intervals import Bootstrap
from sessionscribe.windowing import Window, decoding_windows

WAYS = ("batched", "sequential", "engine, word times", "engine, no word times")
OURS = ("batched", "sequential")


@dataclass(frozen=True)
class Done:
    """A recording decoded one way."""

    score: SessionScore
    windows: int
    passes: int
    cpu_s: float


def decode(recording: Recording, way: str, config: Config) -> Done:
    """Decode a recording as one chunk and score it."""
    import faster_whisper  # noqa: PLC0415 -- heavy

    speech = scan(recording.path, config.chunk.vad).speech
    windows = decoding_windows(
        speech, longest=round(config.transcribe.window_s * SAMPLE_RATE), batched=way == "batched"
    )
    with counted(faster_whisper.WhisperModel) as passes:
        began = time.process_time()
        if way in OURS:
            options = config.transcribe.model_copy(update={"decoding": way})
            plan = conversations.plan(recording, speech, [], 0)
            chosen = config.model_copy(update={"transcribe": options})
            _, merged = conversations.transcribed(recording, plan, chosen)
            heard = [list(segment.words) for segment in merged.segments]
        else:
            heard = bare(recording, windows, config, words=way == "engine, word times")
        cpu_s = time.process_time() - began
    found = conversations.said(recording.name, heard)
    return Done(score_session(recording.truth, found, Options()), len(windows), passes[0], cpu_s)


@contextmanager
def counted(model: Any) -> Iterator[list[int]]:
    """Count what the encoder listens to; a batch counts for each of its windows."""
    encode, passes = model.encode, [0]

    def counting(self: Any, features: Any) -> Any:
        passes[0] += len(features) if features.ndim == 3 else 1
        return encode(self, features)

    model.encode = counting
    try:
        yield passes
    finally:
        model.encode = encode


def bare(recording: Recording, windows: Sequence[Window], config: Config, *, words: bool) -> list[list[Word]]:
    """Decode with faster-whisper alone; without word times the words of a segment share its time evenly."""
    import faster_whisper  # noqa: PLC0415 -- heavy

    chosen = config.transcribe
    model = faster_whisper.WhisperModel(chosen.model, device="cpu", compute_type="int8", cpu_threads=1)
    segments, _ = model.transcribe(
        read_samples(recording.path, 0, recording.samples),
        language="en",
        clip_timestamps=[edge / SAMPLE_RATE for w in windows for edge in (w[0].start, w[-1].stop)],
        beam_size=chosen.beam_size,
        temperature=list(chosen.temperatures),
        condition_on_previous_text=False,
        word_timestamps=words,
        hallucination_silence_threshold=chosen.hallucination_silence_s if words else None,
    )
    found = []
    for segment in segments:
        if words:
            parts = [(w.word.strip(), float(w.start), float(w.end)) for w in segment.words]
        else:
            texts = segment.text.split()
            edges = np.linspace(segment.start, segment.end, len(texts) + 1)
            parts = [(t, float(a), float(b)) for t, a, b in zip(texts, edges, edges[1:], strict=False)]
        found.append([Word(text=t, start=a, end=max(a, b), probability=1.0) for t, a, b in parts])
    return found


def figures(done: Sequence[Done]) -> dict[str, Any]:
    """Return what one way of decoding is worth."""
    pooled = scores_of([one.score for one in done], Bootstrap()).pooled
    wer = pooled["wer"]
    names = ("start_median_s", "start_p95_s")
    return {
        "wer": wer.value,
        "interval": wer.interval,
        **{kind: int(wer.counts[kind]) for kind in ("substitutions", "deletions", "insertions")},
        "complete": 1 - wer.counts["deletions"] / wer.counts["total"],
        **{name: pooled[name].value for name in names},
        "passes": sum(one.passes for one in done) / sum(one.windows for one in done),
        "cpu_s": sum(one.cpu_s for one in done),
    }


def difference(one: Sequence[Done], other: Sequence[Done]) -> dict[str, Any]:
    """Return how much higher the WER of one way is, with its 95 % interval; conversations are drawn."""
    rows = np.array([[d.score.words.errors.sum(), d.score.words.totals.sum()] for d in (*one, *other)])
    first, second = rows[: len(one)], rows[len(one) :]

    def statistic(drawn: Any) -> float:
        (errors, total), (others, other_total) = drawn @ first, drawn @ second
        return float(errors / total - others / other_total)

    return {
        "wer": statistic(np.ones(len(one))),
        "interval": Bootstrap().interval(len(one), statistic),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--conversations", type=int, default=9)
    parser.add_argument("--minutes", type=float, default=4.0, help="length of each")
    parser.add_argument("--window", type=float, help="longest window, in seconds (default: the demo's)")
    parser.add_argument("--ways", default=";".join(WAYS), help="which, with `;` between them")
    parser.add_argument("--jobs", type=int, default=2, help="recordings at once")
    parser.add_argument("--short", action="store_true", help="the demo's live session only")
    given = parser.parse_args()
    config = conversations.settings(**({"window_s": given.window} if given.window else {}))
    ways = given.ways.split(";")
    with (
        tempfile.TemporaryDirectory(prefix="decoding-") as scratch,
        ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool,
    ):
        folder = Path(scratch)
        made = {"live": conversations.demo("live")}
        if not given.short:
            numbers = range(given.conversations)
            made = {f"conversation-{n}": conversations.mixed(given.minutes, 40 + n) for n in numbers}
        recordings = [conversations.joined(folder, name, pieces) for name, pieces in made.items()]
        jobs = {way: [pool.submit(decode, of, way, config) for of in recordings] for way in ways}
        done = {way: [job.result() for job in waiting] for way, waiting in jobs.items()}
    chosen = config.transcribe.decoding
    over = {way: difference(done[chosen], done[way]) for way in ways if way != chosen}
    worse = [way for way, found in over.items() if found["interval"] and found["interval"][0] > 0]
    result = {
        "recordings": len(recordings),
        "words": int(sum(d.score.words.totals.sum() for d in done[chosen])),
        "window_s": config.transcribe.window_s,
        "ways": {way: figures(found) for way, found in done.items()},
        "chosen": chosen,
        "chosen_less": over,
        "held": not worse,
    }
    print(json.dumps(rounded(result)))
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
