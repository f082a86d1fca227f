"""The systems that are compared: ours and its peers, with the CPU time that they take."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from common import ROOT, make_project, run_pipeline, timed
from recordings import Recording

from sessionscribe.engines import models
from sessionscribe.engines.fetch import ensure, ensure_speech
from sessionscribe.formats.references import read_file
from sessionscribe.formats.utterances import PlainTranscript

OURS = "ours"
SEQUENTIAL, BATCHED, WHISPERX, PYANNOTE = "sequential", "batched", "whisperx", "pyannote"
SYSTEMS = {
    OURS: "**ours**",
    SEQUENTIAL: "faster-whisper",
    BATCHED: "faster-whisper, batched",
    WHISPERX: "whisperX, no alignment",
    PYANNOTE: "pyannote alone",
}
WORK = ROOT / "build/accuracy"


@dataclass(frozen=True)
class Run:
    """A system's transcripts, and the CPU seconds of its processes: for words, and with speakers.

    ``start_cpu_s``, for starting and loading the speech model, is not included in the others.
    """

    heard: Mapping[str, PlainTranscript]
    speech_cpu_s: float | None
    cpu_s: float | None
    start_cpu_s: float = 0.0


Costs = tuple[float, float]
"""CPU seconds until the words are finished, and until everything is."""


def fetched(speech: str, diarization: str) -> dict[str, str]:
    """Return the folders of both models; fetch them if necessary."""
    words = ensure_speech(models.resolve(speech, models.WHISPER, setting="--speech"), say=print)
    name = models.resolve(diarization, models.DIARIZATION, setting="--diarization")
    speakers = ensure(name, "diarization pipeline", "--diarization", say=print)
    return {"speech": str(words.resolve()), "diarization": str(speakers.resolve())}


def settings(folders: Mapping[str, str]) -> dict[str, Any]:
    """Return our settings: the defaults except for the models, the language and the CPU."""
    whisper = {"model": folders["speech"], "device": "cpu", "compute_type": "int8", "language": "en"}
    return {"transcribe": whisper, "diarize": {"model": folders["diarization"], "device": "cpu"}}


def ours(
    of: Sequence[Recording],
    options: dict[str, Any],
    project: Path,
    *,
    start: Costs = (0.0, 0.0),
    speakers: bool = True,
) -> Run:
    """Transcribe recordings by `sessionscribe run`: the words first, then speakers and exports if wanted."""
    words, both = costs({one.name: one.path for one in of}, options, project, speakers=speakers)
    made = project / "results" / ("diarize" if speakers else "merge")
    heard = {one.name: read_file(made / f"{one.name}.json")[0] for one in of}
    return Run(heard, words - start[0], both - start[1] if speakers else None, start[0])


def costs(
    paths: Mapping[str, Path], options: dict[str, Any], project: Path, *, speakers: bool = True
) -> Costs:
    """Transcribe sessions in a new project; return the costs."""
    shutil.rmtree(project, ignore_errors=True)
    project.mkdir(parents=True)
    make_project(project, paths, options)
    words = run_pipeline(project, "--stage", "merge")["cpu_s"]
    return words, words + (run_pipeline(project)["cpu_s"] if speakers else 0.0)


def start_costs(of: Sequence[Recording], options: dict[str, Any]) -> Costs:
    """Return the costs of starting and loading models: those that do not double with the recordings."""
    once, twice = (
        costs({f"{one.name}-{n}": one.path for one in of for n in range(times)}, options, WORK / "start")
        for times in (1, 2)
    )
    return 2 * once[0] - twice[0], 2 * once[1] - twice[1]


def peer(name: str, of: Sequence[Recording], folders: Mapping[str, str], python: Path) -> Run:
    """Return a peer's transcripts; it only hears recordings that it has not heard before."""
    cache = WORK / "peers"
    cache.mkdir(parents=True, exist_ok=True)
    settings = {**folders, "identity": {use: models.identity(path) for use, path in folders.items()}}
    command = [str(python), str(ROOT / "benchmarks/peers.py"), name, str(cache), json.dumps(settings)]
    _, printed = timed([*command, *(str(one.path) for one in of)], ROOT, PYTHONPATH=str(ROOT / "scripts"))
    found = json.loads(printed.splitlines()[-1])
    paths = {one.name: Path(found[str(one.path)]) for one in of}
    figures = [json.loads(path.read_text(encoding="utf-8")) for path in paths.values()]
    start_cpu_s = max(one["start_cpu_s"] for one in figures)
    cpu_s = sum(one["cpu_s"] for one in figures)
    speech_cpu_s = sum(one.get("speech_cpu_s", one["cpu_s"]) for one in figures)
    heard = {session: read_file(path)[0] for session, path in paths.items()}
    if name == PYANNOTE:
        return Run({session: replace(said, utterances=None) for session, said in heard.items()}, None, cpu_s)
    return Run(heard, speech_cpu_s, cpu_s if name == WHISPERX else None, start_cpu_s)
