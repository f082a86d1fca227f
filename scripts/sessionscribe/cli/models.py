"""``models``: list installed and available models, and download them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sessionscribe.cli.options import argument, command
from sessionscribe.config import settings
from sessionscribe.core.errors import UserError, meant, one_by_one
from sessionscribe.engines import fetch as fetching
from sessionscribe.engines import models, package_models
from sessionscribe.stages.preflight import preflight

GATED = "from the hub, where you accept a licence and log in (HF_TOKEN or `hf auth login`)"


@command("models")
def show(_: argparse.Namespace) -> int:
    """List installed and available models, or download them."""
    print("\n".join(_listing()))
    return 0


@command("models fetch", argument("names", "NAME", "as `sessionscribe models` lists them", nargs="+"))
def fetch(options: argparse.Namespace) -> int:
    """Download models to this machine."""
    return one_by_one({name: name for name in options.names}, _fetch)


def _fetch(name: str) -> None:
    """Download a model and print its folder.

    Raises:
        UserError: there is no such model, or it cannot be downloaded.
    """
    say = partial(print, file=sys.stderr, flush=True)
    if name in models.WHISPER:
        folder = fetching.ensure_speech(models.WHISPER[name], say=say)
    elif name in models.DIARIZATION:
        folder = preflight.ensure_pipeline(models.DIARIZATION[name], say=say)
    else:
        raise UserError("there is no such model", where=name, hint=meant(name, _names()))
    print(f"{name}: {folder} ({_megabytes(folder)})")


def _names() -> dict[str, str]:
    """Return all models by the first of their names."""
    every = models.WHISPER | models.DIARIZATION
    first = {model: name for name, model in reversed(every.items())}
    return {name: model for name, model in every.items() if first[model] == name and name != settings.OFF}


def _listing() -> Iterator[str]:
    """Yield lines about installed and available models, and about the choice of ``auto``."""
    here = {name: folder for name in _names() if (folder := _locate(name))}
    table = [("model", "for", "from", "size", "folder")]
    table += [_row(name, folder) for name, folder in here.items()]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table if here else ():
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
    yield f"{'' if here else 'No models here.'}\n`sessionscribe models fetch NAME…` fetches"
    packages = [package.name for package in package_models.PACKAGE_MODELS]
    others = [name for name in _names() if name not in packages]
    for how, names in (
        ("from the package registry, without an account", packages),
        ("from the hub", [name for name in others if name in models.WHISPER]),
        (GATED, [name for name in others if name in models.DIARIZATION]),
    ):
        if rest := [name for name in names if name not in here]:
            yield f"  {how}: {', '.join(rest)}"
    device = models.machine_device()
    auto = models.auto_names(device, here=True)[0]
    yield f"\n`transcribe.model: auto` is `{auto}` on this machine ({device})."
    yield f"`diarize.model: auto` is `{models.auto_pipelines()[0]}` on this machine."


def _row(name: str, folder: Path) -> tuple[str, str, str, str, str]:
    package = package_models.find(_names()[name])
    origin = "packages" if package and folder == package.folder else "hub"
    kind = "speech" if name in models.WHISPER else "diarization"
    return name, kind, origin, _megabytes(folder), str(folder)


def _locate(name: str) -> Path | None:
    return models.locate(_names()[name], models.WHISPER_FILES if name in models.WHISPER else ())


def _megabytes(folder: Path) -> str:
    return f"{sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 1e6:.0f} MB"
