"""Rule embed_voice: see rules/name.smk."""

from pathlib import Path

from sessionscribe.config.settings import Diarize
from sessionscribe.jobs.job import job
from sessionscribe.stages.name.name import embed_voice

settings, made = snakemake.params.settings, dict(snakemake.output.items())
queued_s = getattr(snakemake, "queued_s", 0.0)  # set by workers only
with job(snakemake.rule, settings, log=snakemake.log[0], outputs=made, queued_s=queued_s) as say:
    found = embed_voice(
        clip=Path(snakemake.input.clip),
        checksum=settings["checksum"],
        options=Diarize(**settings["options"]),
        output=Path(made["voice"]),
    )
    say(f"{snakemake.input.clip}: {found.speech_s:.1f} s of speech; {found.problem or 'nothing wrong'}")
