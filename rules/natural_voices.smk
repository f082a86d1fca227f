"""Makes recordings with natural voices; a workflow of its own, never needed at run time.

    snakemake -s rules/natural_voices.smk --cores 2             # build/natural: what accuracy is measured on
    snakemake -s rules/natural_voices.smk --cores 2 demo        # resources/demo: recordings, truth, voices

docs/natural-voices.md says what is in them.
"""

import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")

BUILD = "build/natural"
TALKS = f"{BUILD}/conversations"
CODE = "benchmarks/natural_voices"
PYTHON = "PYTHONPATH=scripts:benchmarks build/voices/bin/python -m"
TEXTS = {path.stem: str(path) for path in sorted(Path(CODE, "texts").glob("*.txt"))}
CONVERSATIONS = [name for name in TEXTS if name.startswith(("dev-", "test-"))]
MAKE_SPEECH = [
    f"{CODE}/{name}.py" for name in ("conversation", "people", "signals", "voices")
]


def text_of(wildcards):
    return TEXTS[wildcards.name]


rule all:
    """All conversations, and the sounds without words."""
    default_target: True
    input:
        expand(f"{TALKS}/{{name}}.flac", name=CONVERSATIONS),
        f"{BUILD}/nonspeech",


rule install_voices:
    """Install the synthesizers, apart from everything else."""
    input:
        pins="envs/voices.txt",
    output:
        installed=touch("build/voices.installed"),
    log:
        f"{BUILD}/log/install_voices.log",
    threads: 1
    resources:
        mem_mb=500,
        runtime="15m",
    params:
        python=sys.executable,
    shell:
        "({params.python} -m uv venv --clear --python {params.python} build/voices"
        " && {params.python} -m uv pip sync --python build/voices/bin/python --require-hashes {input.pins})"
        " >{log} 2>&1"


rule make_conversation:
    """Say and mix one text: sound, utterances with their words, turns."""
    input:
        installed=rules.install_voices.output.installed,
        text=text_of,
        code=MAKE_SPEECH,
    output:
        audio=f"{TALKS}/{{name}}.flac",
        utterances=f"{TALKS}/{{name}}.json",
        turns=f"{TALKS}/{{name}}.rttm",
    log:
        f"{BUILD}/log/make_conversation-{{name}}.log",
    wildcard_constraints:
        name="|".join(CONVERSATIONS),
    threads: 1
    resources:
        mem_mb=1500,
        runtime="20m",
    params:
        folder=TALKS,
    shell:
        f"{PYTHON} natural_voices {{wildcards.name}} --to {{params.folder}} >{{log}} 2>&1"


rule make_sounds:
    """Make noise, music, silence and speech that nobody can understand."""
    input:
        installed=rules.install_voices.output.installed,
        voices=expand(f"{TALKS}/{{name}}.flac", name=["dev-planning", "dev-support"]),
        code=[f"{CODE}/{name}.py" for name in ("signals", "sounds")],
    output:
        folder=directory(f"{BUILD}/nonspeech"),
    log:
        f"{BUILD}/log/make_sounds.log",
    threads: 1
    resources:
        mem_mb=2000,
        runtime="10m",
    shell:
        f"{PYTHON} natural_voices.sounds {{input.voices}} --to {{output.folder}} >{{log}} 2>&1"


rule demo:
    """Make the recordings of `make demo`, which are committed."""
    input:
        installed=rules.install_voices.output.installed,
        texts=[
            text
            for name, text in TEXTS.items()
            if name.startswith(("demo-", "voice-"))
        ],
        code=[*MAKE_SPEECH, f"{CODE}/demo.py"],
    output:
        meeting="resources/demo/recordings/meeting.mp4",
    log:
        f"{BUILD}/log/demo.log",
    threads: 1
    resources:
        mem_mb=2000,
        runtime="20m",
    params:
        folder="resources/demo",
    shell:
        f"{PYTHON} natural_voices.demo --to {{params.folder}} >{{log}} 2>&1"
