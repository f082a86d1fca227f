"""``find`` and ``upload``: compare recordings with the manifest, and send results."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from sessionscribe.cli.options import JSON, SESSIONS, SETTINGS, argument, command, flag
from sessionscribe.config.settings import Config
from sessionscribe.core.errors import UserError, one_by_one
from sessionscribe.planning import status
from sessionscribe.planning.plan import Plan
from sessionscribe.planning.session import SessionPlan

ROOT = Path()


@command(
    "find",
    *(SETTINGS, JSON),
    argument("places", "SOURCE", "default: where known recordings are", nargs="*"),
)
def find(options: argparse.Namespace, config: Config) -> int:
    """Compare recordings with the manifest: new, moved, missing, unfinished, failed, orphaned."""
    from sessionscribe.sharing import find as survey  # noqa: PLC0415 -- of no use to the other commands
    from sessionscribe.stages.ingest import remote  # noqa: PLC0415 -- of no use to the other commands

    plan = Plan(config, ROOT)
    found = survey.survey(plan, options.places)
    if options.json:
        print(json.dumps([asdict(finding) for finding in found], ensure_ascii=False, indent=1))
        return 0
    for finding in found:
        print(finding)
    counts = Counter(finding.kind for finding in found)
    print(", ".join(f"{count} {kind}" for kind, count in counts.items()) or "Nothing to do.")
    kept = remote.cache(config.ingest.cache)
    copies, hits = kept.copies(), kept.counts()
    if copies or hits.misses:
        size = sum(copy.size for copy in copies) / 1e9
        number = f"{len(copies)} recording{'s' * (len(copies) != 1)}"
        print(f"cache: {number}, {size:.2f} GB, {hits.hit_rate:.0%} of the uses were hits")
    return 0


@command(
    "upload",
    *(SETTINGS, SESSIONS),
    argument("--to", "PLACE", "`beside` (next to each recording), or a folder"),
    flag("--delete", "delete uploads that no longer exist here"),
)
def upload(options: argparse.Namespace, config: Config) -> int:
    """Upload finished files to where the recordings are, or elsewhere."""
    place = config.upload.model_copy(update={"to": options.to} if options.to else {})
    settings = config.model_copy(update={"upload": place})
    sessions = Plan(settings, ROOT).sessions.values()
    return upload_sessions(sessions, settings, named=bool(options.sessions), delete=options.delete)


def upload_sessions(
    sessions: Iterable[SessionPlan], config: Config, *, named: bool = False, delete: bool = False
) -> int:
    """Upload the finished files of sessions; return the exit code.

    Raises:
        UserError: no place is configured.
    """
    from sessionscribe.sharing import upload as uploads  # noqa: PLC0415 -- of no use to the other commands

    if not config.upload.to:
        hint = "Set upload.to to `beside` or to a folder, or give --to"
        raise UserError("there is no place to upload to", where="upload.to", hint=hint)
    chosen = []
    for session in sessions:
        if named or uploads.has_something(session):
            chosen.append(session)
        else:
            print(status.left_out(session))

    def send(session: SessionPlan) -> None:
        sent = uploads.upload(session, config.upload, root=ROOT, delete=delete)
        size = sum(entry.size for entry in sent) / 1e6
        what = f"{len(sent)} files, {size:.1f} MB" if sent else "nothing new"
        print(f"uploaded {session.session.name}: {what}", flush=True)

    if not chosen:
        print("Nothing is finished yet.")
    return one_by_one({session.session.name: session for session in chosen}, send)
