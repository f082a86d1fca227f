"""Rule cluster_speakers: see rules/diarize.smk."""

from pathlib import Path

from sessionscribe.artifacts.plan import ChunkPlan, Timeline
from sessionscribe.config.settings import Diarize
from sessionscribe.jobs.job import job
from sessionscribe.planning.settings_files import read_settings
from sessionscribe.stages.diarize.diarize import cluster_speakers, track_turns

settings, made = read_settings(snakemake.input.settings), dict(snakemake.output.items())
embeddings = [Path(path) for path in snakemake.input.embeddings]
written = {"output": Path(made["turns"]), "voices": Path(made["voices"])}
with job(snakemake.rule, settings, log=snakemake.log[0], outputs=made) as say:
    say.inputs = embeddings
    timeline = Timeline.read(Path(snakemake.input.timeline))
    if settings["method"] == "tracks":
        plans = ChunkPlan.read_all(snakemake.input.plans)
        found = track_turns(timeline=timeline, plans=plans, **written)
    else:
        options = Diarize(**settings["options"] | snakemake.params.machine)
        found, flag = cluster_speakers(timeline=timeline, embeddings=embeddings, options=options, **written)
        say.flags += [flag] if flag else []
    say(f"{len(found.speakers)} speakers, {len(found.turns)} turns")
