"""Import bundles: write their files where the steps would have written them; what is done here stays.

A bundle may also be imported under another session name. Then audio, chunks and chunk results are kept, and
the rest is made again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from sessionscribe.artifacts.bundle import SessionBundle
from sessionscribe.artifacts.provenance import Output
from sessionscribe.core import files, seal
from sessionscribe.core.errors import UserError, visible
from sessionscribe.manifest import manifest, names
from sessionscribe.manifest.manifest import Row, Session
from sessionscribe.planning.session import SessionPlan
from sessionscribe.planning.session_files import SessionFile, write_files
from sessionscribe.planning.settings_files import SETTINGS, settings_text
from sessionscribe.planning.steps import STAGE_OF
from sessionscribe.sharing.bundle import MODEL
from sessionscribe.sharing.bundle_reader import KEYED, OpenBundle, StepFiles, refused
from sessionscribe.stages.correct import table as corrections

STAGES = ("ingest", "convert", "chunk")
"""Stages that are kept as a whole; of the others, only chunk transcripts and embeddings are."""


@dataclass
class Imported:
    """What imports did to a session, the last one of the bundle ``about``.

    ``placed`` are new files, ``kept`` steps that are done differently here.
    """

    about: SessionBundle
    placed: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)


def merged_rows(known: dict[str, Session], new: Session, place: str) -> list[Row]:
    """Return the rows of the manifest with those of a bundle added.

    Known recordings keep their row, and so their source. New parts of a live session are added.

    Raises:
        UserError: another session has the same name here.
    """
    here = next((one for one in known.values() if names.folded(one.name) == names.folded(new.name)), None)
    old = here.rows if here else ()
    by_track = {row.track: row for row in old}
    common = [row for row in new.rows if row.track in by_track]
    other = next((row for row in common if by_track[row.track].checksum != row.checksum), None)
    if here and (other or not common or (here.name, here.layout) != (new.name, new.layout)):
        source = by_track[other.track].source if other else old[0].source
        what = f"the session name `{new.name}` is used for another recording here ({visible(source)})"
        hint = "Nothing was written. `--as NAME` imports it under another name"
        raise UserError(what, where=place, hint=hint)
    added = [replace(row, line=0) for row in new.rows if row.track not in by_track]
    rows = [*old, *added]
    if new.layout == "live":
        rows.sort(key=lambda row: row.part or 0)
    merged = {name: list(session.rows) for name, session in known.items()} | {new.name: rows}
    return [row for group in merged.values() for row in group]


def place_files(
    bundle: OpenBundle, before: SessionPlan, result: Imported, *, root: Path, force: bool = False
) -> None:
    """Write a verified bundle's files, except those of steps that are done here, and note that in ``result``.

    ``before`` is the session before the import. With ``force``, results made differently here are replaced.
    """
    done, steps = _done(before, root), list(bundle.steps())
    chosen: set[str] = set()
    for step in steps:
        key, paths = done.get(step.name), {entry.path for entry in step.files}
        if key is None or (force and key != step.provenance.key):
            chosen |= paths if _is_complete(step, root) else set()
        elif key != step.provenance.key:
            result.kept.add(step.name)
        else:  # files that a pulled session lacks, such as audio
            chosen |= {path for path in paths if not (root / path).exists()}
    of_steps = {entry.path for step in steps for entry in step.files}
    wanted = (
        entry
        for entry in bundle.about.files
        if (entry.path in chosen if entry.path in of_steps else not (root / entry.path).exists())
        and not _is_here(entry, root)
    )
    result.placed |= {*write_files(root, ((entry.path, bundle.blocks(entry)) for entry in wanted))}


def edits_differ(bundle: OpenBundle, root: Path) -> bool:
    """Return whether a bundle's corrections differ from those here, which stay."""
    edits = corrections.path_of(bundle.about.session).as_posix()
    found = [entry for entry in bundle.about.files if entry.path == edits]
    return any((root / edits).exists() and not _is_here(entry, root) for entry in found)


def _done(plan: SessionPlan, root: Path) -> dict[str, str]:
    """Return the keys of the steps that are done here."""
    undone = plan.pending.keys() | plan.blocked.keys()
    return {
        step.name: step.key
        for step in plan.steps
        if not step.keyed and step.outputs[0] not in undone and (root / step.record).exists()
    }


def _is_complete(step: StepFiles, root: Path) -> bool:
    """Return whether all outputs of a step are in the bundle or here, from earlier parts."""
    brought = {entry.path for entry in step.files}
    return all(
        output.path in brought or output.path in step.provenance.left_out or _is_here(output, root)
        for output in step.provenance.outputs
    )


def _is_here(entry: Output, root: Path) -> bool:
    path = root / entry.path
    return path.is_file() and path.stat().st_size == entry.size and files.sha256(path) == entry.sha256


def renamed(bundle: OpenBundle, name: str) -> OpenBundle:
    """Return a verified bundle with another name of its session.

    Raises:
        UserError: no session can have this name, or a file cannot be read.
    """
    if why := names.fault(name):
        raise UserError(f"is not a valid session name ({why})", where=name, hint="Choose another one")
    old = bundle.about.session
    steps = [step for step in bundle.steps() if STAGE_OF.get(step.provenance.rule) in STAGES]
    records = {step.record: step.provenance for step in steps}
    wanted = {entry.path for step in steps for entry in step.files}
    moved: dict[str, Output] = {}

    def there(entry: Output) -> Output:
        return moved.get(entry.path) or entry.model_copy(update={"path": _path(entry.path, old, name)})

    files: list[SessionFile] = []
    for entry in bundle.about.files:
        if not (entry.path in wanted or KEYED.fullmatch(entry.path) or MODEL.fullmatch(entry.path)):
            continue
        path = _path(entry.path, old, name)
        if (record := records.get(entry.path)) is not None:
            changes = {
                "outputs": [there(output) for output in record.outputs],
                "inputs": [there(read) for read in record.inputs],
                "left_out": [_path(audio, old, name) for audio in record.left_out],
            }
            files.append(SessionFile.of(path, record.model_copy(update=changes).sealed().encode()))
        elif path.endswith(".json") and not MODEL.fullmatch(path):
            files.append(SessionFile.of(path, _renamed_content(bundle, entry, name)))
        else:
            files.append(SessionFile(there(entry), partial(bundle.blocks, entry)))
        moved[entry.path] = files[-1].entry
    rows = manifest.table(replace(row, session=name) for row in bundle.session().rows)
    changes = {"session": name, "rows": rows, "files": [file.entry for file in files]}
    left_out = [_path(path, old, name) for path in bundle.about.left_out]
    about = bundle.about.model_copy(update={**changes, "left_out": left_out})
    contents = {file.entry.path: file.content for file in files}
    return OpenBundle(bundle.place, about, lambda entry: contents[entry.path]())


def _path(path: str, old: str, name: str) -> str:
    """Return the path of a session's file in another session; other paths stay as they are."""
    top, stage, first, *rest = path.split("/") if path.count("/") > 1 else ("", "", path)
    if top != "results" or first.partition(".")[0] != old:
        return path
    return "/".join([top, stage, name + first.removeprefix(old), *rest])


def _renamed_content(bundle: OpenBundle, entry: Output, name: str) -> bytes:
    """Return a JSON file's content with another session's name in it."""
    try:
        content = seal.read_json(b"".join(bundle.blocks(entry))) | {"session": name}
        if entry.path.startswith(SETTINGS):
            return settings_text(content).encode()
        return seal.sealed(json.dumps(content, ensure_ascii=False, separators=(",", ":"))).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise refused(bundle.place, f"{entry.path} cannot be read ({error})") from error
