"""The steps of the stage diarize."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from sessionscribe.artifacts.plan import chunk_count
from sessionscribe.audio import sliding_window
from sessionscribe.config.settings import OFF, Config
from sessionscribe.core.fingerprint import step_key
from sessionscribe.engines import models
from sessionscribe.manifest.manifest import Session
from sessionscribe.planning.steps import NOTHING, Folder, Inputs, Options, SessionSteps, Step, told
from sessionscribe.planning.steps.prepare import Track

CLUSTERING = ("num_speakers", "min_speakers", "max_speakers", "threshold")
"""Settings that affect only the clustering."""


def without_speakers(session: Session, diarizer: tuple[str, str]) -> bool:
    """Return whether a session is not diarized; tracks identify speakers without a model."""
    return session.layout != "multitrack" and OFF in (diarizer[0], session.setting("diarize"))


def diarizers(config: Config, identity: Callable[[str], str]) -> list[tuple[str, str]]:
    """Return the pipelines that the settings allow, best first, each with its identity."""
    name = config.diarize.model
    names = models.auto_pipelines() if name == "auto" else [name]
    found = [models.resolve(name, models.DIARIZATION, setting="diarize.model") for name in names]
    return [(model, identity(model)) for model in found]


def cluster_speakers(
    steps: SessionSteps, timeline: Step, tracks: list[Track], diarizer: tuple[str, str]
) -> Step:
    """Add the steps that find who speaks when; ``diarizer`` is the pipeline and its identity."""
    session = steps.session
    options: dict[str, Any] = {}
    method, model = "tracks", ""
    inputs: Inputs = {"timeline": timeline, "plans": [track.plan for track in tracks], "embeddings": []}
    key = step_key("cluster_speakers", timeline.key, [track.plan.key for track in tracks])
    if session.layout != "multitrack":
        embedded = _embed(steps, timeline, tracks, diarizer)
        method, model = "pyannote", diarizer[0]
        inputs = {"timeline": timeline.outputs[0], "plans": [], "embeddings": [embedded]}
        options = {**steps.options["diarize"], "model": model}
        del options["device"]  # no matter of the result
        for name in ("num_speakers", "min_speakers", "max_speakers"):
            options[name] = session.setting(name) or options[name]
        own = {name: options[name] for name in CLUSTERING}
        key = step_key("cluster_speakers", embedded.key, embedded.names, own)
    outputs = tuple(f"results/diarize/{session.name}.{what}.json" for what in ("turns", "voices"))
    told = {"method": method, "options": options}
    machine: Options = {"model": model, "device": steps.options["diarize"]["device"]} if model else NOTHING
    return steps.add("cluster_speakers", inputs, outputs, key, told, machine=machine, model=model)


def _embed(steps: SessionSteps, timeline: Step, tracks: list[Track], diarizer: tuple[str, str]) -> Folder:
    """Add the steps that run the models on a session.

    The parts of a live session are in the names of the files, not in the key, so most files stay valid when
    it grows.
    """
    given, live = steps.options["diarize"], steps.session.layout == "live"
    options = {name: given[name] for name in ("device", "step", "chunk_s")} | {"model": diarizer[0]}
    key = step_key(
        "embed_chunk",
        None if live else [track.converted.key for track in tracks],
        {**options, "model": diarizer[1], "device": None},
    )

    def inputs(name: str) -> Inputs:
        audio = {track.row.track: track.audio for track in tracks}
        found = _stretches(tracks, given["chunk_s"])[name]
        return {"timeline": timeline.outputs[0], "audio": [audio[track] for track in found.tracks]}

    def told(name: str) -> Options:
        found = _stretches(tracks, given["chunk_s"])[name]
        return {"stretch": asdict(found) | {"tracks": list(found.tracks)}, "options": options}

    embedded = Folder(
        "embed_chunk",
        steps.session.name,
        f"results/diarize/{steps.session.name}/{key}",
        key,
        names=_stretch_files(tracks, given["chunk_s"]),
        pattern="{stretch}.npz",
        inputs=inputs,
        options=told,
        model=diarizer[0],
        audio_s=sum(track.row.duration_s for track in tracks),
    )
    steps.works.append(embedded)
    return embedded


def assign_speakers(
    steps: SessionSteps, merged: Step, turns: Step | None, timeline: Step, *, models: Mapping[str, str]
) -> Step:
    """Add the step that assigns a speaker to every word and records what the transcript was made with.

    ``turns`` is None without diarization; ``models`` are the identities of the models.
    """
    before = tuple(steps.works)

    def options() -> dict[str, Any]:
        sources = {row.track: row.checksum for row in steps.session.rows}
        return {"made": {"sources": sources, "models": dict(models), "settings": told(before)}}

    key = step_key("assign_speakers", merged.key, turns and turns.key)
    inputs = {"timeline": timeline, "merged": merged, "turns": [turns] if turns else []}
    outputs = (f"results/diarize/{steps.session.name}.json",)
    return steps.add("assign_speakers", inputs, outputs, key, options)


def _stretches(tracks: list[Track], chunk_s: float) -> Mapping[str, sliding_window.EmbeddingChunk]:
    """Return the embedding chunks of a session, by the names of their files."""
    first = tracks[0].row
    if first.layout != "live":
        return _recording_stretches(first.track, first.length_s, chunk_s)
    parts = [sliding_window.Part(t.row.track, t.row.part, t.row.duration_s, t.converted.key) for t in tracks]
    return {f"{stretch.name}.npz": stretch for stretch in sliding_window.of_live(parts, chunk_s)}


@lru_cache(maxsize=8)  # for the jobs of a session, which are usually looked up one after the other
def _recording_stretches(
    track: str, length_s: float, chunk_s: float
) -> Mapping[str, sliding_window.EmbeddingChunk]:
    found = sliding_window.of_recording(track, length_s, chunk_s)
    return {f"{stretch.name}.npz": stretch for stretch in found}


def _stretch_files(tracks: list[Track], chunk_s: float) -> tuple[str, ...]:
    """Return the names of the files of the embedding chunks."""
    if tracks[0].row.layout != "live":
        return _recording_files(chunk_count(tracks[0].row.length_s, chunk_s))
    return tuple(_stretches(tracks, chunk_s))


@lru_cache(maxsize=64)  # sessions of the same length share a tuple
def _recording_files(count: int) -> tuple[str, ...]:
    return tuple(f"{name}.npz" for name in sliding_window.recording_names(count))
