"""Session bundles: everything that a session's steps have made so far, in a ZIP for another machine.

A work bundle includes the converted audio, so the recording is not needed; a bundle of results does not; a
part has only what other bundles lack. Results are identified by their keys, so after an import the plan
decides what is due. The same content gives the same bytes.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping
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
from sessionscribe.planning.steps import told
from sessionscribe.stages.correct import table as corrections

SECTIONS = ("convert", "chunk", "transcribe", "merge", "diarize", "name", "audit", "export")
"""The sections of the settings that keys depend on."""
MODELS = {"transcribe": "speech", "diarize": "speakers"}
"""The model that a section of the settings names."""
PLACES = {("name", "voices"), ("name", "table"), ("export", "audio"), ("export", "pdf_fonts")}
"""Settings that name files: section and name."""
REQUIREMENTS = sessionscribe.PACKAGE.parents[1] / "envs/requirements.txt"
MODEL = re.compile(r"bundles/models/[0-9a-f]{16}/[^/]+")
"""Files of speech models from bundles, in a folder named after the model's identity."""
Differences = dict[tuple[str, str], tuple[object, object]]
"""Values of settings, by section and name: ours and a bundle's."""
DIGESTS = ("md5", "sha256")
"""Checksums written beside a bundle, for ``md5sum`` and ``sha256sum``."""


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
    """Write the finished files of a session to a bundle in ``folder``, with its checksums beside it.

    Args:
        plan: the session.
        config: the settings that it was made with.
        folder: where to write it.
        root: the project's folder.
        kind: with audio (``work``), without (``results``), or only what is not ``known`` (``part``).
        known: path and SHA-256 of files in other bundles.
        number: the number of a part, for its name.
        with_model: include the speech model if it is a local folder.

    Returns:
        The bundle's path and manifest; None if it would contain nothing new.

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
    with atomic_path(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:  # stored
        for file in (SessionFile.of(MANIFEST, bundle.text().encode()), *new):
            file.add_to(archive)
    for name, digest in digests_of(target).items():
        write_text(target.with_name(f"{target.name}.{name}"), f"{digest}  {target.name}\n")
    return target, bundle


def _name(bundle: SessionBundle, number: int) -> str:
    """Return a bundle's name; parts of the same number from two machines have different names."""
    if bundle.kind != "part":
        return f"{bundle.session}.{bundle.kind}.zip"
    return f"{bundle.session}.part-{number:04}-{sha256(bundle.text().encode()).hexdigest()[:6]}.zip"


def _engine(plan: SessionPlan) -> str:
    """Return the name and type of a session's speech model; "" if it cannot be processed."""
    options = told(plan.plan.works).get("transcribe", {})
    return f"{Path(options['model']).name}, {options['compute_type']}" if "model" in options else ""


def _model_files(plan: SessionPlan) -> Iterator[SessionFile]:
    """Yield the files of the speech model.

    Raises:
        UserError: the folder contains something else.
    """
    folder = Path(told(plan.plan.works).get("transcribe", {}).get("model", ""))
    identity = models_of(plan).get("speech", "").removeprefix("folder:")
    for path in sorted(folder.iterdir()) if folder.name and folder.is_dir() else ():
        name = f"bundles/models/{identity}/{path.name}"
        if not MODEL.fullmatch(name) or not is_plain(name) or not path.is_file():
            hint = "Remove everything but the model's own files from the folder"
            raise UserError("is not a file of a speech model", where=path, hint=hint)
        entry = Output(path=name, size=path.stat().st_size, sha256=files.sha256(path))
        yield SessionFile(entry, partial(files.blocks, path))


def models_of(plan: SessionPlan) -> dict[str, str]:
    """Return the identities of a session's models for speech and speakers."""
    return next((step.settings["made"]["models"] for step in plan.of("assign_speakers")), {})


def digests_of(path: Path) -> dict[str, str]:
    """Return the checksums of a file for ``DIGESTS``, reading it once."""
    found = {name: hashlib.new(name, usedforsecurity=False) for name in DIGESTS}
    for block in files.blocks(path):
        for digest in found.values():
            digest.update(block)
    return {name: digest.hexdigest() for name, digest in found.items()}


def differences(about: SessionBundle, config: Config, models: Mapping[str, str]) -> Differences:
    """Return the settings that differ: ours and the bundle's.

    Settings that do not affect the result (device and batch size) are left out, and so is the path of a model
    that is the same as ours.
    """
    ours, theirs = config.model_dump(mode="json"), about.settings
    found: Differences = {}
    for section in SECTIONS:
        same = {"device", "batch_size"}
        if (kind := MODELS.get(section)) and about.models.get(kind) == models.get(kind):
            same.add("model")
        for name in sorted((ours[section].keys() & theirs.get(section, {}).keys()) - same):
            if ours[section][name] != theirs[section][name]:
                found[section, name] = ours[section][name], theirs[section][name]
    return found


def usable(about: SessionBundle, differences: Differences, root: Path) -> dict[str, dict[str, object]]:
    """Return a bundle's settings that are safe to use: none that name files or unknown models.

    Models may contain programs; only speech models that came with the bundle are known not to.
    """
    names_of = {"transcribe": WHISPER, "diarize": DIARIZATION}
    brought = f"bundles/models/{about.models.get('speech', '').removeprefix('folder:')}"
    found: dict[str, dict[str, object]] = {}
    for (section, name), (_, value) in differences.items():
        if name == "model" and value != "auto" and value not in names_of[section]:
            if section == "transcribe" and MODEL.fullmatch(f"{brought}/x") and (root / brought).is_dir():
                found.setdefault(section, {})[name] = brought
        elif (section, name) not in PLACES:
            found.setdefault(section, {})[name] = value
    return found


def requirements_note(bundle: SessionBundle) -> str:
    """Return a note if a bundle was made with other packages than this checkout pins, or ""."""
    if bundle.requirements == files.sha256(REQUIREMENTS):
        return ""
    return "made with other versions of packages: the results stay valid, and their records name the versions"
