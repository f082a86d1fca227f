"""What a bundle holds, put where the steps would have put it; what is done here stays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from sessionscribe.artifacts.provenance import Output
from sessionscribe.core import files
from sessionscribe.core.errors import UserError, visible
from sessionscribe.manifest import names
from sessionscribe.manifest.manifest import Row, Session
from sessionscribe.planning.session import SessionPlan
from sessionscribe.planning.settings_files import SETTINGS, clear
from sessionscribe.sharing.bundle_reader import OpenBundle, StepFiles
from sessionscribe.stages.correct import table as corrections


@dataclass
class Imported:
    """What came of a bundle.

    ``placed`` are the files that are here now and were not before; ``kept`` names the steps that are done
    here already in another way.
    """

    session: str
    placed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def merged_rows(known: dict[str, Session], new: Session, place: str) -> list[Row]:
    """Return the rows of the table of sessions with those of a bundle among them.

    A recording that is known keeps its row, and so its source. Parts of a live session that are new come in.

    Raises:
        UserError: the session's name belongs to other recordings here.
    """
    here = next((one for one in known.values() if names.folded(one.name) == names.folded(new.name)), None)
    old = here.rows if here else ()
    by_track = {row.track: row for row in old}
    common = [row for row in new.rows if row.track in by_track]
    other = next((row for row in common if by_track[row.track].checksum != row.checksum), None)
    if here and (other or not common or (here.name, here.layout) != (new.name, new.layout)):
        source = by_track[other.track].source if other else old[0].source
        what = f"the session name `{new.name}` is taken here by another recording ({visible(source)})"
        hint = "Nothing was written. `--as NAME` imports it under another name"
        raise UserError(what, where=place, hint=hint)
    added = [replace(row, line=0) for row in new.rows if row.track not in by_track]
    rows = [*old, *added]
    if new.layout == "live":
        rows.sort(key=lambda row: row.part or 0)
    merged = {name: list(session.rows) for name, session in known.items()} | {new.name: rows}
    return [row for group in merged.values() for row in group]


def place_files(bundle: OpenBundle, before: SessionPlan, *, root: Path, force: bool = False) -> Imported:
    """Put a bundle's files in place, step by step; the plan says what is done here already.

    Args:
        bundle: it was verified.
        before: the session as it is here now.
        root: the project's folder.
        force: replace what was made here in another way, too.
    """
    result, done = Imported(bundle.about.session), _done(before, root)
    steps, entries = list(bundle.steps()), list(bundle.about.files)
    chosen: dict[str, Output] = {}
    for step in steps:
        if step.name not in done or (force and done[step.name] != step.provenance.key):
            if _is_complete(step, root):
                chosen |= {entry.path: entry for entry in step.files}
        elif done[step.name] != step.provenance.key:
            result.kept.append(step.name)
        else:  # audio, say, that was left out of what was pulled
            chosen |= {entry.path: entry for entry in step.files if not (root / entry.path).exists()}
    of_steps = {entry.path for step in steps for entry in step.files}
    chosen |= {e.path: e for e in entries if e.path not in of_steps and not (root / e.path).exists()}
    wanted = [entry for entry in entries if entry.path in chosen and not _is_here(entry, root)]
    with files.staged(root, ((entry.path, bundle.blocks(entry)) for entry in wanted)):
        for entry in wanted:
            if entry.path.startswith(SETTINGS):
                clear(root / entry.path)
    result.placed = [entry.path for entry in wanted]
    return result


def edits_differ(bundle: OpenBundle, root: Path) -> bool:
    """Return whether a bundle has other corrections than there are here, which stay."""
    edits = corrections.path_of(bundle.about.session).as_posix()
    found = [entry for entry in bundle.about.files if entry.path == edits]
    return any((root / edits).exists() and not _is_here(entry, root) for entry in found)


def _done(plan: SessionPlan, root: Path) -> dict[str, str]:
    """Return the keys of the steps of which nothing is to be done here."""
    undone = plan.pending.keys() | plan.blocked.keys()
    return {
        step.name: step.key
        for step in plan.steps
        if not step.keyed and step.outputs[0] not in undone and (root / step.record).exists()
    }


def _is_complete(step: StepFiles, root: Path) -> bool:
    """Return whether all that a step made is in the bundle or here; a part may count on parts before it."""
    brought = {entry.path for entry in step.files}
    return all(
        output.path in brought or output.path in step.provenance.left_out or _is_here(output, root)
        for output in step.provenance.outputs
    )


def _is_here(entry: Output, root: Path) -> bool:
    path = root / entry.path
    return path.is_file() and path.stat().st_size == entry.size and files.sha256(path) == entry.sha256


def bundles_in(folder: Path) -> list[Path]:
    """Return the bundles of a folder."""
    return sorted(path for path in folder.glob("[!.]*.zip") if path.is_file())
