"""merge: all chunks of a session as one transcript, nothing lost and nothing doubled."""


rule merge_transcript:
    """Merge chunk transcripts at their seams and put them on the session's clock."""
    input:
        timeline=ancient("results/chunk/{session}.timeline.json"),
        plans=ancient(merge_plans),
        language=ancient(merge_language),
        pending=ancient(merge_pending_chunks),
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
        task=merge_task,
    script:
        "../scripts/merge_transcript.py"
