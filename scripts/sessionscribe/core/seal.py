"""The checksum that a JSON file carries of itself: damage shows wherever it is read, without its record."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

_NAME, _END = b',"sha256":"', b'"}\n'
_DIGITS = 64


def sealed(text: str) -> str:
    """Return a JSON object with one more field at its end: the SHA-256 of all that stands before it."""
    body = text.rstrip()[:-1].rstrip().encode()
    return (body + _NAME + _digest(body) + _END).decode()


def unsealed(data: bytes) -> bytes:
    """Return a JSON object without its seal; what has none, as files of earlier versions, stays as it is.

    Raises:
        ValueError: the content is not what was sealed.
    """
    body, name, seal = data.rpartition(_NAME)
    if not name or len(seal) != _DIGITS + len(_END):
        return data
    if seal != _digest(body) + _END:
        raise ValueError("it is damaged: its content is not that of its checksum")
    return body + b"}\n"


def read_json(data: bytes) -> Any:
    """Return the content of a JSON file, sealed or not, that anybody may have written.

    Raises:
        ValueError: it is damaged, no JSON, or nested too deeply.
    """
    try:
        return json.loads(unsealed(data))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _digest(body: bytes) -> bytes:
    return sha256(body).hexdigest().encode()
