"""The step of correct: names and corrections, laid over what was heard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sessionscribe.corrections import table
from sessionscribe.fingerprint import step_key
from sessionscribe.steps.work import STAGE_OF, Ledger, Step, told


def correct_transcript(
    ledger: Ledger, spoken: Step, named: Step | None, corrections: str, *, models: Mapping[str, str]
) -> Step:
    """Note the step that makes the transcript that exports are written from.

    Args:
        ledger: the session's steps.
        spoken: what was said, by label.
        named: who is who, where that is looked for.
        corrections: the checksum of the session's corrections file; empty where there is none.
        models: what identifies the models that heard it.
    """
    session = ledger.session.name
    # The audit looks at the transcript, and changes nothing in it.
    heard = [work for work in ledger.works if STAGE_OF[work.rule] != "audit"]
    labels = ledger.options["export"]["names"]

    def tell() -> dict[str, Any]:
        return {
            "labels": labels,
            "names": list(named.outputs) if named else [],
            "corrections": [str(table.path_of(session))] if corrections else [],
            "made": {
                "sources": {row.track: row.checksum for row in ledger.session.rows},
                "models": dict(models),
                "settings": told(heard),
            },
        }

    key = step_key("correct_transcript", spoken.key, named and named.key, labels, corrections)
    stem = f"results/correct/{session}"
    outputs = (f"{stem}.json", f"{stem}.corrections.json")
    needs = (spoken, named) if named else (spoken,)
    return ledger.add("correct_transcript", "", outputs, key, tell, needs=needs)
