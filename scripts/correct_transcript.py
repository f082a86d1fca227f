"""Rule correct_transcript: see rules/correct.smk."""

from pathlib import Path

from sessionscribe.artifacts import Names, Transcript
from sessionscribe.correct import correct_transcript
from sessionscribe.runtime import job

task, made = snakemake.params.task, dict(snakemake.output.items())
with job(snakemake.rule, task, log=snakemake.log[0], outputs=made) as say:
    say.flags += correct_transcript(
        transcript=Transcript.read(Path(snakemake.input.transcript)),
        names=next((Names.read(Path(path)) for path in task["names"]), None),
        labels=task["labels"],
        edits=next(map(Path, task["corrections"]), None),
        settings=task["settings"],
        output=Path(made["transcript"]),
        report=Path(made["report"]),
    )
    say("; ".join(say.flags) or "every correction has its place")
