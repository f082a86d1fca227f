"""Session bundles: all that a session's steps have made so far, in one ZIP that any machine can go on with.

A bundle to work on has the converted audio, so that nothing needs the recording; one of results has not; a
part has only what others lack. Nothing in it is a second notion of what is done: results are known by their
keys, and after an import the plan decides. The same content gives the same bytes.
"""

from __future__ import annotations

import hashlib
import stat
import zipfile
from collections.abc import Collection, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import sessionscribe
from sessionscribe.artifacts.bundle import MANIFEST, Kind, SessionBundle
from sessionscribe.artifacts.provenance import Output
from sessionscribe.config.settings import Config
from sessionscribe.core import files
from sessionscribe.core.files import BLOCK, atomic_path, write_text
from sessionscribe.manifest import manifest
from sessionscribe.planning.session import SessionPlan
from sessionscribe.planning.session_files import (
    RECORDS,
    changed,
    finished_files,
    is_audio,
    record_without,
    recorded,
    session_files,
)
from sessionscribe.planning.steps.work import told
from sessionscribe.stages.correct import table as corrections

SECTIONS = ("convert", "chunk", "transcribe", "merge", "diarize", "name", "audit", "export")
"""The sections of the configuration that keys depend on."""
MODELS = {"transcribe": "speech", "diarize": "speakers"}
"""Which model a section of the configuration names."""
REQUIREMENTS = sessionscribe.PACKAGE.parents[1] / "envs/requirements.txt"
DIGESTS = ("md5", "sha256")
"""What is written beside a bundle, as ``md5sum`` and ``sha256sum`` check it."""
_FILE_MODE = (stat.S_IFREG | 0o644) << 16


def write_bundle(
    plan: SessionPlan,
    config: Config,
    folder: Path,
    *,
    root: Path,
    kind: Kind,
    known: Collection[tuple[str, str]] = (),
    number: int = 0,
) -> tuple[Path, SessionBundle] | None:
    """Write what is finished of a session to ``folder``, with its checksums beside it.

    Args:
        plan: the session.
        config: the settings that it was made with.
        folder: where to put it.
        root: the project's folder.
        kind: with audio (``work``), without (``results``), or only what is not ``known`` (``part``).
        known: path and SHA-256 of files that other bundles have.
        number: of a part, in its name.

    Returns:
        The bundle's file and its contents; None if there is nothing that is not known.

    Raises:
        UserError: a file is not what the job that made it wrote down.
    """
    here = finished_files(plan, root)
    kept = [path for path in here if kind != "results" or not is_audio(path)]
    left_out = [path for path in session_files(plan) if is_audio(path) and path not in kept]
    records = {
        path: record_without((root / path).read_bytes(), left_out)
        for path in kept
        if path.startswith(RECORDS)
    }
    edits = corrections.path_of(plan.session.name).as_posix()
    if (root / edits).is_file():
        kept.append(edits)
    digests = recorded(root, kept)
    entries = [_entry(root, path, records, digests) for path in kept]
    new = [entry for entry in entries if (entry.path, entry.sha256) not in known]
    if not new:
        return None
    bundle = SessionBundle(
        kind=kind,
        session=plan.session.name,
        rows=manifest.table(plan.session.rows),
        settings={name: config.model_dump(mode="json")[name] for name in SECTIONS},
        models=models_of(plan),
        engine=_engine(plan),
        program=sessionscribe.__version__,
        requirements=files.sha256(REQUIREMENTS),
        files=new,
        left_out=left_out,
    )
    target = folder / _name(bundle, number)
    _write(target, bundle, root, records)
    return target, bundle


def _name(bundle: SessionBundle, number: int) -> str:
    """Return a bundle's name; no two parts have one, even where two machines count alike."""
    if bundle.kind != "part":
        return f"{bundle.session}.{bundle.kind}.zip"
    return f"{bundle.session}.part-{number:04}-{sha256(bundle.text().encode()).hexdigest()[:6]}.zip"


def _entry(root: Path, path: str, records: Mapping[str, bytes], digests: Mapping[str, str]) -> Output:
    """Return size and checksum of a file; what a record says of it is compared when it is packed."""
    if (data := records.get(path)) is not None:
        return Output(path=path, size=len(data), sha256=sha256(data).hexdigest())
    digest = digests.get(path) or files.sha256(root / path)
    return Output(path=path, size=(root / path).stat().st_size, sha256=digest)


def _engine(plan: SessionPlan) -> str:
    """Say what a session is transcribed with; "" where it cannot be worked on."""
    options = told(plan.plan.works).get("transcribe", {})
    return f"{Path(options['model']).name}, {options['compute_type']}" if "model" in options else ""


def models_of(plan: SessionPlan) -> dict[str, str]:
    """Return what identifies the models that a session's words and speakers are found by."""
    return next((step.settings["made"]["models"] for step in plan.of("assign_speakers")), {})


def _write(target: Path, bundle: SessionBundle, root: Path, records: Mapping[str, bytes]) -> None:
    with atomic_path(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:  # stored
        archive.writestr(_member(MANIFEST), bundle.text())
        for entry in bundle.files:
            about = _member(entry.path)
            about.file_size = entry.size  # whether it takes the form for large ones
            digest = sha256()
            with archive.open(about, "w") as member:
                for block in [records[entry.path]] if entry.path in records else blocks(root / entry.path):
                    digest.update(block)
                    member.write(block)
            if digest.hexdigest() != entry.sha256:
                raise changed(entry.path)
    for name, found in digests_of(target).items():
        write_text(target.with_name(f"{target.name}.{name}"), f"{found}  {target.name}\n")


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)  # of no date
    member.create_system, member.external_attr = 3, _FILE_MODE
    return member


def blocks(path: Path) -> Iterator[bytes]:
    """Yield the content of a file in blocks."""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def digests_of(path: Path) -> dict[str, str]:
    """Return the checksums of a file that lie beside a bundle, in one reading."""
    found = {name: hashlib.new(name, usedforsecurity=False) for name in DIGESTS}
    for block in blocks(path):
        for digest in found.values():
            digest.update(block)
    return {name: digest.hexdigest() for name, digest in found.items()}


def differences(
    about: SessionBundle, config: Config, models: Mapping[str, str]
) -> dict[str, dict[str, tuple[object, object]]]:
    """Return the settings that differ, by section and name: ours and the bundle's.

    On which device and how many windows at once they work is left out: it is no matter of the result. So is
    where a model lies, if it is the same as ours.
    """
    ours, theirs = config.model_dump(mode="json"), about.settings
    found: dict[str, dict[str, tuple[object, object]]] = {}
    for section in SECTIONS:
        same = {"device", "batch_size"}
        if (kind := MODELS.get(section)) and about.models.get(kind) == models.get(kind):
            same.add("model")
        for name in sorted((ours[section].keys() & theirs.get(section, {}).keys()) - same):
            if ours[section][name] != theirs[section][name]:
                found.setdefault(section, {})[name] = ours[section][name], theirs[section][name]
    return found


def requirements_note(bundle: SessionBundle) -> str:
    """Say whether a bundle was made with the packages that this clone pins; "" if it was."""
    if bundle.requirements == files.sha256(REQUIREMENTS):
        return ""
    return "other pinned packages: results stay valid, their records say with which they were made"
