"""How much each speaker talks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from sessionscribe.artifacts.audit import SpeakerShare
from sessionscribe.artifacts.speakers import Turn
from sessionscribe.artifacts.transcript import SpokenWord
from sessionscribe.core.units import milliseconds


def speaker_shares(
    turns: Iterable[Turn], words: Iterable[SpokenWord], *, speakers: Sequence[str], min_speaker_share: float
) -> list[SpeakerShare]:
    """Return the share of each speaker, in the order of ``speakers``.

    Args:
        turns: who speaks when, overlaps included: the time of both counts.
        words: of the transcript; those without a speaker count for nobody.
        speakers: whom to count.
        min_speaker_share: speakers with a smaller share of the speech are doubtful; 0: nobody.
    """
    times = dict.fromkeys(speakers, 0)
    for turn in turns:
        lasts = milliseconds(turn.end) - milliseconds(turn.start)
        times[turn.speaker] = times.get(turn.speaker, 0) + lasts
    said = Counter(word.speaker for word in words)
    total = sum(times.values())
    return [
        SpeakerShare(
            speaker=speaker,
            speech_s=time / 1000,
            share=round(time / total, 4) if total else 0.0,
            words=said[speaker],
            phantom=bool(total) and time < min_speaker_share * total,
        )
        for speaker, time in times.items()
    ]
