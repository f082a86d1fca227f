"""diarize: who speaks when, and who says each word."""


rule embed_chunk:
    """Run the diarization models on the windows that start in a part of a session."""
    input:
        unpack(inputs_of("embed_chunk")),
    output:
        embeddings="results/diarize/{session}/{fp}/{stretch}.npz",
    log:
        "logs/diarize/{session}/{fp}/{stretch}.log",
    benchmark:
        "logs/diarize/{session}/{fp}/{stretch}.tsv"
    wildcard_constraints:
        stretch="[0-9]{4}(-[0-9a-f]{12})?",
    priority: by_session(2)
    conda:
        "../envs/sessionscribe.yaml"
    threads: MODEL_CPUS
    resources:
        gpu=1,
        speaker_model=1,
        cpus_per_task=MODEL_CPUS,
        mem_mb=4000,
        runtime="4h",
    params:
        settings=settings_of("embed_chunk"),
    script:
        "../scripts/embed_chunk.py"


rule cluster_speakers:
    """Cluster the speaker embeddings of a session, without a GPU; in multitrack sessions, tracks are speakers."""
    input:
        unpack(inputs_of("cluster_speakers")),
    output:
        turns="results/diarize/{session}.turns.json",
        voices="results/diarize/{session}.voices.json",
        provenance="results/provenance/{session}/cluster_speakers.json",
    log:
        "logs/diarize/{session}.turns.log",
    benchmark:
        "logs/diarize/{session}.turns.tsv"
    priority: by_session(0)
    conda:
        "../envs/sessionscribe.yaml"
    threads: 1
    resources:
        mem_mb=5000,
        runtime="1h",
    params:
        machine=machine_of("cluster_speakers"),
    script:
        "../scripts/cluster_speakers.py"


rule assign_speakers:
    """Assign a speaker to every word."""
    input:
        unpack(inputs_of("assign_speakers")),
    output:
        transcript="results/diarize/{session}.json",
        provenance="results/provenance/{session}/assign_speakers.json",
    log:
        "logs/diarize/{session}.log",
    benchmark:
        "logs/diarize/{session}.tsv"
    priority: by_session(0)
    conda:
        "../envs/sessionscribe.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="30m",
    script:
        "../scripts/assign_speakers.py"
