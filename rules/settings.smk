"""settings: what each step is told, in a file whose name carries the key of all that determines its outputs."""


rule note_settings:
    """Write what a step is told to a file whose name carries the key; before that, the step is made due."""
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
        settings=noted_settings,
    script:
        "../scripts/note_settings.py"
