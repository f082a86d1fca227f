"""correct: the transcript with names and corrections.

The machine-made transcript stays beside it, so corrections survive another transcription.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sessionscribe.artifacts.speakers import Names
from sessionscribe.artifacts.transcript import Corrections, Transcript
from sessionscribe.stages.correct import table
from sessionscribe.stages.correct.apply import Overlaid, overlay


def correct_transcript(
    *,
    transcript: Transcript,
    names: Names | None,
    labels: Mapping[str, str],
    edits: Path | None,
    settings: Mapping[str, dict[str, object]],
    output: Path,
    report: Path,
) -> list[str]:
    """Write the transcript with names and corrections, and the state of each correction.

    Names found for this session take precedence over ``labels``, the names by label of all sessions.
    ``settings`` are those of naming, to be noted in the transcript. Return warnings.

    Raises:
        UserError: the corrections file is invalid.
    """
    laid = lay_over(transcript, names, labels, edits)
    flags = []
    if count := sum(found.state == "open" for found in laid.corrections):
        what = "1 correction has no place" if count == 1 else f"{count} corrections have no place"
        flags = [f"{what} (sessionscribe correct {transcript.session} --list)"]
    made = transcript.made and transcript.made.model_copy(
        update={"settings": {**transcript.made.settings, **settings}}
    )
    changes = {"flags": [*transcript.flags, *flags], "made": made}
    laid.transcript.model_copy(update=changes).write(output)
    Corrections(session=transcript.session, corrections=laid.corrections).write(report)
    return flags


def lay_over(
    transcript: Transcript, names: Names | None, labels: Mapping[str, str], edits: Path | None
) -> Overlaid:
    """Return a transcript with names and corrections.

    Raises:
        UserError: the corrections file is invalid.
    """
    called = {**labels, **(names.by_label() if names else {})}
    return overlay(transcript, called, table.read(edits) if edits else [])
