"""Rule cluster_speakers: see rules/diarize.smk."""

from pathlib import Path

from sessionscribe.artifacts import Plan, Timeline
from sessionscribe.config import Diarize
from sessionscribe.diarize import cluster_speakers, track_turns
from sessionscribe.runtime import job

task, made = snakemake.params.task, dict(snakemake.output.items())
embeddings = [Path(path) for path in task["embeddings"]]
written = {"output": Path(made["turns"]), "sounds": Path(made["voices"])}
with job(snakemake.rule, task, log=snakemake.log[0], outputs=made, inputs=task["embeddings"]) as say:
    timeline = Timeline.read(Path(snakemake.input.timeline))
    if task["method"] == "tracks":
        plans = [Plan.read(Path(path)) for path in snakemake.input.plans]
        found = track_turns(timeline=timeline, plans=plans, **written)
    else:
        options = Diarize(**task["options"])
        found, remark = cluster_speakers(timeline=timeline, embeddings=embeddings, options=options, **written)
        say.flags += [remark] if remark else []
    say(f"{len(found.speakers)} speakers, {len(found.turns)} turns")
