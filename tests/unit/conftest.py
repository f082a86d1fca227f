"""What unit tests share."""

import os

import pytest


@pytest.fixture
def fast_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small files: that they survive a power cut is not what is tested here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
