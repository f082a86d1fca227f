"""Names of models, their folders on this machine, and their identities. Nothing is loaded here."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

from sessionscribe.config.settings import OFF
from sessionscribe.core.errors import UserError, meant, visible
from sessionscribe.core.files import sampled_sha256
from sessionscribe.engines import package_models

WHISPER = {
    **{
        name: f"Systran/faster-whisper-{name}"
        for name in (
            *("tiny", "tiny.en", "base", "base.en", "small", "small.en", "medium", "medium.en"),
            *("large-v1", "large-v2", "large-v3"),
        )
    },
    "large": "Systran/faster-whisper-large-v3",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "distil-small.en": "Systran/faster-distil-whisper-small.en",
    "distil-medium.en": "Systran/faster-distil-whisper-medium.en",
    "distil-large-v2": "Systran/faster-distil-whisper-large-v2",
    "distil-large-v3": "Systran/faster-distil-whisper-large-v3",
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
}
DIARIZATION = {
    OFF: OFF,
    "community-1": "pyannote/speaker-diarization-community-1",
    "3.1": "pyannote/speaker-diarization-3.1",
    "open": "sessionscribe/open-2",
}
AUTO_PIPELINES = ("community-1", "open")
"""Candidates for ``diarize.model: auto``, best first; the second needs no account."""
AUTO_MODEL = {"cuda": "large-v3-turbo", "cpu": "small"}
AUTO_FALLBACK = "base"
"""The model of ``auto`` if the hub is not available; a package contains it."""
AUTO_COMPUTE_TYPE = {"cuda": "float16", "cpu": "int8"}
PIPELINE_FILES = ("config.yaml", "segmentation/*.bin", "embedding/*.bin", "plda/*.npz")
"""Files of these two pipelines; after an interrupted download some are missing."""
VOICE_DISTANCE = {DIARIZATION["open"]: 0.25}
"""Largest cosine distance between embeddings of one person; 0.5 for pipelines not listed."""
WHISPER_FILES = ("model.bin", "config.json", "tokenizer.json", "vocabulary.*")
"""Files of a CTranslate2 Whisper model; without ``tokenizer.json``, faster-whisper would ask the hub."""


def machine_device() -> str:
    """Return ``cuda`` if an NVIDIA driver is loaded and not hidden, else ``cpu``; takes microseconds."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return "cuda" if Path("/dev/nvidiactl").exists() and not hidden else "cpu"


def is_language(code: str) -> bool:
    """Return whether speech models know a language code (`en`, `yue`)."""
    from faster_whisper.tokenizer import _LANGUAGE_CODES  # noqa: PLC0415 -- heavy

    return code in _LANGUAGE_CODES


def can_diarize() -> bool:
    """Return whether torch and pyannote are installed, which a light set-up omits."""
    return all(map(importlib.util.find_spec, ("torch", "pyannote")))


def resolve(name: str, presets: dict[str, str], *, setting: str) -> str:
    """Return the hub id or folder that ``name`` stands for.

    Raises:
        UserError: ``name`` is not a preset, an existing folder or a possible hub id.
    """
    if name in presets:
        return presets[name]
    owner, *rest = name.split("/")
    is_hub_id = len(rest) == 1 and owner[:1] not in ("", ".", "~") and not Path(owner).is_dir()
    if is_hub_id or Path(name).is_dir():
        return name
    hint = f"{meant(name, presets)} A folder with a model works, too"
    raise UserError(f"there is no model `{visible(name)}`", where=f"configuration: {setting}", hint=hint)


def identity(model: str) -> str:
    """Return the name of a resolved model in fingerprints: the hub id, or a folder's checksum."""
    return f"folder:{sampled_sha256(Path(model))[:16]}" if Path(model).is_dir() else model


def locate(model: str, files: Sequence[str] = ()) -> Path | None:
    """Return the folder of a resolved model on this machine, or None; does not use the network.

    That is the model itself if it is a folder, else the hub's local cache, else the folder from packages.

    Args:
        model: a folder or a hub id.
        files: patterns of files without which a download to the hub's cache counts as incomplete.
    """
    if Path(model).is_dir():
        return Path(model)
    cached = _hub_snapshot(model)
    if cached and not missing_files(cached, files):
        return cached
    package = package_models.find(model)
    return package.folder if package and package.is_here() else None


def auto_names(device: str, *, here: bool) -> list[str]:
    """Return the candidates for ``auto`` on a device, best first.

    Args:
        device: ``cpu`` or ``cuda``.
        here: whether the device is this machine's; then models that are already on it come first.
    """
    names = [AUTO_MODEL[device], AUTO_FALLBACK]
    return sorted(names, key=lambda name: here and not locate(WHISPER[name], WHISPER_FILES))


def auto_pipelines() -> list[str]:
    """Return the candidates for ``diarize.model: auto``: those on this machine first, then best first.

    ``off`` is added if torch or pyannote is not installed.
    """
    found = sorted(AUTO_PIPELINES, key=lambda name: not locate(DIARIZATION[name], PIPELINE_FILES))
    return found if can_diarize() else [*found, OFF]


def voice_distance(described: str) -> float:
    """Return the largest distance between embeddings of one person, given a pipeline's description."""
    return VOICE_DISTANCE.get(described.partition(" ")[0], 0.5)


def missing_files(folder: Path, files: Sequence[str]) -> list[str]:
    """Return the patterns of ``files`` that match no file in a folder."""
    return [pattern for pattern in files if not any(path.is_file() for path in folder.glob(pattern))]


def check_folder(folder: Path, files: Sequence[str]) -> None:
    """Check that a folder has the files of a model.

    Raises:
        UserError: a file is missing.
    """
    if missing := missing_files(folder, files):
        hint = (
            "Choose a folder made by ct2-transformers-converter with its tokenizer.json for speech, or one "
            "with a pipeline's config.yaml and models for diarization"
        )
        raise UserError(f"is not a model ({', '.join(missing)} missing)", where=folder, hint=hint)


def _hub_snapshot(model: str) -> Path | None:
    """Return the folder of a hub model in the local cache of the hub's own library."""
    from huggingface_hub.constants import HF_HUB_CACHE  # noqa: PLC0415 -- only some need it

    repository = Path(HF_HUB_CACHE, f"models--{model.replace('/', '--')}")
    try:
        folder = repository / "snapshots" / (repository / "refs/main").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return folder if folder.is_dir() else None


def describe(model: str, files: Sequence[str] = ()) -> str:
    """Return a model's name and version for transcripts; ``files`` are as for ``locate``.

    The version is a folder's checksum, the commit in the hub's cache, or the packages of the model.
    """
    folder = locate(model, files)
    if folder is None:
        return model
    if folder == Path(model):
        return f"{folder.name} ({identity(model)})"
    package = package_models.find(model)
    if package and folder == package.folder:
        return f"{model} ({package.source})"
    return f"{model} (commit:{folder.name[:16]})"


def unloadable(kind: str, model: str, setting: str, error: Exception) -> UserError:
    """Return the error for a model that is on this machine but cannot be loaded on the GPU."""
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    hint = f"Check the driver and the free memory of the GPU, or set `{setting}: cpu`"
    if "libcublas" in reason:
        hint = f"Run `make setup GPU=1` (it was set up without a GPU), or set `{setting}: cpu`"
    return UserError(f"the {kind} cannot be loaded on the GPU ({reason})", where=model, hint=hint)


def unavailable(kind: str, model: str, setting: str, error: Exception | str) -> UserError:
    """Return the error for an unavailable model, with the reason and the alternatives."""
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    ways = [
        f"`sessionscribe models fetch {package.name}` (no account) for `{setting}: {package.name}` or `auto`"
        for package in package_models.PACKAGE_MODELS
        if package.setting == setting and package.model != model
    ]
    ways += [
        "log in (HF_TOKEN or `hf auth login`; accept the licence on the model's page)",
        f"set `{setting}` to a local folder",
    ]
    hint = f"Alternatives: {'; '.join(ways)}"
    return UserError(f"the {kind} is not available ({reason})", where=model, hint=hint)
