"""What unit tests share."""

import os

import pytest
from hypothesis import settings

# How long an example takes says nothing on a machine that is busy.
settings.register_profile("busy machine", deadline=None)
settings.load_profile("busy machine")


@pytest.fixture
def fast_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small files: that they survive a power cut is not what is tested here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
