"""Rule name_speakers: see rules/name.smk."""

from pathlib import Path

from sessionscribe.artifacts.speakers import EnrolledVoice, Voices
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.config.settings import Name
from sessionscribe.jobs.job import job
from sessionscribe.planning.settings_files import read_settings
from sessionscribe.stages.name.name import name_speakers

settings, made = read_settings(snakemake.input.settings), dict(snakemake.output.items())
with job(snakemake.rule, settings, log=snakemake.log[0], outputs=made) as say:
    say.inputs = [Path(path) for path in snakemake.input.voices]
    heard = {str(path): EnrolledVoice.read(path) for path in say.inputs}
    found = name_speakers(
        transcript=Transcript.read(Path(snakemake.input.transcript)),
        voices=Voices.read(Path(snakemake.input.sounds)),
        people=[(person, clip, heard[path]) for person, clip, path in settings["clips"]],
        table=[(speaker, name) for speaker, name in settings["table"]],
        options=Name(**settings["options"]),
        output=Path(made["names"]),
    )
    say.flags += found.flags
    say(f"{len(found.by_label())} of {len(found.speakers)} speakers have a name")
