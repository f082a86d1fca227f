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
MODELS = "tests/data/toy/models"
DIARIZATION = f"{MODELS}/diarization-demo"
PIPELINE_PARTS = [
    "segmentation/pytorch_model.bin",
    "embedding/pytorch_model.bin",
    "plda/xvec_transform.npz",
    "plda/plda.npz",
]
PIPELINE_MODELS = [f"{BUILD}/{part}" for part in PIPELINE_PARTS]
HELDOUT = [f"heldout-{number:02d}" for number in range(1, 10)]
# Each fourth conversation is a file of low bit rate.
HELDOUT_RECORDINGS = [
    f"{BUILD}/heldout/{name}.{'m4a' if index % 4 == 3 else 'flac'}"
    for index, name in enumerate(HELDOUT)
]


def bank_options(wildcards):
    """Return how much speech a split of the bank gets, of how many voices, from which seed."""
    return BANK[wildcards.split]


rule all:
    """All bundled models and recordings, and the scores of the diarization."""
    default_target: True
    input:
        f"{MODELS}/whisper-demo/model.bin",
        f"{DIARIZATION}/config.yaml",
        "tests/data/toy/recordings/meeting.mp4",
        f"{BUILD}/diarization.json",


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
        options=bank_options,
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
        options={"minutes": 85.0, "seed": 1},
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


# Diarization: segmentation, embedding, PLDA, clustering parameters -------------------------------------------


rule synthesize_voices_bank:
    """Synthesise very many voices with few sentences each, for segmentation and embedding."""
    input:
        index=f"{BUILD}/bank/train.json",
        audio=f"{BUILD}/bank/train.raw",
    output:
        index=f"{BUILD}/bank/voices.json",
        audio=f"{BUILD}/bank/voices.raw",
    log:
        f"{BUILD}/log/synthesize_voices_bank.log",
    threads: 1
    resources:
        mem_mb=2000,
        runtime="20m",
    params:
        options=dict(count=1200, sentences=12, seed=4),
    script:
        "../scripts/synthesize_voices_bank.py"


rule train_segmentation_model:
    """Train the model that says who of at most three speaks when within 10 s; goes on where it was interrupted."""
    input:
        voices=f"{BUILD}/bank/voices.json",
        audio=f"{BUILD}/bank/voices.raw",
        tuning=f"{BUILD}/bank/train.json",
        similar=f"{BUILD}/embedding/voices.pt",
    output:
        model=f"{BUILD}/segmentation/pytorch_model.bin",
    log:
        f"{BUILD}/log/train_segmentation_model.log",
    threads: 1
    resources:
        mem_mb=3000,
        runtime="3h",
    params:
        state=f"{BUILD}/segmentation/state.pt",
        options=dict(steps=40000, minutes=180.0, seed=1),
    script:
        "../scripts/train_segmentation_model.py"


rule train_embedding_model:
    """Train the speaker embedding; goes on where it was interrupted."""
    input:
        voices=f"{BUILD}/bank/voices.json",
        audio=f"{BUILD}/bank/voices.raw",
        tuning=f"{BUILD}/bank/train.json",
    output:
        model=f"{BUILD}/embedding/pytorch_model.bin",
        voices=f"{BUILD}/embedding/voices.pt",
    log:
        f"{BUILD}/log/train_embedding_model.log",
    threads: 1
    resources:
        mem_mb=3000,
        runtime="2h",
    params:
        state=f"{BUILD}/embedding/state.pt",
        options=dict(steps=40000, minutes=75.0, seed=2),
    script:
        "../scripts/train_embedding_model.py"


rule fit_plda:
    """Fit the model that clustering scores embeddings with, on conversations of training speakers."""
    input:
        index=f"{BUILD}/bank/train.json",
        audio=f"{BUILD}/bank/train.raw",
        embedding=f"{BUILD}/embedding/pytorch_model.bin",
    output:
        transform=f"{BUILD}/plda/xvec_transform.npz",
        plda=f"{BUILD}/plda/plda.npz",
    log:
        f"{BUILD}/log/fit_plda.log",
    threads: 1
    resources:
        mem_mb=3000,
        runtime="30m",
    params:
        options=dict(conversations=250, seed=3),
    script:
        "../scripts/fit_plda.py"


rule tune_diarization_pipeline:
    """Choose the clustering parameters on conversations of training speakers who were kept back for this."""
    input:
        index=f"{BUILD}/bank/train.json",
        audio=f"{BUILD}/bank/train.raw",
        models=PIPELINE_MODELS,
    output:
        tuning=f"{BUILD}/tuning.json",
    log:
        f"{BUILD}/log/tune_diarization_pipeline.log",
    threads: 1
    resources:
        mem_mb=4000,
        runtime="1h",
    params:
        models=PIPELINE_MODELS,
        folder=f"{BUILD}/pipeline",
        conversations=dict(count=18, duration_s=240.0, seed=500),
    script:
        "../scripts/tune_diarization_pipeline.py"


rule assemble_diarization_pipeline:
    """Put models and parameters together as the pyannote pipeline folder that the repository bundles."""
    input:
        models=PIPELINE_MODELS,
        tuning=f"{BUILD}/tuning.json",
    output:
        config=f"{DIARIZATION}/config.yaml",
        models=expand(f"{DIARIZATION}/{{part}}", part=PIPELINE_PARTS),
    log:
        f"{BUILD}/log/assemble_diarization_pipeline.log",
    threads: 1
    resources:
        mem_mb=1000,
        runtime="10m",
    script:
        "../scripts/assemble_diarization_pipeline.py"


# Recordings and evaluation -----------------------------------------------------------------------------------


rule make_demo_recordings:
    """Make the bundled demo recordings of held-out speakers, with their truth."""
    input:
        index=f"{BUILD}/bank/heldout.json",
        audio=f"{BUILD}/bank/heldout.raw",
    output:
        meeting="tests/data/toy/recordings/meeting.mp4",
        tracks=expand(
            "tests/data/toy/recordings/tracks/{name}.ogg", name=["alice", "bob"]
        ),
        live=expand(
            "tests/data/toy/recordings/live/chunk-{index:03d}.webm", index=range(8)
        ),
        truth=expand(
            "tests/data/toy/truth/{session}.json",
            session=["meeting", "tracks", "live"],
        ),
    log:
        f"{BUILD}/log/make_demo_recordings.log",
    threads: 1
    resources:
        mem_mb=1500,
        runtime="20m",
    params:
        plan=dict(meeting_seed=9001, tracks_seed=9002, live_seed=9003),
    script:
        "../scripts/make_demo_recordings.py"


rule synthesize_heldout:
    """Make the conversations that the demo models are judged by: other voices and sentences than in training."""
    input:
        index=f"{BUILD}/bank/heldout.json",
        audio=f"{BUILD}/bank/heldout.raw",
    output:
        recordings=HELDOUT_RECORDINGS,
        truth=[path.rsplit(".", 1)[0] + ".json" for path in HELDOUT_RECORDINGS],
    log:
        f"{BUILD}/log/synthesize_heldout.log",
    threads: 1
    resources:
        mem_mb=1500,
        runtime="20m",
    params:
        duration_s=240.0,
        first_seed=1,
    script:
        "../scripts/synthesize_heldout.py"


rule score_diarization_pipeline:
    """Score the bundled diarization pipeline by itself on the held-out conversations."""
    input:
        config=f"{DIARIZATION}/config.yaml",
        recordings=HELDOUT_RECORDINGS,
    output:
        scores=f"{BUILD}/diarization.json",
    log:
        f"{BUILD}/log/score_diarization_pipeline.log",
    threads: 1
    resources:
        mem_mb=4000,
        runtime="30m",
    script:
        "../scripts/score_diarization_pipeline.py"
