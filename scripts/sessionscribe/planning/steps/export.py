"""The steps of the stage export."""

from __future__ import annotations

from sessionscribe.core.fingerprint import step_key
from sessionscribe.formats.registry import READING, ending, options_for, with_pictures
from sessionscribe.planning.steps import SessionSteps, Step
from sessionscribe.planning.steps.prepare import Track


def write_export(
    steps: SessionSteps, transcript: Step, audited: Step, *, timeline: Step, tracks: list[Track]
) -> Step:
    """Add the step that writes a transcript in all chosen formats; those for reading show the audit."""
    given = steps.options["export"]
    formats = with_pictures(given["formats"])
    options = options_for(formats, given)
    shown = [audited] if READING.intersection(formats) else []
    waveform = [draw_waveform(steps, timeline, tracks)] if "html" in formats else []
    drawn = [path for step in waveform for path in step.outputs]
    # The formats are not in the key: a new one is a missing file.
    key = step_key("write_export", transcript.key, *(step.key for step in [*shown, *waveform]), options)
    stem = f"results/export/{steps.session.name}/{steps.session.name}"
    outputs = tuple(f"{stem}.{ending(name)}" for name in formats)
    inputs = {"transcript": transcript, "audit": shown, "waveform": drawn}
    return steps.add("write_export", inputs, outputs, key, {"options": options})


def draw_waveform(steps: SessionSteps, timeline: Step, tracks: list[Track]) -> Step:
    """Add the step that draws the waveform; pages do without it if the audio is missing."""
    inputs = {"timeline": timeline, "audio": [track.audio for track in tracks]}
    outputs = (f"results/export/{steps.session.name}.waveform.json",)
    return steps.add("draw_waveform", inputs, outputs, step_key("draw_waveform", timeline.key), {})
