"""ingest: check the source files of the manifest, and copy remote ones."""


rule fetch_recording:
    """Check that a recording matches the manifest and contains audio; copy a remote one."""
    input:
        unpack(inputs_of("fetch_recording")),
    output:
        ingest="results/ingest/{session}/{track}.json",
        provenance="results/provenance/{session}/fetch_recording.{track}.json",
    log:
        "logs/ingest/{session}/{track}.log",
    benchmark:
        "logs/ingest/{session}/{track}.tsv"
    priority: by_session(0)
    conda:
        "../envs/sessionscribe.yaml"
    threads: 1
    resources:
        mem_mb=300,
        runtime="4h",
    params:
        machine=machine_of("fetch_recording"),
    script:
        "../scripts/fetch_recording.py"
