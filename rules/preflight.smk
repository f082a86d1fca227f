"""preflight: check that all models are available before anything else runs."""


rule check_models:
    """Fetch (from a hub) and check the models that the pending work needs."""
    output:
        report=f"{planning.PREFLIGHT}/{{fp}}.txt",
    log:
        "logs/preflight/{fp}.log",
    benchmark:
        "logs/preflight/{fp}.tsv"
    conda:
        "../envs/sessionscribe.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="2h",
    params:
        models=needed_models,
    script:
        "../scripts/check_models.py"
