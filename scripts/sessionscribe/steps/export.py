"""The step of export: finished files."""

from __future__ import annotations

from typing import Any

from sessionscribe.fingerprint import step_key
from sessionscribe.formats import ending, options_for
from sessionscribe.steps.work import Ledger, Step


def write_export(ledger: Ledger, corrected: Step) -> Step:
    """Note the step that writes every format that is asked for."""
    given = ledger.options["export"]
    formats = list(dict.fromkeys(given["formats"]))
    options = options_for(formats, given)

    def tell() -> dict[str, Any]:
        return {"options": options, "formats": formats}

    key = step_key("write_export", corrected.key, options)  # which formats there are, the record says
    stem = f"results/export/{ledger.session.name}/{ledger.session.name}"
    outputs = tuple(f"{stem}.{ending(name)}" for name in formats)
    return ledger.add("write_export", "", outputs, key, tell, needs=(corrected,))
