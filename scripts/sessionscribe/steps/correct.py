"""The step of correct: names and corrections, laid over what was heard."""

from __future__ import annotations

from typing import Any

from sessionscribe.corrections import table
from sessionscribe.fingerprint import step_key
from sessionscribe.steps.work import Ledger, Step, record_of, told


def traces(session: str) -> tuple[str, ...]:
    """Return all files of this step, which must not stay when there is nothing to correct any more."""
    return (*_outputs(session), record_of(session, "correct_transcript"))


def _outputs(session: str) -> tuple[str, str]:
    """Return the transcript with names and corrections, and what became of these."""
    stem = f"results/correct/{session}"
    return f"{stem}.json", f"{stem}.corrections.json"


def correct_transcript(ledger: Ledger, spoken: Step, named: Step | None, corrections: str) -> Step | None:
    """Note the step that lays names and corrections over a transcript, if there are any.

    Args:
        ledger: the session's steps.
        spoken: what was said, by label.
        named: who is who, where that is looked for.
        corrections: the checksum of the session's corrections file; empty where there is none.
    """
    session = ledger.session.name
    labels = ledger.options["export"]["names"]
    if not (named or labels or corrections):
        return None

    def tell() -> dict[str, Any]:
        return {
            "labels": labels,
            "names": list(named.outputs) if named else [],
            "corrections": [str(table.path_of(session))] if corrections else [],
            "settings": told([named]) if named else {},
        }

    key = step_key("correct_transcript", spoken.key, named and named.key, labels, corrections)
    needs = (spoken, named) if named else (spoken,)
    return ledger.add("correct_transcript", "", _outputs(session), key, tell, needs=needs)
