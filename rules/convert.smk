"""convert: any recording to 16 kHz mono FLAC."""


rule convert_audio:
    """Decode an audio stream of a recording, mix or select its channels, and write FLAC."""
    input:
        unpack(inputs_of("convert_audio")),
    output:
        audio="results/convert/{session}/{track}.flac",
        record="results/convert/{session}/{track}.json",
        provenance="results/provenance/{session}/convert_audio.{track}.json",
    log:
        "logs/convert/{session}/{track}.log",
    benchmark:
        "logs/convert/{session}/{track}.tsv"
    # Higher than fetch_recording: cached copies are used before more recordings are fetched.
    priority: by_session(1)
    conda:
        "../envs/sessionscribe.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime="1h",
    params:
        machine=machine_of("convert_audio"),
    script:
        "../scripts/convert_audio.py"
