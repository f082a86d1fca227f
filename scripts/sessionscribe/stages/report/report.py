"""report: pictures and tables for Snakemake's report, which opens without a network."""

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
class Work:
    """What the jobs of a rule, or of a session, took together; times in seconds."""

    rule: str
    jobs: int
    wall_s: float
    cpu_s: float
    gpu_s: float
    peak_memory_mb: float

    @classmethod
    def of(cls, rule: str, jobs: Sequence[JobUsage]) -> Work:
        """Sum up jobs."""
        return cls(
            rule,
            len(jobs),
            wall_s=sum(job.wall_s for job in jobs),
            cpu_s=sum(job.cpu_s for job in jobs),
            gpu_s=sum(job.gpu_s for job in jobs),
            peak_memory_mb=max((job.peak_memory_mb for job in jobs), default=0.0),
        )


@dataclass(frozen=True)
class Evidence:
    """What is known of a session: its audit, the jobs that made it, and what machines cost, by currency."""

    audit: Audit
    jobs: Sequence[JobUsage]
    machine_s: float = 0.0
    cost: Mapping[str, float] = field(default_factory=dict)

    @property
    def work(self) -> Work:
        """What all its jobs took."""
        return Work.of("all", self.jobs)

    @property
    def covered(self) -> float | None:
        """The share of its speech that has words; None without speech."""
        speech = sum(track.speech_s for track in self.audit.tracks)
        return sum(track.covered_s for track in self.audit.tracks) / speech if speech else None


def draw_session(
    *, transcript: Transcript, evidence: Evidence, pictures: Mapping[str, Path], audit: Path, cost: Path
) -> None:
    """Write what the report shows of a session.

    Args:
        transcript: what was said.
        evidence: what is known of the session.
        pictures: the SVG file to write for each of ``PICTURES``.
        audit: the page to write about what needs a second look.
        cost: the page to write about times and cost.
    """
    for name in PICTURES:
        with atomic_path(pictures[name]) as temporary:
            temporary.write_bytes(drawn(transcript, [name]))
    title = transcript.session
    _write("audit.html", audit, title=title, audit=evidence.audit, covered=evidence.covered)
    jobs = sorted(evidence.jobs, key=lambda job: (job.rule, job.started))
    rules = [Work.of(rule, list(same)) for rule, same in groupby(jobs, key=lambda job: job.rule)]
    _write("cost.html", cost, title=title, rules=[*rules, evidence.work], evidence=evidence)


def list_sessions(*, sessions: Sequence[Evidence], output: Path) -> None:
    """Write a page with a line for each session, and the sums."""
    _write("sessions.html", output, title="All sessions", sessions=sessions)


def _write(template: str, path: Path, **content: object) -> None:
    write_text(path, environment(TEMPLATES).get_template(template).render(content) + "\n")
