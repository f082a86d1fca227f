"""Are the words in order, and inside the recording?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from sessionscribe.artifacts.merged import MergedWord
from sessionscribe.artifacts.plan import TimelineTrack
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.core.text import counted
from sessionscribe.core.units import SAMPLE_RATE

EPSILON_S = 0.0011  # times are rounded to a millisecond


def track_problems(track: TimelineTrack, words: Sequence[MergedWord]) -> list[str]:
    """Return what is wrong with the times of a track's words, which are given in the transcript's order."""
    begin, end = track.offset / SAMPLE_RATE, (track.offset + track.samples) / SAMPLE_RATE
    outside = sum(w.start < begin - EPSILON_S or w.end > end + EPSILON_S for w in words)
    backwards = sum(word.end < word.start for word in words)
    disordered = sum(b.start < a.start for a, b in pairwise(words))
    return _said(track.track, outside, backwards, disordered)


def transcript_problems(transcript: Transcript) -> list[str]:
    """Return what is wrong with the times of the transcript with speakers."""
    words = [word for segment in transcript.segments for word in segment.words]
    outside = sum(word.end > transcript.duration_s + EPSILON_S for word in words)
    backwards = sum(word.end < word.start for word in words)
    disordered = sum(b.start < a.start for segment in transcript.segments for a, b in pairwise(segment.words))
    return _said("with speakers", outside, backwards, disordered)


def _said(name: str, outside: int, backwards: int, disordered: int) -> list[str]:
    found = {
        "outside the recording": outside,
        "ending before the beginning": backwards,
        "beginning before the word in front of it": disordered,
    }
    return [f"{name}: {counted(count, 'word')} {what}" for what, count in found.items() if count]
