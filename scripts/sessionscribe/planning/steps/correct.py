"""The step of the stage correct."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sessionscribe.core.fingerprint import step_key
from sessionscribe.planning.steps import SessionSteps, Step, record_of, settings_file, told
from sessionscribe.stages.correct import table

RULE = "correct_transcript"


def traces(session: str, noted: Mapping[str, str]) -> Iterator[str]:
    """Yield all files of this step, which must be removed when there are no corrections any more.

    Args:
        session: the name of the session.
        noted: the keys in the names of its settings files, by step.
    """
    yield from (*_outputs(session), record_of(session, RULE))
    if key := noted.get(RULE):
        yield settings_file(session, RULE, key)


def _outputs(session: str) -> tuple[str, str]:
    """Return the corrected transcript, and the file that lists what became of the corrections."""
    stem = f"results/correct/{session}"
    return f"{stem}.json", f"{stem}.corrections.json"


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

    key = step_key(RULE, spoken.key, named and named.key, labels, corrections)
    return steps.add(RULE, inputs, _outputs(session), key, options)
