"""Logs of one JSON object a line, which several processes append to."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def append(file: Path, record: Mapping[str, Any]) -> None:
    """Append a line, all at once. A full disk costs the line, not the work."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, f"{json.dumps(record, ensure_ascii=False)}\n".encode())
        finally:
            os.close(descriptor)


def read(file: Path, offset: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the records after the first ``offset`` bytes; a line that a full disk cut off is left out."""
    try:
        lines = file.read_bytes()[offset:].decode(errors="replace").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record
