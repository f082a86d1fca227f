"""Rule correct_transcript: see rules/correct.smk."""

from pathlib import Path

from sessionscribe.artifacts.speakers import Names
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.jobs.job import job
from sessionscribe.planning.settings_files import read_settings
from sessionscribe.stages.correct.correct import correct_transcript

settings, made = read_settings(snakemake.input.settings), dict(snakemake.output.items())
with job(snakemake.rule, settings, log=snakemake.log[0], outputs=made) as say:
    say.flags += correct_transcript(
        transcript=Transcript.read(Path(snakemake.input.transcript)),
        names=next((Names.read(Path(path)) for path in snakemake.input.names), None),
        labels=settings["labels"],
        edits=next(map(Path, snakemake.input.corrections), None),
        settings=settings["settings"],
        output=Path(made["transcript"]),
        report=Path(made["report"]),
    )
    say("; ".join(say.flags) or "every correction has a place")
