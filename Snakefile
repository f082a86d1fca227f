"""sessionscribe: from recordings to finished, speaker-labelled transcripts.

Each stage has its rules in rules/<stage>.smk, its code in scripts/sessionscribe/stages/<stage>/, its settings in
config/config.yaml under <stage>: and its files in results/<stage>/ and logs/<stage>/.
"""

from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"


report: "rules/captions/workflow.rst"


include: "rules/common.smk"
include: "rules/settings.smk"
include: "rules/preflight.smk"
include: "rules/ingest.smk"
include: "rules/convert.smk"
include: "rules/chunk.smk"
include: "rules/transcribe.smk"
include: "rules/merge.smk"
include: "rules/diarize.smk"
include: "rules/name.smk"
include: "rules/audit.smk"
include: "rules/correct.smk"
include: "rules/export.smk"
include: "rules/report.smk"


localrules:
    all,
    check_models,
    draw_session,
    list_sessions,
    note_settings,


rule all:
    """Make whatever is missing or stale of every session of the manifest."""
    default_target: True
    input:
        targets,
