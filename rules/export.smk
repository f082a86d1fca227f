"""export: finished files."""


rule write_export:
    """Write the finished transcript in one format."""
    input:
        transcript=made("results/diarize/{session}.json"),
    output:
        export="results/export/{session}/{session}.{format}",
        provenance="results/provenance/{session}/write_export.{format}.json",
    log:
        "logs/export/{session}/{session}.{format}.log",
    benchmark:
        "logs/export/{session}/{session}.{format}.tsv"
    conda:
        "../envs/sessionscribe.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="30m",
    params:
        task=task_of("results/export/{session}/{session}.{format}"),
    script:
        "../scripts/write_export.py"
