"""Language codes of speech models."""

from __future__ import annotations


def is_known(code: str) -> bool:
    """Return whether speech models know a language code (`en`, `yue`)."""
    from faster_whisper.tokenizer import _LANGUAGE_CODES  # noqa: PLC0415 -- heavy

    return code in _LANGUAGE_CODES
