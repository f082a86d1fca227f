"""The tools that ours is compared with, each on a list of recordings and in a process of its own.

    python benchmarks/peers.py {sequential,batched,whisperx,pyannote} CACHE SETTINGS RECORDING...

Called by accuracy.py. Each is used as its own documentation shows it. What one finds in a recording is kept
in CACHE, under a name that follows from the recording, the models and the versions of the packages, and not
made again. Prints the path of each recording's result as JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

THREADS = 2
Peer = Callable[[str], dict[str, Any]]
"""Listens to a recording and returns a transcript in the form of Whisper's JSON, with `turns` or without."""


def sequential(settings: dict[str, str]) -> Peer:
    """Return faster-whisper as its README uses it: all defaults, with VAD and word times."""
    return _faster_whisper(settings, lambda model: model.transcribe)


def batched(settings: dict[str, str]) -> Peer:
    """Return faster-whisper's batched mode, with word times; VAD is its default there."""
    from faster_whisper import BatchedInferencePipeline  # noqa: PLC0415 -- heavy, as all imports of models here

    return _faster_whisper(settings, lambda model: BatchedInferencePipeline(model).transcribe)


def _faster_whisper(settings: dict[str, str], way: Callable[[Any], Callable[..., Any]]) -> Peer:
    from faster_whisper import WhisperModel  # noqa: PLC0415

    model = WhisperModel(settings["speech"], device="cpu", compute_type="int8", cpu_threads=THREADS)

    def run(recording: str) -> dict[str, Any]:
        segments, _ = way(model)(recording, language="en", beam_size=5, word_timestamps=True, vad_filter=True)
        return {"segments": [_segment(s, _words(s.words or ())) for s in segments]}

    return run


def whisperx(settings: dict[str, str]) -> Peer:
    """Return whisperX with pyannote's VAD, batches of 8, speakers; its alignment needs a model of the hub."""
    import torch  # noqa: PLC0415
    import whisperx as package  # noqa: PLC0415
    from faster_whisper.audio import decode_audio  # noqa: PLC0415 -- whisperX's own calls the ffmpeg program
    from whisperx.diarize import DiarizationPipeline  # noqa: PLC0415

    torch.set_num_threads(THREADS)
    model = package.load_model(settings["speech"], "cpu", compute_type="int8", language="en", threads=THREADS)
    diarization = DiarizationPipeline(settings["diarization"]) if settings["diarization"] else None

    def run(recording: str) -> dict[str, Any]:
        audio, began = decode_audio(recording), _cpu()
        found = model.transcribe(audio, batch_size=8)
        speech_cpu_s, turns = _cpu() - began, None
        if diarization:
            turns = diarization(audio)
            found = package.assign_word_speakers(turns, found)
            turns = _turns(turns[["start", "end", "speaker"]].itertuples(index=False))
        return {"segments": found["segments"], "turns": turns, "speech_cpu_s": speech_cpu_s}

    return run


def pyannote(settings: dict[str, str]) -> Peer:
    """Return a bare pyannote pipeline."""
    import torch  # noqa: PLC0415
    from faster_whisper.audio import decode_audio  # noqa: PLC0415
    from pyannote.audio import Pipeline  # noqa: PLC0415

    torch.set_num_threads(THREADS)
    pipeline: Any = Pipeline.from_pretrained(settings["diarization"])

    def run(recording: str) -> dict[str, Any]:
        waveform = torch.from_numpy(decode_audio(recording))[None]
        found = pipeline({"waveform": waveform, "sample_rate": 16_000}).speaker_diarization
        tracks = found.itertracks(yield_label=True)
        return {"segments": [], "turns": _turns((turn.start, turn.end, who) for turn, _, who in tracks)}

    return run


def _segment(segment: Any, words: list[dict[str, Any]]) -> dict[str, Any]:
    return {"start": segment.start, "end": segment.end, "text": segment.text, "words": words}


def _words(words: Iterable[Any]) -> list[dict[str, Any]]:
    return [{"text": w.word, "start": float(w.start), "end": float(w.end)} for w in words]


def _turns(turns: Iterable[tuple[float, float, str]]) -> list[dict[str, Any]]:
    return [{"start": float(start), "end": float(end), "speaker": who} for start, end, who in turns]


PEERS: dict[str, tuple[Callable[[dict[str, str]], Peer], set[str], set[str]]] = {
    "sequential": (sequential, {"speech"}, {"faster-whisper", "ctranslate2"}),
    "batched": (batched, {"speech"}, {"faster-whisper", "ctranslate2"}),
    "whisperx": (
        whisperx,
        {"speech", "diarization"},
        {"whisperx", "faster-whisper", "ctranslate2", "pyannote.audio", "torch"},
    ),
    "pyannote": (pyannote, {"diarization"}, {"pyannote.audio", "torch"}),
}
"""Each with the models and the packages that it uses."""


def _cpu() -> float:
    return sum(os.times()[:4])


def main() -> None:
    """Let a peer listen to what it has not heard yet."""
    name, cache, given, *recordings = sys.argv[1:]
    settings = json.loads(given)
    make, models, packages = PEERS[name]
    versions = {package: version(package) for package in sorted(packages)}
    made_by = [name, {model: settings["identity"][model] for model in sorted(models)}, versions]
    known = hashlib.sha256(json.dumps(made_by).encode())
    paths = {}
    for recording in recordings:
        digest = known.copy()
        digest.update(Path(recording).read_bytes())
        paths[recording] = Path(cache) / f"{Path(recording).stem}.{name}.{digest.hexdigest()[:12]}.json"
    missing = [recording for recording, path in paths.items() if not path.is_file()]
    peer = make(settings) if missing else None
    start_cpu_s = _cpu()
    for recording in missing:
        began = _cpu()
        found = peer(recording)  # type: ignore[misc]
        known_of = {
            "language": "en",
            "cpu_s": _cpu() - began,
            "start_cpu_s": start_cpu_s,
            "versions": versions,
        }
        fresh = paths[recording].with_suffix(".new")
        fresh.write_text(json.dumps({**found, **known_of}), encoding="utf-8")
        fresh.replace(paths[recording])
        print(f"{name}: {Path(recording).name}", file=sys.stderr)
    print(json.dumps({recording: str(path) for recording, path in paths.items()}))


if __name__ == "__main__":
    main()
