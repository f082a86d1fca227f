"""The step of export: finished files."""

from __future__ import annotations

from sessionscribe.core.fingerprint import step_key
from sessionscribe.formats.registry import READING, ending, options_for
from sessionscribe.planning.steps.work import SessionSteps, Step


def write_export(steps: SessionSteps, transcript: Step, audited: Step) -> Step:
    """Note the step that writes a transcript in every format asked for; those to read show the audit."""
    given = steps.options["export"]
    formats = list(dict.fromkeys(given["formats"]))
    options = options_for(formats, given)
    shown = [audited] if READING.intersection(formats) else []
    # Which formats there are is no matter of the key: one more is a missing file, one less costs nothing.
    key = step_key("write_export", transcript.key, *(step.key for step in shown), options)
    stem = f"results/export/{steps.session.name}/{steps.session.name}"
    outputs = tuple(f"{stem}.{ending(name)}" for name in formats)
    return steps.add(
        "write_export", {"transcript": transcript, "audit": shown}, outputs, key, {"options": options}
    )
