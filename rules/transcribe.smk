"""transcribe: the words of each chunk, in a folder named by their key."""


rule detect_language:
    """Detect the language of a session by a vote of windows of speech, or note the given one."""
    input:
        unpack(inputs_of("detect_language")),
    output:
        language="results/transcribe/{session}/{fp}/language.json",
    log:
        "logs/transcribe/{session}/{fp}/language.log",
    benchmark:
        "logs/transcribe/{session}/{fp}/language.tsv"
    priority: by_session(2)
    conda:
        "../envs/sessionscribe.yaml"
    threads: MODEL_CPUS
    resources:
        gpu=1,
        speech_model=1,
        cpus_per_task=MODEL_CPUS,
        mem_mb=4000,
        runtime="30m",
    params:
        settings=settings_of("detect_language"),
    script:
        "../scripts/detect_language.py"


rule transcribe_chunk:
    """Decode a chunk; a pure function of its audio and the settings."""
    input:
        unpack(inputs_of("transcribe_chunk")),
    output:
        transcript="results/transcribe/{session}/{fp}/{track}.{index}.json",
    log:
        "logs/transcribe/{session}/{fp}/{track}.{index}.log",
    benchmark:
        "logs/transcribe/{session}/{fp}/{track}.{index}.tsv"
    priority: by_session(2)
    conda:
        "../envs/sessionscribe.yaml"
    threads: MODEL_CPUS
    resources:
        gpu=1,
        speech_model=1,
        cpus_per_task=MODEL_CPUS,
        mem_mb=4000,
        runtime="2h",
    params:
        settings=settings_of("transcribe_chunk"),
    script:
        "../scripts/transcribe_chunk.py"
