"""The whole pipeline against the bare engines: same recording, same models, same settings.

    python benchmarks/pipeline.py [--minutes 60] [--model FOLDER] [--bar 1.10] [--short]

Ours is `sessionscribe run` on one fresh session, from the recording to the exports. The bare engines are
faster-whisper (batched) in one process on the whole file with its VAD, and then pyannote in one process, each
with decoding of the file and loading of its model. Prints one JSON object; CPU and wall times are those of
all processes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from common import (
    DIARIZATION_MODEL,
    SPEECH_MODEL,
    make_project,
    make_recording,
    ratios,
    run_pipeline,
    timed,
    usage,
)

THREADS = 2
VAD = {"threshold": 0.5, "min_speech_s": 0.1, "min_silence_s": 0.15, "pad_s": 0.1}


def settings(model: Path, window_s: float, diarization: Path) -> dict[str, Any]:
    """Return the settings of both sides, in the form of ours."""
    return {
        "chunk": {"vad": VAD},
        "transcribe": {
            "model": str(model),
            "device": "cpu",
            "compute_type": "int8",
            "language": "en",
            "window_s": window_s,
            "fallback_gap_s": 0,  # the bare engine looks at nothing twice
        },
        "diarize": {"model": str(diarization), "device": "cpu"},
    }


def bare_speech(recording: Path, chosen: dict[str, Any]) -> int:
    """Transcribe with faster-whisper alone; return the number of words."""
    import faster_whisper  # noqa: PLC0415 -- in a process of its own

    given = chosen["transcribe"]
    model = faster_whisper.WhisperModel(
        given["model"], device="cpu", compute_type=given["compute_type"], cpu_threads=THREADS
    )
    vad = {
        "threshold": VAD["threshold"],
        "min_speech_duration_ms": int(1000 * VAD["min_speech_s"]),
        "min_silence_duration_ms": int(1000 * VAD["min_silence_s"]),
        "speech_pad_ms": int(1000 * VAD["pad_s"]),
    }
    common: dict[str, Any] = {
        "language": given["language"],
        "beam_size": 5,
        "temperature": 0.0,
        "condition_on_previous_text": False,
        "word_timestamps": True,
        "vad_filter": True,
        "vad_parameters": vad,
    }
    pipeline = faster_whisper.BatchedInferencePipeline(model)
    segments, _ = pipeline.transcribe(
        str(recording), batch_size=8, chunk_length=int(given["window_s"]), **common
    )
    return sum(len(segment.words) for segment in segments)


def bare_diarization(recording: Path, chosen: dict[str, Any]) -> int:
    """Diarize with pyannote alone; return the number of turns."""
    import torch  # noqa: PLC0415 -- in a process of its own
    from faster_whisper.audio import decode_audio  # noqa: PLC0415
    from pyannote.audio import Pipeline  # noqa: PLC0415

    torch.set_num_threads(THREADS)
    pipeline = Pipeline.from_pretrained(chosen["diarize"]["model"])
    waveform = torch.from_numpy(decode_audio(str(recording)))[None]
    found = pipeline({"waveform": waveform, "sample_rate": 16_000})
    return len(list(found.speaker_diarization.itertracks()))


STAGES = {"speech": bare_speech, "diarization": bare_diarization}


def main() -> None:
    """Measure, or be one of the bare engines."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="length of the recording")
    parser.add_argument("--model", type=Path, default=SPEECH_MODEL, help="a speech model's folder")
    parser.add_argument(
        "--window", type=float, help="longest window, in seconds (default: 8 with the toy model, else 30)"
    )
    parser.add_argument("--bar", type=float, default=1.10, help="the ratio that is held or not")
    parser.add_argument("--short", action="store_true", help="one minute: to see that it works")
    parser.add_argument("--folder", type=Path, help="where to work and leave the files")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--settings", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        print(STAGES[given.stage](given.folder / "talk.m4a", given.settings))
        return
    minutes = 1.0 if given.short else given.minutes
    window = given.window or (8.0 if given.model == SPEECH_MODEL else 30.0)
    chosen = settings(given.model.resolve(), window, DIARIZATION_MODEL)
    with tempfile.TemporaryDirectory(prefix="pipeline-") as scratch:
        folder = given.folder or Path(scratch)
        project = folder / "project"
        project.mkdir(parents=True)
        make_recording(folder / "talk.m4a", minutes)
        make_project(project, {"talk": folder / "talk.m4a"}, chosen)
        bare: dict[str, dict[str, float]] = {}
        command = [sys.executable, __file__, "--folder", str(folder), "--settings", json.dumps(chosen)]
        bare["speech"], words = timed([*command, "--stage", "speech"], folder)
        ours = run_pipeline(project)
        bare["diarization"], turns = timed(
            [*command, "--stage", "diarization"], folder, PYTHONPATH=str(project.resolve() / "scripts")
        )
        transcript = json.loads((project / "results/export/talk/talk.json").read_text(encoding="utf-8"))
        rules = usage(project)
    together = {name: sum(part[name] for part in bare.values()) for name in ours}
    ratio = ratios(ours, together)
    result = {
        "minutes": minutes,
        "model": given.model.name,
        "window_s": window,
        "ours": ours | {"words": sum(len(s["words"]) for s in transcript["segments"])},
        "bare": bare | {"words": int(words), "turns": int(turns)},
        **ratio,
        "bar": given.bar,
        "held": ratio["cpu_ratio"] <= given.bar and ratio["wall_ratio"] <= given.bar,
        "rules": rules,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
