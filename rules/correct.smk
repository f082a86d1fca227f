"""correct: the transcript with names and corrections."""


rule correct_transcript:
    """Apply names and corrections to a transcript; list corrections without a place."""
    input:
        unpack(inputs_of("correct_transcript")),
    output:
        transcript="results/correct/{session}.json",
        report="results/correct/{session}.corrections.json",
        provenance="results/provenance/{session}/correct_transcript.json",
    log:
        "logs/correct/{session}.log",
    benchmark:
        "logs/correct/{session}.tsv"
    priority: by_session(0)
    conda:
        "../envs/sessionscribe.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="30m",
    script:
        "../scripts/correct_transcript.py"
