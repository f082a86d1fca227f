"""The step of correct: names and corrections, laid over what was heard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sessionscribe.core.fingerprint import step_key
from sessionscribe.planning.steps import SessionSteps, Step, record_of, settings_file, told
from sessionscribe.stages.correct import table

RULE = "correct_transcript"


def traces(session: str, noted: Mapping[str, str]) -> Iterator[str]:
    """Yield all files of this step, which must not stay when there is nothing to correct any more.

    Args:
        session: its name.
        noted: the keys in the names of the settings files that it has, by step.
    """
    yield from (*_outputs(session), record_of(session, RULE))
    if key := noted.get(RULE):
        yield settings_file(session, RULE, key)


def _outputs(session: str) -> tuple[str, str]:
    """Return the transcript with names and corrections, and what became of these."""
    stem = f"results/correct/{session}"
    return f"{stem}.json", f"{stem}.corrections.json"


def correct_transcript(
    steps: SessionSteps, spoken: Step, named: Step | None, corrections: str
) -> Step | None:
    """Add the step that lays names and corrections over a transcript, if there are any.

    Args:
        steps: the session's steps.
        spoken: what was said, by label.
        named: who is who, where that is looked for.
        corrections: the checksum of the session's corrections file; empty where there is none.
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
