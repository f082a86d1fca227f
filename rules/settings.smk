"""settings: a file with the settings of each step, named by the key of everything that determines its outputs."""


rule note_settings:
    """Remove the record of a step, so that it is due, and write its settings file."""
    output:
        settings="results/settings/{session}/{step}.{fp}.json",
    log:
        "logs/settings/{session}/{step}.{fp}.log",
    priority: 3000
    conda:
        "../envs/sessionscribe.yaml"
    threads: 1
    resources:
        mem_mb=300,
        runtime="10m",
    params:
        settings=settings_of("note_settings"),
    script:
        "../scripts/note_settings.py"
