"""Rule diarize_speakers: see rules/diarize.smk."""

from pathlib import Path

from sessionscribe.artifacts import Plan, Timeline
from sessionscribe.config import Diarize
from sessionscribe.diarize import diarize_speakers, track_turns
from sessionscribe.runtime import job

task, made = snakemake.params.task, dict(snakemake.output.items())
with job(snakemake.rule, task, log=snakemake.log[0], outputs=made) as say:
    timeline = Timeline.read(Path(snakemake.input.timeline))
    plans = [Plan.read(Path(path)) for path in snakemake.input.plans]
    if task["method"] == "tracks":
        found = track_turns(timeline=timeline, plans=plans, output=Path(made["turns"]))
    else:
        audio, options = [Path(path) for path in snakemake.input.audio], Diarize(**task["options"])
        found = diarize_speakers(
            timeline=timeline,
            plans=plans,
            audio=audio,
            options=options,
            threads=snakemake.threads,
            output=Path(made["turns"]),
        )
    say(f"{len(found.speakers)} speakers, {len(found.turns)} turns")
