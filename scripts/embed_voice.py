"""Rule embed_voice: see rules/name.smk."""

from pathlib import Path

from sessionscribe.config import Diarize
from sessionscribe.name import embed_voice
from sessionscribe.runtime import job

task, made = snakemake.params.task, dict(snakemake.output.items())
queued_s = getattr(snakemake, "queued_s", 0.0)  # only a worker says so
with job(snakemake.rule, task, log=snakemake.log[0], outputs=made, queued_s=queued_s) as say:
    found = embed_voice(
        clip=Path(task["clip"][0]),
        checksum=task["checksum"],
        options=Diarize(**task["options"]),
        threads=snakemake.resources.cpus_per_task,
        output=Path(made["voice"]),
    )
    say(f"{task['clip'][0]}: {found.speech_s:.1f} s of speech; {found.problem or 'nothing wrong'}")
