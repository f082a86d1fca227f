"""Rule diarize_speakers: see rules/diarize.smk."""

from pathlib import Path

from sessionscribe.diarize import diarize_speakers, track_turns
from snakemake.script import snakemake

from sessionscribe.artifacts import Plan, Timeline
from sessionscribe.config import Diarize
from sessionscribe.runtime import job

task, made = snakemake.params.task, dict(snakemake.output.items())
with job(snakemake.rule, task, log=snakemake.log[0], outputs=made) as say:
    timeline = Timeline.read(Path(snakemake.input.timeline))
    if task["method"] == "tracks":
        plans = [Plan.read(Path(path)) for path in snakemake.input.plans]
        track_turns(timeline=timeline, plans=plans, output=Path(made["turns"]))
    else:
        audio = [Path(path) for path in snakemake.input.audio]
        options = Diarize(**task["options"])
        diarize_speakers(
            timeline=timeline,
            audio=audio,
            options=options,
            threads=snakemake.threads,
            output=Path(made["turns"]),
        )
