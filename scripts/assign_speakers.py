"""Rule assign_speakers: see rules/diarize.smk."""

from pathlib import Path

from sessionscribe.artifacts import Made, Merged, Timeline, Turns
from sessionscribe.diarize import assign_speakers
from sessionscribe.runtime import job, versions
from sessionscribe.settings_files import read_settings

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
