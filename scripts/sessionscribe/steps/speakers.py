"""The steps of diarize: who speaks when, and who says each word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from sessionscribe import grid, models
from sessionscribe.chunk import chunk_count
from sessionscribe.config import Config
from sessionscribe.fingerprint import step_key
from sessionscribe.manifest import Session
from sessionscribe.models import OFF
from sessionscribe.steps.prepare import Track, plans
from sessionscribe.steps.work import Folder, Ledger, Step, told

# What `cluster_speakers` goes by beside what the models found.
CLUSTERING = ("num_speakers", "min_speakers", "max_speakers", "threshold")


def without_speakers(session: Session, diarizer: tuple[str, str]) -> bool:
    """Whether nobody asks who speaks. Where each track is one person's, that is known without a model."""
    return session.shape != "tracks" and OFF in (diarizer[0], session.setting("diarize"))


def diarizers(config: Config, identity: Callable[[str], str]) -> list[tuple[str, str]]:
    """Return the pipelines that ``auto`` may stand for, best first, each with its identity; else the one."""
    name = config.diarize.model
    names = models.auto_pipelines() if name == "auto" else [name]
    found = [models.resolve(name, models.DIARIZATION, setting="diarize.model") for name in names]
    return [(model, identity(model)) for model in found]


def cluster_speakers(ledger: Ledger, timeline: Step, tracks: list[Track], diarizer: tuple[str, str]) -> Step:
    """Note the steps that find who speaks when; ``diarizer`` is the pipeline and its identity."""
    session = ledger.session
    options: dict[str, Any] = {}
    method, model = "tracks", ""
    embedded: Folder | None = None
    needs: tuple[Step | Folder, ...] = (timeline, *(track.plan for track in tracks))
    key = step_key("cluster_speakers", timeline.key, [track.plan.key for track in tracks])
    if session.shape != "tracks":
        embedded = _embed(ledger, tracks, diarizer)
        method, model, needs = "pyannote", diarizer[0], (embedded,)
        options = {**ledger.options["diarize"], "model": model}
        for name in ("num_speakers", "min_speakers", "max_speakers"):
            options[name] = session.setting(name) or options[name]
        own = {name: options[name] for name in CLUSTERING}
        key = step_key("cluster_speakers", embedded.key, embedded.names, own)

    def tell() -> dict[str, Any]:
        return {
            "embeddings": embedded.outputs() if embedded else [],
            "plans": [] if embedded else plans(tracks),
            "method": method,
            "options": options,
        }

    outputs = tuple(f"results/diarize/{session.name}.{what}.json" for what in ("turns", "voices"))
    return ledger.add("cluster_speakers", "", outputs, key, tell, needs=needs, model=model)


def _embed(ledger: Ledger, tracks: list[Track], diarizer: tuple[str, str]) -> Folder:
    """Let the models hear the session; in its key is what matters to them.

    The parts of a live session are in the files' names instead: those of its beginning stay as it grows.
    """
    given, live = ledger.options["diarize"], ledger.session.shape == "live"
    options = {name: given[name] for name in ("device", "step", "chunk_s")} | {"model": diarizer[0]}
    key = step_key(
        "embed_chunk",
        None if live else [track.converted.key for track in tracks],
        {**options, "model": diarizer[1], "device": None},
    )

    def tell(name: str) -> dict[str, Any]:
        stem = name.removesuffix(".npz")
        stretch = next(found for found in _stretches(tracks, given["chunk_s"]) if found.name == stem)
        audio = {track.row.track: track.audio for track in tracks}
        return {
            "stretch": asdict(stretch) | {"tracks": list(stretch.tracks)},
            "audio": [audio[track] for track in stretch.tracks],
            "options": options,
        }

    names = _stretch_files(tracks, given["chunk_s"])
    folder = f"results/diarize/{ledger.session.name}/{key}"
    return ledger.add_folder("embed_chunk", folder, key, names, tell, model=diarizer[0])


def assign_speakers(
    ledger: Ledger, merged: Step, turns: Step | None, timeline: Step, *, models: Mapping[str, str]
) -> Step:
    """Note the step that gives every word its speaker, and says of the transcript what it was made of.

    ``turns`` is None where nobody asks who speaks; ``models`` identifies those that heard the session.
    """
    before = tuple(ledger.works)

    def tell() -> dict[str, Any]:
        made = {
            "sources": {row.track: row.checksum for row in ledger.session.rows},
            "models": dict(models),
            "settings": told(before),
        }
        return {"turns": [turns.outputs[0]] if turns else [], "made": made}

    key = step_key("assign_speakers", merged.key, turns and turns.key)
    output = f"results/diarize/{ledger.session.name}.json"
    needs = (merged, turns, timeline) if turns else (merged, timeline)
    return ledger.add("assign_speakers", "", (output,), key, tell, needs=needs)


def _stretches(tracks: list[Track], chunk_s: float) -> list[grid.Stretch]:
    """Return the stretches of a session that diarization looks at one by one."""
    if tracks[0].row.shape != "live":
        return grid.of_recording(tracks[0].row.track, tracks[0].row.duration_s, chunk_s)
    parts = [grid.Part(t.row.track, t.row.part, t.row.duration_s, t.converted.key) for t in tracks]
    return grid.of_live(parts, chunk_s)


def _stretch_files(tracks: list[Track], chunk_s: float) -> tuple[str, ...]:
    """Return the names of the files of these stretches."""
    if tracks[0].row.shape != "live":
        return _recording_files(chunk_count(tracks[0].row.duration_s, chunk_s))
    return tuple(f"{stretch.name}.npz" for stretch in _stretches(tracks, chunk_s))


@lru_cache(maxsize=64)
def _recording_files(count: int) -> tuple[str, ...]:
    """Return the names of the files of a recording's stretches."""
    return tuple(f"{name}.npz" for name in grid.recording_names(count))
