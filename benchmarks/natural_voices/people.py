"""The people and their voices: the same in every conversation, with none shared by dev and test.

For a speaker encoder (GE2E, distance of unit vectors), the people in an ordinary conversation are as far
apart as real people: 0.72 to 1.0, where two sentences of one person are 0.25 to 0.35 apart.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Voice:
    """The source of a voice: the mean of some of Kokoro's styles, or Piper's only voice (``joe``)."""

    styles: tuple[str, ...]
    size: float = 1.0
    """Factor of all frequencies, including resonances; below 1 for a larger, deeper person."""
    speed: float = 1.0


_A, _G, _N, _T = "jf_alpha", "jf_gongitsune", "jf_nezumi", "jf_tebukuro"
_K, _J = "jm_kumo", "joe"

PEOPLE = {
    # test
    "anna": Voice((_A,), size=1.0, speed=0.97),
    "ben": Voice((_J,), size=1.0, speed=0.95),
    "clara": Voice((_G,), size=0.9, speed=1.1),
    "david": Voice((_K,), size=1.0, speed=1.0),
    "emma": Voice((_A,), size=0.82, speed=0.97),
    "frank": Voice((_K,), size=0.9, speed=1.02),
    "grace": Voice((_N,), size=1.0, speed=1.1),
    "henry": Voice((_J,), size=0.82, speed=0.95),
    "iris": Voice((_G,), size=0.82, speed=0.97),
    # test: similar voices (0.37 to 0.65)
    "tess": Voice((_T,), size=1.0, speed=1.1),
    "uma": Voice((_N,), size=1.05, speed=1.15),
    "vera": Voice((_G, _T), size=1.0, speed=1.1),
    "wanda": Voice((_A, _T), size=1.0, speed=1.05),
    # dev
    "laura": Voice((_T,), size=1.1, speed=1.1),
    "mark": Voice((_J,), size=0.9, speed=0.95),
    "nora": Voice((_A, _G), size=0.88, speed=1.05),
    "oscar": Voice((_J,), size=1.1, speed=0.95),
    "petra": Voice((_N,), size=0.9, speed=1.1),
    "quinn": Voice((_N, _K), size=0.88, speed=1.05),
    # dev: similar voices, with laura
    "rosa": Voice((_N, _T), size=1.08, speed=1.1),
    "sara": Voice((_G, _A), size=1.08, speed=1.05),
    # demo, with anna, ben, clara and david
    "alice": Voice((_N,), size=1.0, speed=1.1),
    "bob": Voice((_J,), size=0.82, speed=0.95),
}
