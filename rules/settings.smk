"""settings: the settings file of each step, whose name contains the key of the step's outputs."""


rule note_settings:
    """Write the settings file of a step."""
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
