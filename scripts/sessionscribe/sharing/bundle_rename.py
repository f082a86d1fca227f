"""A bundle as one of a session of another name: what was converted, cut and heard. The rest is made again."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

from sessionscribe.artifacts.provenance import Output, Provenance
from sessionscribe.core import seal
from sessionscribe.core.errors import UserError
from sessionscribe.manifest import manifest, names
from sessionscribe.planning.session_files import SessionFile
from sessionscribe.planning.settings_files import SETTINGS, settings_text
from sessionscribe.planning.steps import STAGE_OF
from sessionscribe.sharing.bundle import MODEL, write_archive
from sessionscribe.sharing.bundle_reader import KEYED, OpenBundle

STAGES = ("ingest", "convert", "chunk")
"""Of which all is taken along; of others the chunks' transcripts and embeddings."""


def rename(bundle: OpenBundle, name: str, target: Path) -> None:
    """Write a bundle to ``target`` as one of a session called ``name``.

    Args:
        bundle: it was verified.
        name: the session's.
        target: the file.

    Raises:
        UserError: no session can be called so.
    """
    if why := names.fault(name):
        raise UserError(f"cannot be a session name ({why})", where=name, hint="Give it another one")
    old = bundle.about.session
    records = {step.record: step.provenance for step in bundle.steps() if _is_kept(step.provenance)}
    wanted = {entry.path for step in bundle.steps() if step.record in records for entry in step.files}
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
            files.append(SessionFile.of(path, _content(b"".join(bundle.blocks(entry)), path, name)))
        else:
            files.append(SessionFile(there(entry), partial(bundle.blocks, entry)))
        moved[entry.path] = files[-1].entry
    rows = manifest.table(replace(row, session=name) for row in bundle.session().rows)
    changes = {"session": name, "rows": rows, "files": [file.entry for file in files]}
    left_out = [_path(path, old, name) for path in bundle.about.left_out]
    write_archive(target, bundle.about.model_copy(update={**changes, "left_out": left_out}), files)


def _is_kept(record: Provenance) -> bool:
    return STAGE_OF.get(record.rule) in STAGES


def _path(path: str, old: str, name: str) -> str:
    """Return what a session's file is called in another session; what is no result of it stays."""
    top, stage, first, *rest = path.split("/") if path.count("/") > 1 else ("", "", path)
    if top != "results" or first.partition(".")[0] != old:
        return path
    return "/".join([top, stage, name + first.removeprefix(old), *rest])


def _content(data: bytes, path: str, name: str) -> bytes:
    """Return a JSON file's content with another session's name in it."""
    content = json.loads(seal.unsealed(data)) | {"session": name}
    if path.startswith(SETTINGS):
        return settings_text(content).encode()
    return seal.sealed(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
