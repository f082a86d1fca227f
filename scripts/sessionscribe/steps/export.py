"""The step of export: finished files."""

from __future__ import annotations

from typing import Any

from sessionscribe.fingerprint import step_key
from sessionscribe.formats import READING, ending, options_for
from sessionscribe.steps.work import Ledger, Step


def write_export(ledger: Ledger, transcript: Step, audited: Step) -> Step:
    """Note the step that writes a transcript in every format asked for; those to read show the audit."""
    given = ledger.options["export"]
    formats = list(dict.fromkeys(given["formats"]))
    options = options_for(formats, given)
    needs = (transcript, audited) if READING.intersection(formats) else (transcript,)

    def tell() -> dict[str, Any]:
        return {
            "transcript": [transcript.outputs[0]],
            "audit": [step.outputs[0] for step in needs[1:]],
            "options": options,
            "formats": formats,
        }

    # Which formats there are, the record says.
    key = step_key("write_export", *(step.key for step in needs), options)
    stem = f"results/export/{ledger.session.name}/{ledger.session.name}"
    outputs = tuple(f"{stem}.{ending(name)}" for name in formats)
    return ledger.add("write_export", "", outputs, key, tell, needs=needs)
