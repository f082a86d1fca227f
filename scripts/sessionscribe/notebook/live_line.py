"""Lines that are replaced in place, so that hours of progress are no flood of output."""

from __future__ import annotations

import importlib
import re
from typing import Any

PROGRESS = re.compile(r"\s*\d+%  ")
"""How lines begin that say how far a run is."""


class LiveLine:
    """A few lines of text that ``show`` replaces; what is printed in between stays above or below it."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._text = ""

    def show(self, *lines: str) -> None:
        """Show these lines in the place of those before."""
        text = "\n".join(line for line in lines if line)
        if text == self._text:
            return
        self._text = text
        try:
            display: Any = importlib.import_module("IPython.display").display
        except ImportError:
            print(text, flush=True)
            return
        content = {"text/plain": text}
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)
