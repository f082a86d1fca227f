"""report: pictures and tables for Snakemake's report, which needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from sessionscribe.artifacts.audit import Audit
from sessionscribe.artifacts.provenance import JobUsage
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.core.files import atomic_path, write_text
from sessionscribe.formats.page import environment
from sessionscribe.formats.pictures import PICTURES, drawn

TEMPLATES = Path(__file__).parent


@dataclass(frozen=True)
class Evidence:
    """The audit of a session, its jobs, and the cost of machines by currency."""

    audit: Audit
    jobs: Sequence[JobUsage]
    machine_s: float = 0.0
    cost: Mapping[str, float] = field(default_factory=dict)


def draw_session(
    *, transcript: Transcript, evidence: Evidence, pictures: Mapping[str, Path], audit: Path, cost: Path
) -> None:
    """Write the pictures (an SVG file for each of ``PICTURES``) and pages of a session."""
    for name in PICTURES:
        with atomic_path(pictures[name]) as temporary:
            temporary.write_bytes(drawn(transcript, [name]))
    title = transcript.session
    _write("audit.html", audit, title=title, audit=evidence.audit)
    jobs = sorted(evidence.jobs, key=lambda job: (job.rule, job.started))
    rules = [(rule, list(own)) for rule, own in groupby(jobs, key=lambda job: job.rule)]
    _write("cost.html", cost, title=title, rules=[*rules, ("all", evidence.jobs)], evidence=evidence)


def list_sessions(*, sessions: Sequence[Evidence], output: Path) -> None:
    """Write a page with a row for each session, and totals."""
    _write("sessions.html", output, title="All sessions", sessions=sessions)


def _write(template: str, path: Path, **content: object) -> None:
    write_text(path, environment(TEMPLATES).get_template(template).render(content) + "\n")
