"""Keys: short fingerprints of everything that determines a file."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

VERSIONS: Mapping[str, int] = {
    "fetch_recording": 1,
    "convert_audio": 1,
    "plan_chunks": 5,
    "build_timeline": 2,
    "draw_waveform": 1,
    "detect_language": 4,
    "transcribe_chunk": 13,
    "merge_transcript": 8,
    "embed_chunk": 1,
    "cluster_speakers": 4,
    "assign_speakers": 6,
    "embed_voice": 1,
    "name_speakers": 2,
    "audit_session": 6,
    "correct_transcript": 6,
    "write_export": 9,
}
"""Raise a rule's number when its code changes what it writes: nothing else tracks imported code."""


def fingerprint(*parts: object) -> str:
    """Return 12 hexadecimal digits for ``parts``, which may be anything that JSON can represent."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


_versions: ContextVar[Mapping[str, int]] = ContextVar("versions", default=VERSIONS)


def step_key(rule: str, *parts: object) -> str:
    """Return the key of a rule's output: the rule, its version and everything else that determines it."""
    return fingerprint(rule, _versions.get()[rule], *parts)


@contextmanager
def as_of(versions: Mapping[str, int]) -> Iterator[None]:
    """Compute keys with these versions of the rules within the ``with`` block."""
    token = _versions.set(versions)
    try:
        yield
    finally:
        _versions.reset(token)
