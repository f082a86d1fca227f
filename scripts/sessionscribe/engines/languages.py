"""The languages that speech models have codes for."""

from __future__ import annotations


def is_known(code: str) -> bool:
    """Return whether a code (`en`, `yue`) is one that a speech model can be told."""
    from faster_whisper.tokenizer import _LANGUAGE_CODES  # noqa: PLC0415 -- heavy

    return code in _LANGUAGE_CODES
