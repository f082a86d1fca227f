"""How far the times of words are off, and that they do not drift over hours.

    python benchmarks/word_times.py [--minutes 60] [--hours 4] [--short]

Two recordings at 44.1 kHz whose words are known go through conversion, cutting, transcription and merging as
in the workflow: conversations one after the other, and the same spread over hours with faint noise between
them. Prints one JSON object; fails above a bar. With `--short` there is only a quarter of an hour, with two
minutes of speech at its start and at its end.

- start, end: how far off a word is that was found, in seconds, by jiwer's alignment of all words.
- late: the median of how late a word begins (early: below 0), in the first and the last quarter of the
  recording; drift is their difference.
- backwards, outside: words that begin before the one before them or end before they begin; words that lie
  outside the recording.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
import conversations
from conversations import Piece, Recording, paired, rounded
from natural_voices.media import audio_frames
from natural_voices.signals import noise_floor

from sessionscribe.artifacts.merged import Merged
from sessionscribe.artifacts.plan import chunk_count
from sessionscribe.artifacts.recording import Ingest
from sessionscribe.config.settings import Config
from sessionscribe.core import files
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.evaluation.evaluate import Options, evaluate
from sessionscribe.formats.utterances import PlainWord
from sessionscribe.stages.chunk.chunk import plan_chunks
from sessionscribe.stages.convert.convert import convert_audio
from sessionscribe.stages.ingest import ingest

RATE = 44_100
NOISE_DB = -75.0
BARS = {"start_median_s": 0.08, "start_p95_s": 0.3, "drift_s": 0.02, "backwards": 0, "outside": 0}


def sparse(pieces: Sequence[Piece], hours: float) -> Iterator[Piece]:
    """Spread pieces over hours: the first begins it, the last ends it, and between them is faint noise."""
    said = sum(len(audio) for audio, _ in pieces)
    pause = (round(hours * 3600 * SAMPLE_RATE) - said) // (len(pieces) - 1)
    for number, piece in enumerate(pieces):
        if number:
            yield noise_floor(pause, NOISE_DB, number), ()
        yield piece


def recorded(folder: Path, name: str, pieces: Iterable[Piece]) -> Recording:
    """Write pieces as a recording at 44.1 kHz and convert it as the workflow does."""
    source = folder / f"{name}-source.flac"
    at, utterances = 0, []
    with av.open(str(source), "w") as container:
        stream = container.add_stream("flac", RATE, layout="mono")
        for audio, said in pieces:
            for frame in audio_frames(audio, 1 << 16):
                frame.pts += at
                container.mux(stream.encode(frame))
            utterances += conversations.moved(said, at / SAMPLE_RATE)
            at += len(audio)
        container.mux(stream.encode(None))
    path = folder / f"{name}.flac"
    found = ingest.probe(source)
    known = Ingest(
        session=name,
        track="main",
        source=str(source),
        path=str(source),
        size=source.stat().st_size,
        checksum=files.sha256(source),
        container=found.container,
        duration_s=found.duration_s,
        streams=found.streams,
    )
    made = convert_audio(ingest=known, options=Config().convert, audio=path, record=folder / "convert.json")
    source.unlink()
    return Recording(name, path, made.samples, conversations.truth(name, utterances, at))


def transcribed(recording: Recording, config: Config, folder: Path) -> Merged:
    """Cut, transcribe and merge a recording."""
    plan = plan_chunks(
        audio=recording.path,
        session=recording.name,
        track="main",
        chunks=chunk_count(recording.samples / SAMPLE_RATE, config.chunk.target_s),
        options=config.chunk,
        output=folder / "plan.json",
    )
    return conversations.transcribed(recording, plan, config)[1]


def figures(recording: Recording, merged: Merged) -> dict[str, Any]:
    """Return how good the times are."""
    words = [word for segment in merged.segments for word in segment.words]
    found = conversations.said(recording.name, [segment.words for segment in merged.segments])
    scored = evaluate([(recording.truth, found)], Options()).pooled
    times = {
        name: {"value": scored[name].value, "interval": scored[name].interval}
        for name in ("start_median_s", "start_p95_s", "end_median_s", "end_p95_s")
    }
    said, heard = recording.words, [PlainWord(w.text, w.start, w.end) for w in words]
    late = [
        ((heard[j].start or 0.0) - (said[i].start or 0.0), said[i].start or 0.0)
        for i, j in paired(said, heard, 2.0).items()
    ]
    whole = recording.samples / SAMPLE_RATE
    ends = [
        float(np.median([error for error, time in late if low <= time / whole < high]))
        for low, high in ((0, 0.25), (0.75, 1))
    ]
    return {
        "minutes": whole / 60,
        "chunks": merged.chunks,
        "words": len(said),
        "found": len(late),
        **times,
        "late_s": {"first quarter": ends[0], "last quarter": ends[1]},
        "drift_s": ends[1] - ends[0],
        "backwards": sum(b.start < a.start for a, b in pairwise(words)) + sum(w.end < w.start for w in words),
        "outside": sum(not 0 <= w.start <= w.end <= round(whole, 3) for w in words),
    }


def held(found: dict[str, Any]) -> dict[str, bool]:
    """Return which bars a recording holds."""
    values = {name: found[name] for name in BARS}
    plain = {n: v["value"] if isinstance(v, dict) else abs(v) for n, v in values.items()}
    return {name: plain[name] <= bar for name, bar in BARS.items()}


def main() -> int:
    """Measure, print, and compare with the bars."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="length of the speech, at most")
    parser.add_argument("--hours", type=float, default=4.0, help="length of the long recording")
    parser.add_argument("--short", action="store_true", help="a quarter of an hour")
    given = parser.parse_args()
    config = conversations.settings(given.short)
    if given.short:
        pieces = {"sparse": sparse([conversations.short_session()] * 2, 0.25)}
    else:
        spoken = list(conversations.natural(given.minutes))
        pieces = {"conversation": iter(spoken), "sparse": sparse(spoken, given.hours)}
    results = {}
    with tempfile.TemporaryDirectory(prefix="times-") as scratch, redirect_stdout(sys.stderr):
        for name, made in pieces.items():
            recording = recorded(Path(scratch), name, made)
            results[name] = figures(recording, transcribed(recording, config, Path(scratch)))
    bars = {name: held(found) for name, found in results.items()}
    print(json.dumps({**rounded(results), "held": bars}))
    return 0 if all(all(found.values()) for found in bars.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
