"""The steps of the stages audit, correct and export."""

from __future__ import annotations

from typing import Any

from sessionscribe.core.fingerprint import step_key
from sessionscribe.formats.registry import READING, ending, options_for, with_pictures
from sessionscribe.planning.steps import Folder, SessionSteps, Step, told
from sessionscribe.planning.steps.prepare import Track, plans
from sessionscribe.stages.correct import table

CORRECT = "correct_transcript"
CORRECTED = (
    "results/correct/{session}.*",
    f"results/provenance/{{session}}/{CORRECT}.json",
    f"results/settings/{{session}}/{CORRECT}.*",
)
"""Patterns of the files of this step, which are removed when there are no corrections any more."""


def audit_session(
    steps: SessionSteps, tracks: list[Track], chunks: Folder, *, timeline: Step, merged: Step, spoken: Step
) -> Step:
    """Add the step that checks the completeness of a transcript."""
    options = steps.options["audit"]
    inputs = {
        "timeline": timeline,
        "conversions": [track.converted.outputs[1] for track in tracks],
        "plans": plans(tracks),
        "language": f"{chunks.path}/language.json",
        "merged": merged,
        "transcript": spoken,
    }
    key = step_key("audit_session", spoken.key, options)
    outputs = (f"results/audit/{steps.session.name}.json",)
    return steps.add("audit_session", inputs, outputs, key, {"chunks": chunks.path, "options": options})


def correct_transcript(
    steps: SessionSteps, spoken: Step, named: Step | None, corrections: str
) -> Step | None:
    """Add the step that applies names and corrections to a transcript, if there are any.

    Args:
        steps: the session's steps.
        spoken: the step that assigns speakers.
        named: the step that names them, if any.
        corrections: the checksum of the session's corrections file; "" if there is none.
    """
    session = steps.session.name
    labels = steps.options["export"]["names"]
    if not (named or labels or corrections):
        return None
    inputs = {
        "transcript": spoken,
        "names": [named] if named else [],
        "corrections": [str(table.path_of(session))] if corrections else [],
    }

    def options() -> dict[str, Any]:
        return {"labels": labels, "settings": told([named]) if named else {}}

    stem = f"results/correct/{session}"
    outputs = (f"{stem}.json", f"{stem}.corrections.json")
    key = step_key(CORRECT, spoken.key, named and named.key, labels, corrections)
    return steps.add(CORRECT, inputs, outputs, key, options)


def write_export(
    steps: SessionSteps, transcript: Step, audited: Step, *, timeline: Step, tracks: list[Track]
) -> Step:
    """Add the step that writes a transcript in all chosen formats; those for reading show the audit."""
    given = steps.options["export"]
    formats = with_pictures(given["formats"])
    shown = [audited] if READING.intersection(formats) else []
    waveform = [draw_waveform(steps, timeline, tracks)] if "html" in formats else []
    drawn = [path for step in waveform for path in step.outputs]
    # The formats are not in the key: a new one is a missing file.
    before = [transcript, *shown, *waveform]
    key = step_key("write_export", *(step.key for step in before), options_for(formats, given))
    stem = f"results/export/{steps.session.name}/{steps.session.name}"
    outputs = tuple(f"{stem}.{ending(name)}" for name in formats)
    inputs = {"transcript": transcript, "audit": shown, "waveform": drawn}
    return steps.add("write_export", inputs, outputs, key, lambda: {"options": options_for(formats, given)})


def draw_waveform(steps: SessionSteps, timeline: Step, tracks: list[Track]) -> Step:
    """Add the step that draws the waveform; pages do without it if the audio is missing."""
    inputs = {"timeline": timeline, "audio": [track.audio for track in tracks]}
    outputs = (f"results/export/{steps.session.name}.waveform.json",)
    return steps.add("draw_waveform", inputs, outputs, step_key("draw_waveform", timeline.key), {})
