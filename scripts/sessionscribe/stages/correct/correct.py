"""The transcript as people read it: names in place of labels, and corrections, laid over what was heard.

What the machine made stays beside it, unchanged: corrections live as long as the words that they are about,
whatever is transcribed again.
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
    """Write the transcript with names and corrections, and what became of each correction.

    Args:
        transcript: what was said, by speaker label.
        names: who is who in this session, if that was looked for.
        labels: names of labels in all sessions; ``names`` go before them.
        edits: the corrections file, if there is one.
        settings: by what names were found, by stage, to say in the transcript.
        output: the file to write the transcript to.
        report: the file to write what became of the corrections to.

    Returns:
        What a reader should know: corrections that have no place.

    Raises:
        UserError: the corrections file cannot be understood.
    """
    laid = lay_over(transcript, names, labels, edits)
    flags = remarks(laid)
    made = transcript.made and transcript.made.model_copy(
        update={"settings": {**transcript.made.settings, **settings}}
    )
    flagged = laid.transcript.model_copy(update={"flags": [*transcript.flags, *flags], "made": made})
    flagged.write(output)
    Corrections(session=transcript.session, corrections=laid.corrections).write(report)
    return flags


def lay_over(
    transcript: Transcript, names: Names | None, labels: Mapping[str, str], edits: Path | None
) -> Overlaid:
    """Return a transcript with names and corrections, as `correct_transcript` writes it.

    Raises:
        UserError: the corrections file cannot be understood.
    """
    called = {**labels, **(names.by_label() if names else {})}
    return overlay(transcript, called, table.read(edits) if edits else [])


def remarks(laid: Overlaid) -> list[str]:
    """Return what a reader should know of the corrections."""
    count = sum(found.state == "open" for found in laid.corrections)
    if not count:
        return []
    what = "1 correction has no place" if count == 1 else f"{count} corrections have no place"
    return [f"{what} (sessionscribe correct {laid.transcript.session} --list)"]
