"""export: finished files."""


def export_task(wildcards):
    return AGENDA.task(f"results/export/{wildcards.session}/{wildcards.session}.{wildcards.format}")


rule write_export:
    """Write the finished transcript in one format."""
    input:
        transcript=ancient("results/diarize/{session}.json"),
    output:
        export="results/export/{session}/{session}.{format}",
        provenance="results/provenance/{session}/write_export.{format}.json",
    log:
        "logs/export/{session}/{session}.{format}.log",
    benchmark:
        "logs/export/{session}/{session}.{format}.tsv"
    params:
        task=export_task,
    threads: 1
    resources:
        mem_mb=1000,
        runtime="30m",
    script:
        "../scripts/write_export.py"
