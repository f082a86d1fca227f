"""Rule assign_speakers: see rules/diarize.smk."""

from pathlib import Path

from sessionscribe.artifacts.merged import Merged
from sessionscribe.artifacts.plan import Timeline
from sessionscribe.artifacts.speakers import Turns
from sessionscribe.artifacts.transcript import Made
from sessionscribe.jobs.job import job, versions
from sessionscribe.planning.results import read_settings
from sessionscribe.stages.diarize.diarize import assign_speakers

settings, made = read_settings(snakemake.input.settings), dict(snakemake.output.items())
with job(snakemake.rule, settings, log=snakemake.log[0], outputs=made) as say:
    timeline = Timeline.read(Path(snakemake.input.timeline))
    transcript = assign_speakers(
        merged=Merged.read(Path(snakemake.input.merged)),
        turns=next((Turns.read(Path(path)) for path in snakemake.input.turns), None),
        speakers={track.track: track.speaker for track in timeline.tracks if track.speaker},
        made=Made(**settings["made"], versions=versions()),
        output=Path(made["transcript"]),
    )
    say.flags += transcript.flags
    who = f"{len(transcript.speakers)} speakers" if snakemake.input.turns else "without speakers"
    say(f"{who}; {'; '.join(transcript.flags) or 'no flags'}")
