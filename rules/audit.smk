"""audit: is all of a session in its transcript, and what needs a second look?"""


rule audit_session:
    """Check independently whether the transcript of a session is complete."""
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
