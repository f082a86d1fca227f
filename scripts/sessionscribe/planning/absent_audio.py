"""Work on pulled sessions that needs converted audio, which is usually not published.

The audio is recreated if the recording is here. If not, the steps that need it are held back with all that
depend on them, because a job that fails would delete its old outputs.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from sessionscribe.planning.steps import paths, sources
from sessionscribe.storage.locations import DRIVE_DESKTOP, is_remote

if TYPE_CHECKING:
    from sessionscribe.planning.session import SessionPlan


DISPENSABLE = "draw_waveform"
"""The rule that is skipped without the audio: exports do without a waveform."""


def provide(session: SessionPlan, root: Path) -> None:
    """Recreate the audio that pending steps of a session read, or hold these steps back."""
    if not session.absent or not session.pending:
        return
    sources_of = {row.track: row.source for row in session.session.rows}
    held: set[str] = set()
    lacking: set[str] = set()
    for first, step in list(session.pending.items()):
        read = {path for given in sources(step.inputs) for path in paths(given)}
        for audio in read & session.absent.keys():
            source = sources_of[Path(audio).stem]
            if is_remote(source) or source.startswith(f"{DRIVE_DESKTOP}:") or (root / source).exists():
                maker = session.absent[audio]
                session.pending[maker.outputs[0]] = maker
            elif step.rule == DISPENSABLE:
                session.unavailable.add(first)
            else:
                held.add(first)
                lacking.add(source)
    session.lacking = sorted(lacking.union(session.lacking))
    session.hold_back(held)
    for first in session.unavailable & session.pending.keys():
        del session.pending[first]


def warning(session: SessionPlan) -> str:
    """Return one line that names the missing recording and the jobs that need it."""
    counts = Counter(step.rule for step in session.blocked.values())
    jobs = ", ".join(f"{count} {rule}" for rule, count in counts.items())
    more = f" and {len(session.lacking) - 1} more" if session.lacking[1:] else ""
    return (
        f"{session.session.name}: needs the recording {session.lacking[0]}{more}, which is not here, for "
        f"{jobs}: put it there, or set back what was changed (`dvc pull` brings published results only)"
    )
