"""export: finished files."""


rule write_export:
    """Write the finished transcript in every format that is asked for."""
    input:
        transcript=made_for(
            "results/provenance/{session}/write_export.json", "transcript"
        ),
        audit=made_for("results/provenance/{session}/write_export.json", "audit"),
    output:
        exports=expand(
            "results/export/{{session}}/{{session}}.{format}",
            format=[formats.ending(name) for name in AGENDA.formats],
        ),
        provenance="results/provenance/{session}/write_export.json",
    log:
        "logs/export/{session}.log",
    benchmark:
        "logs/export/{session}.tsv"
    conda:
        "../envs/sessionscribe.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="30m",
    params:
        task=task_of("results/provenance/{session}/write_export.json"),
    script:
        "../scripts/write_export.py"
