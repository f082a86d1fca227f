"""Before anything else: are the models there, and may we use them?"""


rule check_models:
    """Fetch (where they come from a hub) and check the models that the pending work needs."""
    output:
        report=agenda.PREFLIGHT,
    log:
        "logs/preflight/models.log",
    benchmark:
        "logs/preflight/models.tsv"
    conda:
        "../envs/sessionscribe.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="2h",
    params:
        task=models_task,
    script:
        "../scripts/check_models.py"
