"""Work on pulled sessions that needs audio which was not published: made again where the recording is here.

Converted audio is large, so it is left out of what is published unless asked for. Nothing that lies here
needs it; only a step that listens does. Where the recording is not here either, such a step cannot be done:
it is held back with all that follows from it, for a job that is begun and fails takes its old outputs along.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionscribe.steps import Step, files
from sessionscribe.storage.locations import DRIVE_DESKTOP, is_remote

if TYPE_CHECKING:
    from sessionscribe.agenda import SessionAgenda

SOURCE_RULES = ("fetch_recording", "convert_audio")


def provide(agenda: SessionAgenda, root: Path) -> None:
    """Let the pending steps of a session have the audio that they listen to, or hold them back.

    Args:
        agenda: the session; its ``pending``, ``blocked`` and ``lacking`` are changed.
        root: the project's folder.
    """
    if not agenda.absent or not agenda.pending:
        return
    sources = {row.track: row.source for row in agenda.session.rows}
    held: set[str] = set()
    for path, step in list(agenda.pending.items()):
        for audio in _heard(step, agenda.absent):
            source = sources[Path(audio).stem]
            if is_remote(source) or source.startswith(f"{DRIVE_DESKTOP}:") or (root / source).exists():
                for maker in (agenda.plan.find(_record_of(audio)), agenda.absent[audio]):
                    if maker is not None:
                        agenda.pending[maker.outputs[0]] = maker
            else:
                held.add(path)
                agenda.lacking.append(source)
    agenda.lacking = sorted(set(agenda.lacking))
    _hold_back(agenda, held)


def _record_of(audio: str) -> str:
    """Return what says that a recording is the right one: on this machine nobody has looked at it yet."""
    return audio.replace("results/convert/", "results/ingest/").removesuffix(".flac") + ".json"


def _heard(step: Step, absent: dict[str, Step]) -> Iterator[str]:
    """Yield the absent audio that a step's job reads: its task names the files, or the track."""
    if step.rule in SOURCE_RULES:
        return
    task = step.task
    named = set(_texts(task)) | {f"results/convert/{step.session}/{task.get('track')}.flac"}
    yield from named & absent.keys()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _hold_back(agenda: SessionAgenda, held: set[str]) -> None:
    """Move steps, and all that follows from them, from the pending to the blocked ones."""
    if not held:
        return
    for work in agenda.plan.works:
        if isinstance(work, Step) and work.outputs[0] in agenda.pending:
            needed = {path for need in work.needs for path in files(need)}
            if work.outputs[0] in held or not needed.isdisjoint(held):
                held.update(work.outputs)
    agenda.blocked |= {path: step for path, step in agenda.pending.items() if path in held}
    agenda.pending = {path: step for path, step in agenda.pending.items() if path not in held}


def remark(agenda: SessionAgenda) -> str:
    """Say what a session lacks and what that keeps from being done, in one line."""
    counts = Counter(step.rule for step in agenda.blocked.values())
    jobs = ", ".join(f"{count} {rule}" for rule, count in counts.items())
    more = f" and {len(agenda.lacking) - 1} more" if agenda.lacking[1:] else ""
    return (
        f"{agenda.session.name}: needs the recording {agenda.lacking[0]}{more}, which is not here, for "
        f"{jobs}: put it there, or set back what was changed (`dvc pull` brings published results only)"
    )
