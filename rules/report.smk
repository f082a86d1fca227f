"""report: the pages of `sessionscribe report`, which nothing else requests."""


rule draw_session:
    """Draw the speakers and the confidence of a session; write pages about its audit and its cost."""
    input:
        unpack(reported_of),
    output:
        timeline=report(
            "results/report/{session}/timeline.svg",
            caption="captions/timeline.rst",
            category="{session}",
            subcategory="Speakers",
            labels={"shows": "Who speaks when"},
        ),
        talk=report(
            "results/report/{session}/talk.svg",
            caption="captions/talk.rst",
            category="{session}",
            subcategory="Speakers",
            labels={"shows": "Who speaks how long"},
        ),
        confidence=report(
            "results/report/{session}/confidence.svg",
            caption="captions/confidence.rst",
            category="{session}",
            subcategory="Quality",
            labels={"shows": "How sure the words are"},
        ),
        audit=report(
            "results/report/{session}/audit.html",
            caption="captions/audit.rst",
            category="{session}",
            subcategory="Quality",
            labels={"shows": "Audit"},
        ),
        cost=report(
            "results/report/{session}/cost.html",
            caption="captions/cost.rst",
            category="{session}",
            subcategory="Cost",
            labels={"shows": "Times and cost"},
        ),
    log:
        "logs/report/{session}.log",
    benchmark:
        "logs/report/{session}.tsv"
    conda:
        "../envs/sessionscribe.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="30m",
    script:
        "../scripts/draw_session.py"


rule list_sessions:
    """List all sessions with audit, times and cost."""
    input:
        audits=audits,
    output:
        report(
            "results/report/sessions.html",
            caption="captions/sessions.rst",
            category="All sessions",
            labels={"shows": "Sessions, audit, times and cost"},
        ),
    log:
        "logs/report/sessions.log",
    benchmark:
        "logs/report/sessions.tsv"
    conda:
        "../envs/sessionscribe.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="30m",
    script:
        "../scripts/list_sessions.py"
