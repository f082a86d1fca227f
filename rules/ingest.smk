"""ingest: a source file of the manifest, found and checked; copies of remote ones, fetched and let go."""


def release_copies():
    """Let go of the copies of recordings of which all is made: the sessions are looked at once more."""
    from sessionscribe.storage import locations, recordings

    sessions = AGENDA.sessions.values()
    if any(locations.is_remote(row.source) for s in sessions for row in s.session.rows):
        options = settings.validate(config)
        recordings.release(agenda.Agenda(options), options.ingest)


onsuccess:
    release_copies()


onerror:
    release_copies()


rule fetch_recording:
    """Check that a recording is there, is what the manifest says and holds audio; copy a remote one."""
    input:
        models=checked_models("results/ingest/{session}/{track}.json"),
    output:
        ingest="results/ingest/{session}/{track}.json",
        provenance="results/provenance/{session}/fetch_recording.{track}.json",
    log:
        "logs/ingest/{session}/{track}.log",
    benchmark:
        "logs/ingest/{session}/{track}.tsv"
    conda:
        "../envs/sessionscribe.yaml"
    threads: 1
    resources:
        mem_mb=300,
        runtime="4h",
    params:
        task=task_of("results/ingest/{session}/{track}.json"),
    script:
        "../scripts/fetch_recording.py"
