"""Are the models there? Asked before any other work and before any GPU is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import yaml

from sessionscribe import models
from sessionscribe.engines.whisper import FOLDER_FILES, check_folder
from sessionscribe.errors import UserError
from sessionscribe.files import write_text


def check_models(
    *, speech: list[str], diarization: list[str], output: Path, log: Callable[[str], None]
) -> None:
    """Fetch hub models into the hub's cache, check folders, and write what was found to ``output``.

    Args:
        speech: speech models (folder or hub id).
        diarization: diarization pipelines (folder or hub id).
        output: a text file, one line per model.
        log: gets one line per model.

    Raises:
        UserError: a model cannot be had; the message names the ways out.
    """
    lines = []
    for model in speech:
        patterns = [*FOLDER_FILES, "preprocessor_config.json", "vocabulary.*"]
        here = Path(model).is_dir()
        check_folder(Path(model) if here else _fetch(model, "speech model", "transcribe.model", patterns))
        lines.append(f"speech model: {models.describe(model)}")
    for model in diarization:
        if not Path(model).is_dir():
            _fetch_pipeline(model)
        elif not (Path(model) / "config.yaml").is_file():
            hint = "Point `diarize.model` to a folder with a pipeline's config.yaml and its models"
            raise UserError("is no pyannote pipeline (config.yaml missing)", where=model, hint=hint)
        lines.append(f"diarization pipeline: {models.describe(model)}")
    for line in lines:
        log(line)
    write_text(output, "".join(f"{line}\n" for line in lines))


def _fetch_pipeline(model: str) -> None:
    """Bring a pipeline and the hub models that its configuration names into the hub's cache."""
    folder = _fetch(model, "diarization pipeline", "diarize.model", None)
    parts = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["pipeline"]["params"]
    # A pipeline without a PLDA of its own takes that of community-1, whatever its clustering.
    for part in [*parts.values(), *([] if "plda" in parts else [models.DIARIZATION["community-1"]])]:
        name = part.get("checkpoint", "") if isinstance(part, dict) else part
        if isinstance(name, str) and "/" in name and not name.startswith("$"):
            _fetch(name.partition("@")[0], "diarization model", "diarize.model", None)


def _fetch(model: str, kind: str, setting: str, patterns: list[str] | None) -> Path:
    """Bring a hub model into the hub's cache, where it is not there yet, and return its folder."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import huggingface_hub  # noqa: PLC0415

    try:
        try:
            return Path(
                huggingface_hub.snapshot_download(model, allow_patterns=patterns, local_files_only=True)
            )
        except huggingface_hub.errors.LocalEntryNotFoundError:
            return Path(huggingface_hub.snapshot_download(model, allow_patterns=patterns))
    except Exception as error:
        raise models.unavailable(kind, model, setting, error) from error
