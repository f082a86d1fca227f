"""diarize: who speaks when, and hence who says each word."""


rule diarize_speakers:
    """Find who speaks when: by pyannote over the whole session, or from its speakers' tracks."""
    input:
        timeline=made("results/chunk/{session}.timeline.json"),
        plans=made_for("results/diarize/{session}.turns.json", "plans"),
        audio=made_for("results/diarize/{session}.turns.json", "audio"),
        models=checked_models("results/diarize/{session}.turns.json"),
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
        task=task_of("results/diarize/{session}.turns.json"),
    script:
        "../scripts/diarize_speakers.py"


rule assign_speakers:
    """Give every word its speaker."""
    input:
        timeline=made("results/chunk/{session}.timeline.json"),
        merged=made("results/merge/{session}.json"),
        awaited=awaited_for("results/diarize/{session}.json", "turns"),
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
        task=task_of("results/diarize/{session}.json"),
    script:
        "../scripts/assign_speakers.py"
