"""Colab's machine: that it was released is noted in a file."""

import os
from pathlib import Path


def unassign() -> None:
    Path(os.environ["FAKE_RELEASED"]).touch()
