"""Trains the small bundled models from synthesised speech; a workflow of its own, never needed at run time.

    snakemake -s rules/demo_models.smk --cores 2

docs/demo-models.md says what it needs and makes.
"""

from snakemake.utils import min_version

min_version("9.0")

# How much to make of each split of the utterance bank.
BANK = {
    "train": {"speakers": 204, "hours": 9.0, "seed": 1},
    "heldout": {"speakers": 28, "hours": 0.8, "seed": 2},
}
BUILD = "build/demo_models"
MODELS = "resources/demo/models"


rule all:
    """All bundled models."""
    default_target: True
    input:
        f"{MODELS}/whisper-demo/model.bin",


rule synthesize_bank:
    """Synthesise one split of the utterance bank with exact word times (needs Debian's libespeak-ng1)."""
    output:
        index=f"{BUILD}/bank/{{split}}.json",
        samples=f"{BUILD}/bank/{{split}}.raw",
    log:
        f"{BUILD}/log/synthesize_bank-{{split}}.log",
    wildcard_constraints:
        split="train|heldout",
    threads: 2
    resources:
        mem_mb=3000,
        runtime="15m",
    params:
        speakers=lambda wildcards: BANK[wildcards.split]["speakers"],
        hours=lambda wildcards: BANK[wildcards.split]["hours"],
        seed=lambda wildcards: BANK[wildcards.split]["seed"],
    script:
        "../scripts/synthesize_bank.py"


rule train_speech_model:
    """Train the speech model; it resumes from the checkpoint in its work folder if it was stopped."""
    input:
        index=f"{BUILD}/bank/train.json",
        samples=f"{BUILD}/bank/train.raw",
    output:
        checkpoint=f"{BUILD}/speech.pt",
        tokenizer=f"{BUILD}/speech-tokenizer.json",
    log:
        f"{BUILD}/log/train_speech_model.log",
    threads: 1
    resources:
        mem_mb=4000,
        runtime="3h",
    params:
        # Not an output: Snakemake would delete the checkpoints of a training that was stopped.
        folder=f"{BUILD}/speech",
        options={"minutes": 78.0, "seed": 1},
    script:
        "../scripts/train_speech_model.py"


rule export_speech_model:
    """Convert the trained model to the CTranslate2 folder with int8 weights that faster-whisper loads."""
    input:
        checkpoint=f"{BUILD}/speech.pt",
        tokenizer=f"{BUILD}/speech-tokenizer.json",
    output:
        model=f"{MODELS}/whisper-demo/model.bin",
        config=f"{MODELS}/whisper-demo/config.json",
        tokenizer=f"{MODELS}/whisper-demo/tokenizer.json",
        features=f"{MODELS}/whisper-demo/preprocessor_config.json",
        vocabulary=f"{MODELS}/whisper-demo/vocabulary.json",
    log:
        f"{BUILD}/log/export_speech_model.log",
    threads: 1
    resources:
        mem_mb=3000,
        runtime="10m",
    script:
        "../scripts/export_speech_model.py"
