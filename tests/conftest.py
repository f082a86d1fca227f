"""Fixtures that several test modules share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder with real recordings, which the repository does not have; skip without it."""
    folder = Path(os.environ.get("SESSIONSCRIBE_SHARED", ROOT.parent / "shared"))
    if not (folder / "data" / "misc").is_dir():
        pytest.skip("no real recordings here (SESSIONSCRIBE_SHARED)")
    return folder
