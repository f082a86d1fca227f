"""Rule diarize_speakers: see rules/diarize.smk."""

from pathlib import Path

from sessionscribe.artifacts import Plan, Timeline
from sessionscribe.config import Diarize
from sessionscribe.diarize import diarize_speakers, track_turns
from sessionscribe.runtime import job

task, made = snakemake.params.task, dict(snakemake.output.items())
with job(snakemake.rule, task, log=snakemake.log[0], outputs=made) as say:
    timeline = Timeline.read(Path(snakemake.input.timeline))
    plans, output = [Plan.read(Path(path)) for path in snakemake.input.plans], Path(made["turns"])
    if task["method"] == "tracks":
        found = track_turns(timeline=timeline, plans=plans, output=output)
    else:
        found = diarize_speakers(
            timeline=timeline,
            plans=plans,
            audio=[Path(path) for path in snakemake.input.audio],
            options=Diarize(**task["options"]),
            threads=snakemake.threads,
            output=output,
        )
    say(f"{len(found.speakers)} speakers, {len(found.turns)} turns")
