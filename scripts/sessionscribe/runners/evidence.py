"""The content of a report: the audits of sessions, their jobs, and the cost of other machines."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sessionscribe.artifacts.audit import Audit
from sessionscribe.artifacts.provenance import JobUsage
from sessionscribe.runners import costs
from sessionscribe.runners.usage_log import USAGE_LOG, read_usage
from sessionscribe.stages.report.report import Evidence


def evidence_of(audits: Iterable[str]) -> list[Evidence]:
    """Return what is known of the sessions of these audits; the current folder is the project's."""
    _, sums = costs.sum_up(read_usage(USAGE_LOG), costs.known_prices(costs.PRICES))
    found = []
    for path in audits:
        audit = Audit.read(Path(path))
        jobs = JobUsage.read_all(sorted(USAGE_LOG.with_name(audit.session).glob("*.json")))
        spent = sums.get(audit.session, costs.Sum())
        found.append(Evidence(audit, [job for job in jobs if job.ok], spent.wall_s, dict(spent.cost)))
    return found
