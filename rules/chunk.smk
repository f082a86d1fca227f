"""chunk: the chunks of tracks, and the positions of tracks in their session."""


rule plan_chunks:
    """Detect the speech of a track and cut it in pauses into chunks that tile it exactly."""
    input:
        unpack(inputs_of("plan_chunks")),
    output:
        plan="results/chunk/{session}/{track}.plan.json",
        provenance="results/provenance/{session}/plan_chunks.{track}.json",
    log:
        "logs/chunk/{session}/{track}.log",
    benchmark:
        "logs/chunk/{session}/{track}.tsv"
    priority: by_session(1)
    conda:
        "../envs/sessionscribe.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime="1h",
    script:
        "../scripts/plan_chunks.py"


rule build_timeline:
    """Position the tracks of a session and note missing audio."""
    input:
        unpack(inputs_of("build_timeline")),
    output:
        timeline="results/chunk/{session}.timeline.json",
        provenance="results/provenance/{session}/build_timeline.json",
    log:
        "logs/chunk/{session}.log",
    benchmark:
        "logs/chunk/{session}.tsv"
    priority: by_session(1)
    conda:
        "../envs/sessionscribe.yaml"
    threads: 1
    resources:
        mem_mb=300,
        runtime="10m",
    script:
        "../scripts/build_timeline.py"
