"""The step of the stage audit."""

from __future__ import annotations

from sessionscribe.core.fingerprint import step_key
from sessionscribe.planning.steps import Folder, SessionSteps, Step
from sessionscribe.planning.steps.prepare import Track, plans


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
