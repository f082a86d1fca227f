"""Times in seconds, milliseconds and samples: what is decided by lengths is decided in whole numbers."""

from __future__ import annotations

import re

SAMPLE_RATE = 16_000


def seconds(samples: int) -> float:
    """Return a position in samples as seconds, rounded to a millisecond (half of one upwards, everywhere)."""
    return (samples * 1000 + SAMPLE_RATE // 2) // SAMPLE_RATE / 1000


def milliseconds(time_s: float) -> int:
    """Return seconds as whole milliseconds.

    What is decided by lengths of time is decided in whole numbers: between floats of seconds, the same pause
    is a little longer at one place of a recording than at another.
    """
    return round(time_s * 1000)


def tolerance_s(duration_s: float) -> float:
    """Return by how much a recording may be longer or shorter than was noted, in seconds."""
    return max(2.0, 0.02 * duration_s)


def clock(time_s: float) -> str:
    """Return seconds as ``hh:mm:ss``."""
    minutes, second = divmod(int(time_s), 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}"


def parse_clock(text: str) -> float | None:
    """Return the seconds of a time such as ``1:02:03.5``, ``62:03.5`` or ``3723.5``; None for other text."""
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d{1,3}):)?(\d+(?:[.,]\d+)?)", text)
    if not match:
        return None
    hours, minutes, rest = match.groups()
    second = float(rest.replace(",", "."))
    if minutes and second >= 60:
        return None
    return round(3600 * int(hours or 0) + 60 * int(minutes or 0) + second, 3)


def exact_clock(time_s: float | None) -> str:
    """Return seconds as ``hh:mm:ss.mmm``, nothing as nothing."""
    if time_s is None:
        return ""
    whole, ms = divmod(milliseconds(time_s), 1000)
    return f"{clock(whole)}.{ms:03d}"
