"""Rule build_timeline: see rules/chunk.smk."""

from pathlib import Path

from sessionscribe.artifacts import Conversion
from sessionscribe.chunk import build_timeline
from sessionscribe.runtime import job

task, made = snakemake.params.task, dict(snakemake.output.items())
with job(snakemake.rule, task, log=snakemake.log[0], outputs=made) as say:
    timeline = build_timeline(
        session=task["session"],
        shape=task["shape"],
        conversions=[Conversion.read(Path(path)) for path in task["conversions"]],
        parts=task["parts"],
        speakers=task["speakers"],
        output=Path(made["timeline"]),
    )
    for gap in timeline.gaps:
        say(f"missing audio: {gap.reason}")
