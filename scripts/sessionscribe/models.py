"""Which models there are by name, and what identifies one; no model is touched here."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from sessionscribe.errors import UserError
from sessionscribe.files import sampled_sha256

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
    "community-1": "pyannote/speaker-diarization-community-1",
    "3.1": "pyannote/speaker-diarization-3.1",
}
AUTO_MODEL = {"cuda": "large-v3-turbo", "cpu": "small"}
AUTO_COMPUTE_TYPE = {"cuda": "float16", "cpu": "int8"}


def machine_device() -> str:
    """Return ``cuda`` where an NVIDIA driver is loaded and not hidden, else ``cpu``; costs microseconds."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return "cuda" if Path("/dev/nvidiactl").exists() and not hidden else "cpu"


def resolve(name: str, presets: dict[str, str], *, setting: str) -> str:
    """Return the hub id or the folder that ``name`` stands for.

    Raises:
        UserError: ``name`` is neither a preset, nor a folder that exists, nor looks like a hub id.
    """
    if name in presets:
        return presets[name]
    if Path(name).is_dir():
        return name
    if (
        name.count("/") == 1
        and not name.startswith((".", "/", "~"))
        and not Path(name.partition("/")[0]).is_dir()
    ):
        return name
    near = difflib.get_close_matches(name, presets, n=1, cutoff=0)[0]
    what = f"there is no model `{name}`"
    raise UserError(
        what, where=f"configuration: {setting}", hint=f"Did you mean `{near}`, or a folder that exists?"
    )


def identity(model: str) -> str:
    """Return what names a resolved model in fingerprints: the hub id, or a folder's checksum."""
    return f"folder:{sampled_sha256(Path(model))[:16]}" if Path(model).is_dir() else model


def describe(model: str) -> str:
    """Return a model's name for transcripts: a folder's with its checksum, a hub id with the commit."""
    if Path(model).is_dir():
        return f"{Path(model).name} ({identity(model)})"
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415 -- heavy

    for name in ("config.json", "config.yaml"):
        found = try_to_load_from_cache(model, name)
        if isinstance(found, str):
            return f"{model} (commit:{Path(found).parent.name[:16]})"
    return model


def unloadable(kind: str, model: str, setting: str, error: Exception) -> UserError:
    """Return the error for a model that is there and does not get onto the GPU."""
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    hint = f"Check the driver and the free memory of the GPU, or set `{setting}: cpu`"
    return UserError(f"the {kind} cannot be loaded on the GPU ({reason})", where=model, hint=hint)


def unavailable(kind: str, model: str, setting: str, error: Exception) -> UserError:
    """Return the error for a model that cannot be had; it names the three ways out."""
    demo = "resources/demo/models/" + (
        "whisper-demo" if setting.startswith("transcribe") else "diarization-demo"
    )
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    hint = (
        "Three ways out: log in (HF_TOKEN or `hf auth login`; accept the licence on the model's page), "
        f"or set `{setting}` to a local folder, or to the demo model `{demo}` (for trying out only)"
    )
    return UserError(f"the {kind} cannot be had ({reason})", where=model, hint=hint)
