"""The whole pipeline against whisperX: same recording, same speech and diarization models.

    python benchmarks/peers.py [--minutes 20] [--model FOLDER] [--environment build/peers/venv] [--short]

whisperX needs an environment of its own (about 7 GB), because its pins are others than ours:

    uv venv build/peers/venv && uv pip install --python build/peers/venv/bin/python whisperx==3.8.6

Without a network it is given what it would download: its alignment model is wav2vec2 of the size of its
default one with random weights (its words then have times without meaning, at the same speed), its sentences
are split by NLTK without training, its audio is decoded by PyAV, not by the ffmpeg program, and its VAD is
the pyannote one that comes with it. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from common import (
    DIARIZATION_MODEL,
    ROOT,
    SPEECH_MODEL,
    make_project,
    make_recording,
    ratios,
    run_pipeline,
    timed,
)
from pipeline import THREADS, settings

LETTERS = ("-", "|", *"ETAOINHSRDLUMWCFGYPBVK'XJQZ")
"""What whisperX's alignment model for English tells apart, in its order."""


def whisperx(recording: Path, chosen: dict[str, Any]) -> dict[str, Any]:
    """Transcribe, align and diarize with whisperX; return its words and the time of each part."""
    import torch  # noqa: PLC0415 -- in an environment of its own
    import torchaudio  # noqa: PLC0415
    import whisperx as rival  # noqa: PLC0415
    from faster_whisper.audio import decode_audio  # noqa: PLC0415
    from nltk.tokenize.punkt import PunktSentenceTokenizer  # noqa: PLC0415
    from whisperx import alignment  # noqa: PLC0415
    from whisperx.diarize import DiarizationPipeline  # noqa: PLC0415

    torch.set_num_threads(THREADS)
    given, clock, parts = chosen["transcribe"], [time.perf_counter(), time.process_time()], {}

    def part(name: str) -> None:
        now = [time.perf_counter(), time.process_time()]
        parts[name] = {"wall_s": round(now[0] - clock[0], 2), "cpu_s": round(now[1] - clock[1], 2)}
        clock[:] = now

    audio = decode_audio(str(recording))
    part("decode the file")
    model = rival.load_model(
        given["model"],
        "cpu",
        compute_type=given["compute_type"],
        language=given["language"],
        asr_options={"temperatures": given["temperatures"]},
        vad_options={"chunk_size": int(given["window_s"])},
        threads=THREADS,
    )
    found = model.transcribe(audio, batch_size=8, chunk_size=int(given["window_s"]))
    part("transcribe")
    words = sum(len(segment["text"].split()) for segment in found["segments"])
    torch.manual_seed(0)
    alignment.nltk_load = lambda _: PunktSentenceTokenizer()
    aligner = torchaudio.models.wav2vec2_base(aux_num_out=len(LETTERS)).eval()
    about = {
        "language": given["language"],
        "dictionary": {letter.lower(): number for number, letter in enumerate(LETTERS)},
        "type": "torchaudio",
    }
    aligned = rival.align(found["segments"], aligner, about, audio, "cpu")
    part("align")
    turns = DiarizationPipeline(model_name=chosen["diarize"]["model"], device="cpu")(audio)
    rival.assign_word_speakers(turns, aligned)
    part("diarize")
    return {"words": words, "turns": len(turns), "parts": parts}


def main() -> None:
    """Measure, or be whisperX."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="length of the recording")
    parser.add_argument("--model", type=Path, default=SPEECH_MODEL, help="a speech model's folder")
    parser.add_argument("--window", type=float, help="longest window, in seconds")
    parser.add_argument("--environment", type=Path, default=ROOT / "build/peers/venv")
    parser.add_argument("--short", action="store_true", help="one minute: to see that it works")
    parser.add_argument("--stage", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--settings", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        print(json.dumps(whisperx(given.stage, given.settings)))
        return
    minutes = 1.0 if given.short else given.minutes
    window = given.window or (8.0 if given.model == SPEECH_MODEL else 30.0)
    chosen = settings(given.model.resolve(), "batched", window, DIARIZATION_MODEL)
    with tempfile.TemporaryDirectory(prefix="peers-") as scratch:
        folder = Path(scratch)
        project = folder / "project"
        project.mkdir()
        make_recording(folder / "talk.m4a", minutes)
        make_project(project, folder / "talk.m4a", chosen)
        python = str(given.environment / "bin/python")
        command = [python, __file__, "--stage", str(folder / "talk.m4a"), "--settings", json.dumps(chosen)]
        # The bundled diarization model's network is ours.
        theirs, printed = timed(command, folder, PYTHONPATH=str(ROOT / "scripts"))
        ours = run_pipeline(project)
        transcript = json.loads((project / "results/export/talk/talk.json").read_text(encoding="utf-8"))
    rival = json.loads(printed.splitlines()[-1])
    ratio = ratios(ours, theirs)
    aligning = rival["parts"]["align"]
    unaligned = {name: theirs[name] - aligning[name] for name in theirs}
    result = {
        "minutes": minutes,
        "model": given.model.name,
        "window_s": window,
        "ours": ours | {"words": sum(len(s["words"]) for s in transcript["segments"])},
        "whisperx": theirs | rival,
        **ratio,
        "without_its_alignment": ratios(ours, unaligned),
        "held": ratio["wall_ratio"] < 1,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
