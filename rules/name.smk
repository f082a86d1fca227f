"""name: speaker names, from enrolled voices and the table of names."""


rule embed_voice:
    """Compute the embedding of a voice sample, once for all sessions."""
    input:
        unpack(inputs_of("embed_voice")),
    output:
        voice="results/name/voices/{voice}.json",
    log:
        "logs/name/voices/{voice}.log",
    benchmark:
        "logs/name/voices/{voice}.tsv"
    wildcard_constraints:
        voice="[0-9a-f]{12}",
    priority: 2000
    conda:
        "../envs/sessionscribe.yaml"
    threads: MODEL_CPUS
    resources:
        gpu=1,
        speaker_model=1,
        cpus_per_task=MODEL_CPUS,
        mem_mb=4000,
        runtime="30m",
    params:
        settings=settings_of("embed_voice"),
    script:
        "../scripts/embed_voice.py"


rule name_speakers:
    """Name the speakers of a session, without a model."""
    input:
        unpack(inputs_of("name_speakers")),
    output:
        names="results/name/{session}.json",
        provenance="results/provenance/{session}/name_speakers.json",
    log:
        "logs/name/{session}.log",
    benchmark:
        "logs/name/{session}.tsv"
    priority: by_session(0)
    conda:
        "../envs/sessionscribe.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="30m",
    script:
        "../scripts/name_speakers.py"
