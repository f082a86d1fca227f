"""A mixed conversation, and the truth about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from .media import SAMPLE_RATE, Audio


@dataclass(frozen=True)
class Word:
    """One spoken word; times in seconds from the start of the conversation."""

    text: str
    start: float
    end: float
    speaker: str


@dataclass(frozen=True)
class Turn:
    """One stretch of speech of one speaker; times in seconds."""

    speaker: str
    start: float
    end: float


@dataclass
class Conversation:
    """A mixed conversation; `waveform` and each of `stems` are float32, 16 kHz mono, shape (samples,)."""

    session: str
    waveform: Audio
    words: list[Word]
    turns: list[Turn]
    stems: dict[str, Audio] = field(default_factory=dict, repr=False)
    """Speech of each speaker alone, without noise, at the level it has in the mix."""

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.waveform) / SAMPLE_RATE

    def truth(self) -> dict[str, Any]:
        """The truth file's content: `session`, `duration_s`, `words`, `turns`."""

        def rows(items: Iterable[Word | Turn]) -> list[dict[str, Any]]:
            return [
                {k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(i).items()} for i in items
            ]

        return {
            "session": self.session,
            "duration_s": round(self.duration_s, 3),
            "words": rows(self.words),
            "turns": rows(self.turns),
        }
