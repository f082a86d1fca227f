"""export: finished files, one rule per family of formats."""


def export_task(wildcards):
    return AGENDA.task(
        f"results/export/{wildcards.session}/{wildcards.session}.{wildcards.format}"
    )


rule export_subtitles:
    """Write subtitles: cues of readable length, never across speakers."""
    input:
        transcript=ancient("results/diarize/{session}.json"),
    output:
        export="results/export/{session}/{session}.{format}",
        provenance="results/provenance/{session}/export_subtitles.{format}.json",
    log:
        "logs/export/{session}/{session}.{format}.log",
    benchmark:
        "logs/export/{session}/{session}.{format}.tsv"
    wildcard_constraints:
        format="srt|vtt",
    threads: 1
    resources:
        mem_mb=1000,
        runtime="30m",
    params:
        task=export_task,
    script:
        "../scripts/export_subtitles.py"


rule export_text:
    """Write what people read or open in a spreadsheet."""
    input:
        transcript=ancient("results/diarize/{session}.json"),
    output:
        export="results/export/{session}/{session}.{format}",
        provenance="results/provenance/{session}/export_text.{format}.json",
    log:
        "logs/export/{session}/{session}.{format}.log",
    benchmark:
        "logs/export/{session}/{session}.{format}.tsv"
    wildcard_constraints:
        format="txt|tsv",
    threads: 1
    resources:
        mem_mb=1000,
        runtime="30m",
    params:
        task=export_task,
    script:
        "../scripts/export_text.py"


rule export_data:
    """Write what programs read: everything as JSON, turns as RTTM."""
    input:
        transcript=ancient("results/diarize/{session}.json"),
    output:
        export="results/export/{session}/{session}.{format}",
        provenance="results/provenance/{session}/export_data.{format}.json",
    log:
        "logs/export/{session}/{session}.{format}.log",
    benchmark:
        "logs/export/{session}/{session}.{format}.tsv"
    wildcard_constraints:
        format="json|rttm",
    threads: 1
    resources:
        mem_mb=1000,
        runtime="30m",
    params:
        task=export_task,
    script:
        "../scripts/export_data.py"
