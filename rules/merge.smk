"""merge: all chunks of a session as one transcript, nothing lost and nothing doubled."""


rule merge_transcript:
    """Merge chunk transcripts at their seams and put them on the session's clock."""
    input:
        timeline=made("results/chunk/{session}.timeline.json"),
        awaited=awaited_for("results/merge/{session}.json", "plans", "chunks"),
    output:
        merged="results/merge/{session}.json",
        provenance="results/provenance/{session}/merge_transcript.json",
    log:
        "logs/merge/{session}.log",
    benchmark:
        "logs/merge/{session}.tsv"
    conda:
        "../envs/sessionscribe.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="30m",
    params:
        task=task_of("results/merge/{session}.json"),
    script:
        "../scripts/merge_transcript.py"
