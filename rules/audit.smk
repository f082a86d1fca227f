"""audit: is all of a session in its transcript, and what of it needs a second look?"""


rule audit_session:
    """Count words, speech and cuts anew, and say whether the transcript is complete."""
    input:
        unpack(inputs_of("audit_session")),
    output:
        audit="results/audit/{session}.json",
        provenance="results/provenance/{session}/audit_session.json",
    log:
        "logs/audit/{session}.log",
    benchmark:
        "logs/audit/{session}.tsv"
    priority: by_session(0)
    conda:
        "../envs/sessionscribe.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="30m",
    script:
        "../scripts/audit_session.py"
