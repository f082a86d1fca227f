"""Count the right and wrong words that hallucination filters remove, and what is still invented.

    python benchmarks/filters.py [--model base]

Recordings with a reference (`recordings.py` finds them) show which of the removed words were right; sounds
without intelligible speech (`make natural` makes noise, silence, music, typing, reversed speech) show what is
still invented. Our pipeline runs on them with default settings; the CPU is that of the transcription.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jiwer
from common import ROOT, make_project, run_pipeline
from recordings import FOLDERS, Recording, recordings
from systems import WORK

from sessionscribe.evaluation.normalise import normaliser
from sessionscribe.manifest.sources import slug
from sessionscribe.stages.ingest.ingest import probe

SOUNDS = ROOT / "build/natural/nonspeech"
UNINTELLIGIBLE = ("reversed",)
SILENT = ("noise", "silence", "music")


def transcribed(files: dict[str, Path], model: str, project: Path) -> tuple[dict[str, Any], dict[str, float]]:
    """Return the merged transcript of each file, and the CPU seconds of each file's jobs."""
    shutil.rmtree(project, ignore_errors=True)  # results of older code have the same names
    project.mkdir(parents=True)
    whisper = {"model": model, "device": "cpu", "compute_type": "int8", "language": "en"}
    make_project(project, files, {"transcribe": whisper, "diarize": {"model": "off"}})
    run_pipeline(project, "--stage", "merge")
    merged = {name: json.loads((project / f"results/merge/{name}.json").read_text()) for name in files}
    usage = {
        name: sum(
            json.loads(path.read_text())["cpu_s"]
            for path in (project / f"logs/usage/{name}").glob("transcribe_chunk.*.json")
        )
        for name in files
    }
    return merged, usage


def judged(truth: Sequence[str], merged: dict[str, Any]) -> tuple[Counter[str], Counter[str]]:
    """Count the right and the wrong words by the reason of their removal, or `kept`."""
    normal = normaliser("en")
    words = [(w["start"], w["text"], "kept") for part in merged["segments"] for w in part["words"]]
    words += [(w["start"], w["text"], part["reason"]) for part in merged["removed"] for w in part["words"]]
    heard = [(token, why) for _, text, why in sorted(words) for token in normal.words(text)]
    right: Counter[str] = Counter()
    every = Counter(why for _, why in heard)
    if truth and heard:
        aligned = jiwer.process_words(" ".join(truth), " ".join(token for token, _ in heard))
        for part in aligned.alignments[0]:
            if part.type == "equal":
                right.update(why for _, why in heard[part.hyp_start_idx : part.hyp_end_idx])
    return right, every - right


def report(name: str, seconds: float, right: Counter[str], wrong: Counter[str], cpu_s: float) -> None:
    """Print a line for what was kept and one for each reason."""
    for why in sorted({"kept", *right, *wrong}, key=lambda why: (why != "kept", why)):
        figures = f"{right[why]:5d} right {wrong[why]:5d} wrong {60 * wrong[why] / seconds:6.1f} a minute"
        cpu = f"  CPU {cpu_s / seconds:.3f}" if why == "kept" else ""
        print(f"{name if why == 'kept' else '':28s} {figures}{cpu}  {why[:60]}")


def main() -> None:
    """Measure and print, sums and bars last."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="base")
    model = parser.parse_args().model
    spoken: list[Recording] = [
        one for folders in FOLDERS.values() for one in recordings(folders) if one.truth.utterances
    ]
    sounds = sorted(SOUNDS.glob("*.flac")) if SOUNDS.is_dir() else []
    if not spoken and not sounds:
        sys.exit("there are no recordings: run `make natural`")
    files = {one.name: one.path for one in spoken} | {slug(f"sound-{path.stem}"): path for path in sounds}
    merged, cpu = transcribed(files, model, WORK / "filters")
    normal = normaliser("en")
    removed_right, hours, normal_cpu = 0, 0.0, 0.0
    for one in spoken:
        truth = [token for said in one.truth.utterances or () for token in normal.words(said.text)]
        right, wrong = judged(truth, merged[one.name])
        report(one.name, one.duration_s, right, wrong, cpu[one.name])
        removed_right += right.total() - right["kept"]
        hours += one.duration_s / 3600
        normal_cpu += cpu[one.name]
    bars: list[tuple[str, float, float]] = []
    if hours:
        bars.append(("right words removed an hour", removed_right / hours, 1.0))
    invented: defaultdict[str, list[tuple[int, float, float]]] = defaultdict(list)
    for path in sounds:
        name, seconds = slug(f"sound-{path.stem}"), probe(path).duration_s
        _, wrong = judged([], merged[name])
        report(path.stem, seconds, Counter(), wrong, cpu[name])
        invented[path.stem.partition("-")[0]].append((wrong["kept"], seconds, cpu[name]))
    for kind, found in invented.items():
        words, seconds, used = (sum(column) for column in zip(*found, strict=True))
        if kind in SILENT:
            bars.append((f"words invented in {seconds / 60:.0f} minutes of {kind}", words, 0.0))
        if kind in UNINTELLIGIBLE:
            bars.append((f"words invented a minute in {kind} speech", 60 * words / seconds, 10.0))
            if hours:
                times = used / seconds / (normal_cpu / hours / 3600)
                bars.append((f"times the normal CPU in {kind} speech", times, 3.0))
    for asked, value, limit in bars:
        print(f"bar: {asked} ≤ {limit:g}: {value:.1f}: {'held' if value <= limit else 'NOT held'}")


if __name__ == "__main__":
    main()
