"""Are the words in order, and inside the recording?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from sessionscribe.artifacts.chunk_transcript import Word
from sessionscribe.artifacts.merged import MergedWord
from sessionscribe.artifacts.plan import TimelineTrack
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.core.text import counted
from sessionscribe.core.units import SAMPLE_RATE

EPSILON_S = 0.0011  # times are rounded to a millisecond


def track_problems(track: TimelineTrack, words: Sequence[MergedWord]) -> list[str]:
    """Return what is wrong with the times of a track's words, which are given in the transcript's order."""
    begin, end = track.offset / SAMPLE_RATE, (track.offset + track.samples) / SAMPLE_RATE
    return _problems(track.track, [words], begin, end)


def transcript_problems(transcript: Transcript) -> list[str]:
    """Return what is wrong with the times of the transcript with speakers."""
    parts = [segment.words for segment in transcript.segments]
    return _problems("transcript", parts, 0.0, transcript.duration_s)


def _problems(name: str, parts: Sequence[Sequence[Word]], begin: float, end: float) -> list[str]:
    words = [word for part in parts for word in part]
    found = {
        "outside the recording": sum(
            word.start < begin - EPSILON_S or word.end > end + EPSILON_S for word in words
        ),
        "ending before the beginning": sum(word.end < word.start for word in words),
        "beginning before the word in front of it": sum(
            after.start < before.start for part in parts for before, after in pairwise(part)
        ),
    }
    return [f"{name}: {counted(count, 'word')} {what}" for what, count in found.items() if count]
