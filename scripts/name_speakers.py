"""Rule name_speakers: see rules/name.smk."""

from pathlib import Path

from sessionscribe.artifacts import EnrolledVoice, Transcript, Voices
from sessionscribe.config import Name
from sessionscribe.name import name_speakers
from sessionscribe.runtime import job

task, made = snakemake.params.task, dict(snakemake.output.items())
with job(snakemake.rule, task, log=snakemake.log[0], outputs=made, inputs=task["voices"]) as say:
    heard = [EnrolledVoice.read(Path(path)) for path in task["voices"]]
    found = name_speakers(
        transcript=Transcript.read(Path(snakemake.input.transcript)),
        sounds=Voices.read(Path(snakemake.input.sounds)),
        people=[(*clip, voice) for clip, voice in zip(task["clips"], heard, strict=True)],
        table=[(speaker, name) for speaker, name in task["table"]],
        options=Name(**task["options"]),
        output=Path(made["names"]),
    )
    say.flags += found.flags
    say(f"{len(found.by_label())} of {len(found.speakers)} speakers have a name")
