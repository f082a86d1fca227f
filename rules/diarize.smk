"""diarize: who speaks when, and hence who says each word."""


rule diarize_speakers:
    """Find who speaks when: by pyannote over the whole session, or from its speakers' tracks."""
    input:
        timeline=ancient("results/chunk/{session}.timeline.json"),
        plans=ancient(turns_plans),
        audio=ancient(turns_audio),
        models=ancient(turns_models),
    output:
        turns="results/diarize/{session}.turns.json",
        provenance="results/provenance/{session}/diarize_speakers.json",
    log:
        "logs/diarize/{session}.turns.log",
    benchmark:
        "logs/diarize/{session}.turns.tsv"
    conda:
        "../envs/sessionscribe.yaml"
    threads: 2
    resources:
        gpu=1,
        mem_mb=6000,
        runtime="4h",
    params:
        task=turns_task,
    script:
        "../scripts/diarize_speakers.py"


rule assign_speakers:
    """Give every word its speaker."""
    input:
        timeline=ancient("results/chunk/{session}.timeline.json"),
        merged=ancient("results/merge/{session}.json"),
        turns=ancient("results/diarize/{session}.turns.json"),
    output:
        transcript="results/diarize/{session}.json",
        provenance="results/provenance/{session}/assign_speakers.json",
    log:
        "logs/diarize/{session}.log",
    benchmark:
        "logs/diarize/{session}.tsv"
    conda:
        "../envs/sessionscribe.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="30m",
    params:
        task=assign_task,
    script:
        "../scripts/assign_speakers.py"
