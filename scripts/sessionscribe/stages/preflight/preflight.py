"""preflight: check models before any other work, and before a GPU is requested."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml

from sessionscribe.config import settings
from sessionscribe.core.errors import UserError
from sessionscribe.core.files import write_text
from sessionscribe.engines import fetch, models
from sessionscribe.engines.registry import diarization_engine, speech_engine


def check_models(
    *, speech: list[str], diarization: list[str], output: Path, log: Callable[[str], None]
) -> None:
    """Fetch missing models, check the folders of models, and write a line for each to ``output``.

    Models are folders or hub ids.

    Raises:
        UserError: a model is unavailable; the hint says what to do.
    """
    if diarization and not models.can_diarize():
        what = "torch and pyannote.audio, which tell speakers apart, are not installed"
        hint = f"Set `diarize.model: {settings.OFF}` (`--speakers off`), or `make setup LIGHT=0`"
        raise UserError(what, where=diarization[0], hint=hint)
    lines = []
    for model in speech:
        folder = fetch.ensure_speech(model, say=log)
        models.check_folder(folder, speech_engine(model).FILES)
        lines.append(f"speech model: {models.describe(model, models.WHISPER_FILES)}")
    for model in diarization:
        if not Path(model).is_dir():
            ensure_pipeline(model, say=log)
        else:
            models.check_folder(Path(model), diarization_engine(model).FILES)
        lines.append(f"diarization pipeline: {models.describe(model)}")
    for line in lines:
        log(line)
    write_text(output, "".join(f"{line}\n" for line in lines))


def ensure_pipeline(model: str, *, say: Callable[[str], None]) -> Path:
    """Return the folder of a pipeline after fetching it and the hub models that it uses, if missing.

    Raises:
        UserError: a model is unavailable; the hint says what to do.
    """
    folder = fetch.ensure(model, "diarization pipeline", "diarize.model", say=say)
    parts = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["pipeline"]["params"]
    # A pipeline without its own PLDA uses that of community-1.
    for part in [*parts.values(), *([] if "plda" in parts else [models.DIARIZATION["community-1"]])]:
        name = part.get("checkpoint", "") if isinstance(part, dict) else part
        if isinstance(name, str) and "/" in name and not name.startswith("$"):
            fetch.ensure(name.partition("@")[0], "diarization model", "diarize.model", say=say)
    return folder
