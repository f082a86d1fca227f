"""correct: names and corrections, laid over what was heard."""


rule correct_transcript:
    """Lay names and people's corrections over a transcript; what has no place in it any more is listed."""
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
