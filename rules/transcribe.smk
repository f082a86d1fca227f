"""transcribe: the words of each chunk, in a folder named by all that determines them."""


rule detect_language:
    """Let windows of speech vote for the language of a session, once, or note the given one."""
    input:
        plans=ancient(language_plans),
        audio=ancient(language_audio),
        models=ancient(checked_models),
    output:
        language="results/transcribe/{session}/{fp}/language.json",
    log:
        "logs/transcribe/{session}/{fp}/language.log",
    benchmark:
        "logs/transcribe/{session}/{fp}/language.tsv"
    conda:
        "../envs/sessionscribe.yaml"
    threads: 2
    resources:
        gpu=1,
        mem_mb=4000,
        runtime="30m",
    params:
        task=language_task,
    script:
        "../scripts/detect_language.py"


rule transcribe_chunk:
    """Decode one chunk with its context; a pure function of its audio and the settings."""
    input:
        audio=ancient("results/convert/{session}/{track}.flac"),
        plan=ancient("results/chunk/{session}/{track}.plan.json"),
        language=ancient("results/transcribe/{session}/{fp}/language.json"),
        models=ancient(checked_models),
    output:
        transcript="results/transcribe/{session}/{fp}/{track}.{index}.json",
    log:
        "logs/transcribe/{session}/{fp}/{track}.{index}.log",
    benchmark:
        "logs/transcribe/{session}/{fp}/{track}.{index}.tsv"
    conda:
        "../envs/sessionscribe.yaml"
    threads: 2
    resources:
        gpu=1,
        mem_mb=4000,
        runtime="2h",
    params:
        task=transcribe_task,
    script:
        "../scripts/transcribe_chunk.py"
