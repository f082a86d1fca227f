"""Rule name_speakers: see rules/name.smk."""

from pathlib import Path

from sessionscribe.artifacts import EnrolledVoice, Transcript, Voices
from sessionscribe.config import Name
from sessionscribe.name import name_speakers
from sessionscribe.runtime import job
from sessionscribe.settings_files import read_settings

settings, made = read_settings(snakemake.input.settings), dict(snakemake.output.items())
with job(snakemake.rule, settings, log=snakemake.log[0], outputs=made) as say:
    say.inputs = [Path(path) for path in snakemake.input.voices]
    heard = {str(path): EnrolledVoice.read(path) for path in say.inputs}
    found = name_speakers(
        transcript=Transcript.read(Path(snakemake.input.transcript)),
        sounds=Voices.read(Path(snakemake.input.sounds)),
        people=[(person, clip, heard[path]) for person, clip, path in settings["clips"]],
        table=[(speaker, name) for speaker, name in settings["table"]],
        options=Name(**settings["options"]),
        output=Path(made["names"]),
    )
    say.flags += found.flags
    say(f"{len(found.by_label())} of {len(found.speakers)} speakers have a name")
