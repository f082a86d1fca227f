"""Rule draw_waveform: see rules/export.smk."""

from pathlib import Path

from sessionscribe.artifacts.plan import Timeline
from sessionscribe.jobs.job import job
from sessionscribe.planning.results import read_settings
from sessionscribe.stages.export.export import draw_waveform

settings, made = read_settings(snakemake.input.settings), dict(snakemake.output.items())
with job(snakemake.rule, settings, log=snakemake.log[0], outputs=made):
    draw_waveform(
        timeline=Timeline.read(Path(snakemake.input.timeline)),
        audio=Path(snakemake.input.audio[0]).parent,
        output=Path(made["waveform"]),
    )
