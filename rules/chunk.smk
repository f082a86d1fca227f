"""chunk: where each track is cut, and how a session's tracks lie on one clock."""


rule plan_chunks:
    """Find speech in a track and cut it in pauses into chunks that tile it exactly."""
    input:
        audio=made("results/convert/{session}/{track}.flac"),
    output:
        plan="results/chunk/{session}/{track}.plan.json",
        provenance="results/provenance/{session}/plan_chunks.{track}.json",
    log:
        "logs/chunk/{session}/{track}.log",
    benchmark:
        "logs/chunk/{session}/{track}.tsv"
    priority: 1
    conda:
        "../envs/sessionscribe.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime="1h",
    params:
        task=task_of("results/chunk/{session}/{track}.plan.json"),
    script:
        "../scripts/plan_chunks.py"


rule build_timeline:
    """Put the tracks of a session on one clock and note the audio it lacks."""
    input:
        conversions=made_for("results/chunk/{session}.timeline.json", "conversions"),
    output:
        timeline="results/chunk/{session}.timeline.json",
        provenance="results/provenance/{session}/build_timeline.json",
    log:
        "logs/chunk/{session}.log",
    benchmark:
        "logs/chunk/{session}.tsv"
    priority: 1
    conda:
        "../envs/sessionscribe.yaml"
    threads: 1
    resources:
        mem_mb=300,
        runtime="10m",
    params:
        task=task_of("results/chunk/{session}.timeline.json"),
    script:
        "../scripts/build_timeline.py"
