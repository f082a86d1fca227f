"""merge: one transcript from all chunks of a session."""


rule merge_transcript:
    """Merge chunk transcripts, with times of the session."""
    input:
        unpack(inputs_of("merge_transcript")),
    output:
        merged="results/merge/{session}.json",
        provenance="results/provenance/{session}/merge_transcript.json",
    log:
        "logs/merge/{session}.log",
    benchmark:
        "logs/merge/{session}.tsv"
    priority: by_session(0)
    conda:
        "../envs/sessionscribe.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="30m",
    script:
        "../scripts/merge_transcript.py"
