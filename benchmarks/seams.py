"""What cutting a recording costs: words lost and doubled where chunks meet, and word errors near the cuts.

    python benchmarks/seams.py [--minutes 60] [--chunk 20] [--decoding batched] [--jobs 2] [--short]

Conversations whose words are known are decoded as a whole and cut every `--chunk` seconds: in pauses, and at
given moments wherever these fall (forced), each on two grids that lie half a chunk apart. The second
conversation has hardly a pause, so that there is none to cut in. Prints one JSON object; fails above a bar.
With `--short` two minutes of the demo are cut, every 10 s.

- lost: a word within 2 s of a cut that a neighbouring chunk has heard right, and the merged transcript has
  neither this nor another word at that moment. Words that somebody else talks over are counted apart: of two
  who talk at once an engine writes down one, and either side of the cut may have chosen the other one.
- doubled: a word there that nobody said, beside the same word of the other chunk.
- near, elsewhere: word errors within 2 s of a cut and beyond; what was added counts with the word before it.
- wer: chunked is that of the grids whose cuts may move to pauses, as those of the workflow do.
- moved cuts: words farther than 2 s from any cut that are others on the second grid. The engine's noise is
  the same between two runs over the whole recording, one of which begins a hundredth of a second later.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parent))
import conversations
from conversations import Recording, rounded
from seam_counts import Found, Run, at_seams, by_utterance, changed, share, summary

from sessionscribe.artifacts import SAMPLE_RATE, Plan
from sessionscribe.chunk import place_cuts
from sessionscribe.config import Chunk, Config
from sessionscribe.engines.vad import Scan, scan

SEARCHED = 0.2
"""How far a cut may move to a pause, in chunks."""
PER_1000 = {"silence": 0.0, "forced": 2.0}
"""Most words that may be lost, and that may be doubled, at a thousand seams."""
WER_OVER_WHOLE = 0.002


def run(recording: Recording, plan: Plan, config: Config) -> Run:
    """Decode every chunk and merge them."""
    chunks, merged = conversations.transcribed(recording, plan, config)
    return Run(plan, chunks, merged)


def grids(recording: Recording, found: Scan, chunk_s: float, reach: float) -> list[Plan]:
    """Return the plans of two grids that lie half a chunk apart.

    Args:
        recording: what is cut.
        found: its speech.
        chunk_s: length of a chunk in seconds.
        reach: how far a cut may lie from its place, in chunks; 0: all are forced.
    """
    halves = round(2 * recording.samples / SAMPLE_RATE / chunk_s)
    options = Chunk(target_s=chunk_s / 2, search_s=reach * chunk_s)
    cuts = place_cuts(found, halves, options)
    return [conversations.plan(recording, found.speech, cuts[n::2], options.context_s) for n in (1, 0)]


def later(recording: Recording, folder: Path) -> Recording:
    """Return the recording with a hundredth of a second of nothing before it."""
    audio, _ = soundfile.read(recording.path, dtype="int16")
    path, more = folder / "later.flac", SAMPLE_RATE // 100
    soundfile.write(path, np.concatenate([np.zeros(more, np.int16), audio]), SAMPLE_RATE)
    return replace(recording, path=path, samples=recording.samples + more)


@dataclass
class Decoder:
    """Decodes whole recordings and recordings cut into chunks, several at once."""

    pool: ProcessPoolExecutor
    config: Config

    def submit(self, recording: Recording, plan: Plan) -> Future[Run]:
        """Begin to decode a recording by a plan."""
        return self.pool.submit(run, recording, plan, self.config)

    def whole(self, recording: Recording) -> Future[Run]:
        """Begin to decode a recording without a cut."""
        speech = scan(recording.path, self.config.chunk.vad).speech
        return self.submit(recording, conversations.plan(recording, speech, [], 0))


def measure(
    recording: Recording, chunk_s: float, reaches: Sequence[float], decoder: Decoder
) -> Callable[[], Found]:
    """Begin to decode a recording as a whole and on all grids; the result compares them when it is called."""
    found = scan(recording.path, decoder.config.chunk.vad)
    first = decoder.whole(recording)
    pairs = [
        [decoder.submit(recording, plan) for plan in grids(recording, found, chunk_s, reach)]
        for reach in reaches
    ]

    def compared() -> Found:
        result = Found(whole=by_utterance(recording, [first.result()]))
        for reach, pair in zip(reaches, pairs, strict=True):
            runs = [job.result() for job in pair]
            for done in runs:
                at_seams(recording, done, result.seams)
            rows = by_utterance(recording, runs)
            result.chunked = result.chunked + rows if len(result.chunked) else rows
            if reach:
                result.placed = rows
            counts = {
                kind: (of.count, of.lost, of.lost_talked_over, of.doubled)
                for kind, of in result.seams.items()
            }
            what = "seams, words lost, lost and talked over, doubled"
            print(f"{recording.name}: {what}: {counts}", file=sys.stderr, flush=True)
            result.moved += changed(*runs, sorted(cut for done in runs for cut, _ in done.cuts))
        return result

    return compared


def bars(found: dict[str, Any]) -> dict[str, bool]:
    """Return which bars are held."""
    held = {
        f"{kind}: {what}": seams[f"{what}_per_1000"] <= PER_1000[kind]
        for kind, seams in found["seams"].items()
        for what in ("lost", "doubled")
    }
    return held | {
        "WER over the whole": found["wer"]["difference"] <= WER_OVER_WHOLE,
        "no more errors near cuts": found["word_errors"]["low"] <= 0,
        "moved cuts change no more than noise": found["moved_cuts"]["share"]
        <= found["engine_noise"]["share"],
    }


def main() -> int:
    """Measure, print, and compare with the bars."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="length of each conversation")
    parser.add_argument("--chunk", type=float, default=20.0, help="length of a chunk, in seconds")
    parser.add_argument("--decoding", choices=["batched", "sequential"], help="default: as the demo does")
    parser.add_argument("--jobs", type=int, default=2, help="runs at once")
    parser.add_argument("--short", action="store_true", help="the demo's live session only")
    given = parser.parse_args()
    chunk_s = 10.0 if given.short else given.chunk
    config = conversations.settings(**({"decoding": given.decoding} if given.decoding else {}))
    pieces = {
        "usual": conversations.demo("live") if given.short else conversations.mixed(given.minutes, 11),
        "dense": conversations.mixed(given.minutes, 12, conversations.DENSE),
        "noise": conversations.demo("live")
        if given.short
        else conversations.mixed(min(10.0, given.minutes), 11),
    }
    reaches = {"usual": (SEARCHED, 0.0), "dense": (SEARCHED,)}
    if given.short:
        del pieces["dense"], reaches["dense"]
    with (
        tempfile.TemporaryDirectory(prefix="seams-") as scratch,
        # A process for each run: threads of the model would wait for one another.
        ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool,
    ):
        decoder, folder = Decoder(pool, config), Path(scratch)
        recordings = {name: conversations.joined(folder, name, made) for name, made in pieces.items()}
        noise = recordings.pop("noise")
        parts = [measure(of, chunk_s, reaches[name], decoder) for name, of in recordings.items()]
        first, again = decoder.whole(noise), decoder.whole(later(noise, folder))
        found = summary([compared() for compared in parts])
        found["engine_noise"] = share(changed(first.result(), again.result(), [], 0.01))
    held = bars(found)
    print(
        json.dumps(
            {
                "minutes": {name: round(of.samples / SAMPLE_RATE / 60, 1) for name, of in recordings.items()},
                "chunk_s": chunk_s,
                "decoding": config.transcribe.decoding,
                **rounded(found),
                "held": held,
            }
        )
    )
    return 0 if all(held.values()) or given.short else 1


if __name__ == "__main__":
    sys.exit(main())
