"""``remove``: remove sessions from the manifest; recordings are never touched."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from sessionscribe.cli.add import refuse_demo
from sessionscribe.cli.options import DRY_RUN, NAMED_SESSIONS, SETTINGS, command, flag
from sessionscribe.config.settings import Config
from sessionscribe.core.errors import UserError, unknown_session
from sessionscribe.core.text import counted
from sessionscribe.jobs import workspace
from sessionscribe.manifest import manifest

VOICES = Path("results/name/voices")
"""The enrolled voices, which belong to no session, not even to one called `voices`."""
KEPT = "publish"
"""The folder of results that belongs to DVC and Git."""


@command("remove", SETTINGS, NAMED_SESSIONS, DRY_RUN, flag("--results", "also delete their results and logs"))
def remove(options: argparse.Namespace, config: Config) -> int:
    """Remove sessions from the manifest; recordings, corrections and published versions stay.

    Raises:
        UserError: there is no such session, or results are to be deleted while a run is at work.
    """
    table = Path(config.manifest)
    refuse_demo(table)
    if not options.sessions:
        raise UserError("no session is named", where="remove", hint="`sessionscribe status` lists them")
    if options.results and not options.dry_run and workspace.at_work(Path(".snakemake")):
        raise UserError("another run is at work here", where="remove", hint="Wait until it has finished")
    with manifest.locked(table):
        known = manifest.read(table)
        results = {name: results_of(name) for name in options.sessions}
        for name in options.sessions:
            if name not in known and not (options.results and results[name]):
                raise unknown_session(name, known, table)
        if not options.dry_run:
            left = (row for name, session in known.items() if name not in results for row in session.rows)
            manifest.write(table, left)
    for name, paths in results.items():
        if options.results and not options.dry_run:
            for path in paths:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        which = "would be removed" if options.dry_run else "removed"
        what = f"{which} {name}: {counted(len(known[name].rows) if name in known else 0, 'row')}"
        if options.results:
            print(f"{what} and all results")
        else:
            print(f"{what}; results stay (--results deletes them)" if paths else what)
    return 0


def results_of(session: str) -> list[Path]:
    """Return the files and folders below ``results`` and ``logs`` that belong to one session."""
    return [
        path
        for top in ("results", "logs")
        for folder in sorted(Path(top).glob("*/"))
        if folder.name != KEPT
        for path in sorted(folder.iterdir())
        if (path.name == session or path.name.startswith(f"{session}.")) and path != VOICES
    ]
