"""Work on pulled sessions that needs audio which was not published: made again where the recording is here.

Converted audio is large, so it is left out of what is published unless asked for. Nothing that lies here
needs it; only a step that listens does. Where the recording is not here either, such a step cannot be done:
it is held back with all that follows from it, for a job that is begun and fails takes its old outputs along.
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
"""What is left undone where the audio is not here: what reads it does without."""


def provide(session: SessionPlan, root: Path) -> None:
    """Recreate the audio that pending steps of a session read, or hold these steps back.

    Args:
        session: the session; its ``pending``, ``blocked``, ``lacking`` and ``unavailable`` are changed.
        root: the project's folder.
    """
    if not session.absent or not session.pending:
        return
    sources_of = {row.track: row.source for row in session.session.rows}
    held: set[str] = set()
    for first, step in list(session.pending.items()):
        read = {path for given in sources(step.inputs) for path in paths(given)}
        for audio in read & session.absent.keys():
            source = sources_of[Path(audio).stem]
            if is_remote(source) or source.startswith(f"{DRIVE_DESKTOP}:") or (root / source).exists():
                maker = session.absent[audio]  # which looks whether the recording is the right one
                session.pending[maker.outputs[0]] = maker
            elif step.rule == DISPENSABLE:
                session.unavailable.add(first)
            else:
                held.add(first)
                session.lacking.append(source)
    session.lacking = sorted(set(session.lacking))
    session.hold_back(held)
    for first in session.unavailable & session.pending.keys():
        del session.pending[first]


def remark(session: SessionPlan) -> str:
    """Return one line that says which recording is missing, and which steps need it."""
    counts = Counter(step.rule for step in session.blocked.values())
    jobs = ", ".join(f"{count} {rule}" for rule, count in counts.items())
    more = f" and {len(session.lacking) - 1} more" if session.lacking[1:] else ""
    return (
        f"{session.session.name}: needs the recording {session.lacking[0]}{more}, which is not here, for "
        f"{jobs}: put it there, or set back what was changed (`dvc pull` brings published results only)"
    )
