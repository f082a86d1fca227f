"""export: the finished files."""


rule draw_waveform:
    """Compute the waveform of a session, for the export html."""
    input:
        unpack(inputs_of("draw_waveform")),
    output:
        waveform="results/export/{session}.waveform.json",
        provenance="results/provenance/{session}/draw_waveform.json",
    log:
        "logs/export/{session}.waveform.log",
    benchmark:
        "logs/export/{session}.waveform.tsv"
    priority: by_session(0)
    conda:
        "../envs/sessionscribe.yaml"
    threads: 1
    resources:
        mem_mb=300,
        runtime="10m",
    script:
        "../scripts/draw_waveform.py"


rule write_export:
    """Write the finished transcript in all requested formats."""
    input:
        unpack(inputs_of("write_export")),
    output:
        exports=expand(
            "results/export/{{session}}/{{session}}.{format}",
            format=[registry.ending(name) for name in PLAN.formats],
        ),
        provenance="results/provenance/{session}/write_export.json",
    log:
        "logs/export/{session}.log",
    benchmark:
        "logs/export/{session}.tsv"
    priority: by_session(0)
    conda:
        "../envs/sessionscribe.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="30m",
    params:
        formats=list(PLAN.formats),
    script:
        "../scripts/write_export.py"
