"""Session bundles: all that a session's steps have made so far, in one ZIP that any machine can go on with.

A bundle to work on has the converted audio, so that nothing needs the recording; one of results has not; a
part has only what others lack. Nothing in it is a second notion of what is done: results are known by their
keys, and after an import the plan decides. The same content gives the same bytes.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path

import sessionscribe
from sessionscribe.artifacts.bundle import MANIFEST, Kind, SessionBundle
from sessionscribe.artifacts.provenance import Output
from sessionscribe.config.settings import Config
from sessionscribe.core import files
from sessionscribe.core.errors import UserError
from sessionscribe.core.files import atomic_path, write_text
from sessionscribe.engines.models import DIARIZATION, WHISPER
from sessionscribe.manifest import manifest
from sessionscribe.planning.session import SessionPlan
from sessionscribe.planning.session_files import (
    SessionFile,
    files_to_pack,
    finished_files,
    is_audio,
    is_plain,
    session_files,
)
from sessionscribe.planning.steps.work import told
from sessionscribe.stages.correct import table as corrections

SECTIONS = ("convert", "chunk", "transcribe", "merge", "diarize", "name", "audit", "export")
"""The sections of the configuration that keys depend on."""
MODELS = {"transcribe": "speech", "diarize": "speakers"}
"""Which model a section of the configuration names."""
PLACES = {("name", "voices"), ("name", "table"), ("export", "audio"), ("export", "pdf_fonts")}
"""Settings that name files, as section and name."""
REQUIREMENTS = sessionscribe.PACKAGE.parents[1] / "envs/requirements.txt"
MODEL = re.compile(r"bundles/models/[0-9a-f]{16}/[^/]+")
"""Files of speech models that came with bundles, in a folder named by the model's identity."""
DIGESTS = ("md5", "sha256")
"""What is written beside a bundle, as ``md5sum`` and ``sha256sum`` check it."""


def write_bundle(
    plan: SessionPlan,
    config: Config,
    folder: Path,
    *,
    root: Path,
    kind: Kind,
    known: Collection[tuple[str, str]] = (),
    number: int = 0,
    with_model: bool = False,
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
        with_model: pack the speech model, too, where that is a folder of this machine.

    Returns:
        The bundle's file and its contents; None if there is nothing that is not known.

    Raises:
        UserError: a file is not what the job that made it wrote down.
    """
    kept = [path for path in finished_files(plan, root) if kind != "results" or not is_audio(path)]
    left_out = [path for path in session_files(plan) if is_audio(path) and path not in kept]
    edits = corrections.path_of(plan.session.name).as_posix()
    if (root / edits).is_file():
        kept.append(edits)
    packed = [*files_to_pack(root, kept, left_out), *(_model_files(plan) if with_model else ())]
    new = [file for file in packed if (file.entry.path, file.entry.sha256) not in known]
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
        files=[file.entry for file in new],
        left_out=left_out,
    )
    target = folder / _name(bundle, number)
    write_archive(target, bundle, new)
    for name, digest in digests_of(target).items():
        write_text(target.with_name(f"{target.name}.{name}"), f"{digest}  {target.name}\n")
    return target, bundle


def _name(bundle: SessionBundle, number: int) -> str:
    """Return a bundle's name; no two parts have one, even where two machines count alike."""
    if bundle.kind != "part":
        return f"{bundle.session}.{bundle.kind}.zip"
    return f"{bundle.session}.part-{number:04}-{sha256(bundle.text().encode()).hexdigest()[:6]}.zip"


def _engine(plan: SessionPlan) -> str:
    """Say what a session is transcribed with; "" where it cannot be worked on."""
    options = told(plan.plan.works).get("transcribe", {})
    return f"{Path(options['model']).name}, {options['compute_type']}" if "model" in options else ""


def _model_files(plan: SessionPlan) -> Iterator[SessionFile]:
    """Yield the files of the speech model.

    Raises:
        UserError: it is no folder that speech models are.
    """
    folder = Path(told(plan.plan.works).get("transcribe", {}).get("model", ""))
    identity = models_of(plan).get("speech", "").removeprefix("folder:")
    for path in sorted(folder.iterdir()) if folder.name and folder.is_dir() else ():
        name = f"bundles/models/{identity}/{path.name}"
        if not MODEL.fullmatch(name) or not is_plain(name) or not path.is_file():
            hint = "Leave the model's own files in it, and nothing else"
            raise UserError("is no file of a speech model", where=path, hint=hint)
        entry = Output(path=name, size=path.stat().st_size, sha256=files.sha256(path))
        yield SessionFile(entry, partial(files.blocks, path))


def models_of(plan: SessionPlan) -> dict[str, str]:
    """Return what identifies the models that a session's words and speakers are found by."""
    return next((step.settings["made"]["models"] for step in plan.of("assign_speakers")), {})


def write_archive(target: Path, bundle: SessionBundle, content: Iterable[SessionFile]) -> None:
    """Write a bundle's ZIP file."""
    with atomic_path(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:  # stored
        for file in (SessionFile.of(MANIFEST, bundle.text().encode()), *content):
            file.add_to(archive)


def digests_of(path: Path) -> dict[str, str]:
    """Return the checksums of a file that lie beside a bundle, in one reading."""
    found = {name: hashlib.new(name, usedforsecurity=False) for name in DIGESTS}
    for block in files.blocks(path):
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


def usable(
    about: SessionBundle, differences: Mapping[str, Mapping[str, tuple[object, object]]], root: Path
) -> dict[str, dict[str, object]]:
    """Return those of a bundle's settings that may be taken over.

    None that names files, or a model that is not one of ours by name, as models can hold programs: but speech
    models that came with a bundle hold none.
    """
    names_of = {"transcribe": WHISPER, "diarize": DIARIZATION}
    brought = f"bundles/models/{about.models.get('speech', '').removeprefix('folder:')}"
    found: dict[str, dict[str, object]] = {}
    for section, names in differences.items():
        for name, (_, value) in names.items():
            if name == "model" and value != "auto" and value not in names_of[section]:
                if section == "transcribe" and MODEL.fullmatch(f"{brought}/x") and (root / brought).is_dir():
                    found.setdefault(section, {})[name] = brought
            elif (section, name) not in PLACES:
                found.setdefault(section, {})[name] = value
    return found


def requirements_note(bundle: SessionBundle) -> str:
    """Say whether a bundle was made with the packages that this clone pins; "" if it was."""
    if bundle.requirements == files.sha256(REQUIREMENTS):
        return ""
    return "other pinned packages: results stay valid, their records say with which they were made"
