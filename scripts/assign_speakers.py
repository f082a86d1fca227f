"""Rule assign_speakers: see rules/diarize.smk."""

from pathlib import Path

from sessionscribe.artifacts import Made, Merged, Timeline, Turns
from sessionscribe.diarize import assign_speakers
from sessionscribe.runtime import job, versions

task, made = snakemake.params.task, dict(snakemake.output.items())
with job(snakemake.rule, task, log=snakemake.log[0], outputs=made) as say:
    timeline = Timeline.read(Path(snakemake.input.timeline))
    transcript = assign_speakers(
        merged=Merged.read(Path(snakemake.input.merged)),
        turns=Turns.read(Path(task["turns"][0])) if task["turns"] else None,
        speakers={track.track: track.speaker for track in timeline.tracks if track.speaker},
        made=Made(**task["made"], versions=versions()),
        output=Path(made["transcript"]),
    )
    say.flags += transcript.flags
    who = f"{len(transcript.speakers)} speakers" if task["turns"] else "without speakers"
    say(f"{who}; {'; '.join(transcript.flags) or 'no flags'}")
