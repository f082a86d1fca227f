"""The steps of the stages ingest, convert and chunk."""

from __future__ import annotations

from dataclasses import dataclass

from sessionscribe.artifacts.plan import chunk_count
from sessionscribe.core.fingerprint import step_key
from sessionscribe.manifest.manifest import Row
from sessionscribe.planning.steps import SessionSteps, Step


@dataclass(frozen=True, slots=True)
class Track:
    """A row of the manifest, and the steps that prepare its audio."""

    row: Row
    converted: Step
    plan: Step
    chunks: int

    @property
    def audio(self) -> str:
        """The converted recording."""
        return self.converted.outputs[0]


def plans(tracks: list[Track]) -> list[str]:
    """Return the files of the tracks' plans."""
    return [track.plan.outputs[0] for track in tracks]


def prepare_track(steps: SessionSteps, row: Row) -> Track:
    """Add the steps that fetch, convert and cut a track."""
    converted = _convert(steps, fetch_recording(steps, row), row)
    chunks = 1 if row.layout == "live" else chunk_count(row.length_s, steps.options["chunk"]["target_s"])
    return Track(row, converted, _plan(steps, converted, row, chunks), chunks)


def fetch_recording(steps: SessionSteps, row: Row) -> Step:
    """Add the step that compares a source with the manifest."""
    problem = steps.session.problem
    if row.layout == "live" and not any(each.duration_s > 0 for each in steps.session.rows):
        problem = (
            problem or "none of its parts can be decoded: the one with the header, the first, may be missing"
        )
    options = {
        "track": row.track,
        "source": row.source,
        "checksum": row.checksum,
        "duration_s": row.duration_s,
        "problem": problem,
    }
    outputs = (f"results/ingest/{row.session}/{row.track}.json",)
    key = step_key("fetch_recording", row.source, row.checksum, row.duration_s, problem)
    return steps.add("fetch_recording", {}, outputs, key, options, track=row.track, machine=steps.reading)


def _convert(steps: SessionSteps, fetched: Step, row: Row) -> Step:
    # `ingest` is a path, so a recording that was moved is checked again, but not converted again.
    options = steps.options["convert"]
    for name, value in (
        ("audio_stream", steps.session.audio_stream(row)),
        ("channel", steps.session.channel(row)),
    ):
        if value is not None:
            options = {**options, name: value}
    stem = f"results/convert/{row.session}/{row.track}"
    header = steps.session.header(row)
    key = step_key("convert_audio", row.checksum, options, *([header.checksum] if header else []))
    told = {"options": options}
    if header:
        told["header"] = {"source": header.source, "checksum": header.checksum}
    return steps.add(
        "convert_audio",
        {"ingest": fetched.outputs[0]},
        (f"{stem}.flac", f"{stem}.json"),
        key,
        told,
        track=row.track,
        machine=steps.reading,
        audio_s=row.duration_s,
    )


def _plan(steps: SessionSteps, converted: Step, row: Row, chunks: int) -> Step:
    options = steps.options["chunk"]
    key = step_key("plan_chunks", converted.key, options, chunks)
    outputs = (f"results/chunk/{row.session}/{row.track}.plan.json",)
    told = {"track": row.track, "chunks": chunks, "options": options, "alone": row.layout == "multitrack"}
    if row.layout != "live":
        told["length_s"] = row.length_s
    inputs = {"audio": converted}
    return steps.add("plan_chunks", inputs, outputs, key, told, track=row.track, audio_s=row.duration_s)


def build_timeline(steps: SessionSteps, tracks: list[Track]) -> Step:
    """Add the step that puts the tracks on one clock; it needs their lengths only."""
    rows, layout = steps.session.rows, steps.session.layout
    parts = [row.part for row in rows]
    speakers = [(row.speaker or row.track) if layout == "multitrack" else None for row in rows]
    headers = [row.header for row in rows]
    sliced = any(header is not None for header in headers)
    converted = [track.converted.key for track in tracks]
    key = step_key("build_timeline", converted, parts, speakers, *([headers] if sliced else []))
    inputs = {"conversions": [track.converted.output(1) for track in tracks]}
    outputs = (f"results/chunk/{steps.session.name}.timeline.json",)
    told = {"layout": layout, "parts": parts, "speakers": speakers, "headers": headers}
    return steps.add("build_timeline", inputs, outputs, key, told)
