"""The sliding window of diarization, and the embedding chunks of a session, one for each job.

As with pyannote on a whole file, the windows of a session start at its first sample and have a fixed step. A
window belongs to the chunk that it starts in, so together the chunks have each window once. The manifest
alone determines the chunks.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sessionscribe.artifacts.plan import Timeline, chunk_count
from sessionscribe.core.errors import UserError
from sessionscribe.core.fingerprint import fingerprint
from sessionscribe.core.units import SAMPLE_RATE

REACH_S = 30.0
"""Longest audio after a chunk that its windows may depend on, in seconds: a window and a step."""


@dataclass(frozen=True)
class SlidingWindow:
    """Windows of ``window`` samples, every ``step`` samples."""

    window: int
    step: int

    def count(self, samples: int) -> int:
        """Return the number of windows in ``samples``; the last one may extend beyond the end."""
        if samples <= 0:
            return 0
        return 1 + max(0, -(-(samples - self.window) // self.step))

    def starting_in(self, start: int, stop: int | None, samples: int) -> range:
        """Return the windows of a session of ``samples`` that start in ``[start, stop)`` (None: the end)."""
        count = self.count(samples)
        first = min(count, -(-start // self.step))
        last = count if stop is None else min(count, -(-stop // self.step))
        return range(first, max(first, last))

    def span(self, windows: range, samples: int) -> tuple[int, int]:
        """Return the samples ``[start, stop)`` of a session of ``samples`` that these windows cover."""
        if not windows:
            return 0, 0
        return windows[0] * self.step, min(samples, windows[-1] * self.step + self.window)


@dataclass(frozen=True)
class EmbeddingChunk:
    """A part ``[start, stop)`` of a session, whose windows one job processes.

    Attributes:
        name: the name of the job's file.
        start: a sample of the session, or a track of a live session, whose position is unknown until the
            parts before it are converted.
        stop: likewise; None at the end of the session.
        tracks: the tracks that the windows may cover.
    """

    name: str
    start: int | str
    stop: int | str | None
    tracks: tuple[str, ...]

    def within(self, timeline: Timeline) -> tuple[int, int | None]:
        """Return start and stop in samples of the session.

        Raises:
            UserError: the timeline lacks the track of an end.
        """
        offsets = {track.track: track.offset for track in timeline.tracks}
        ends = self.start, self.stop
        if missing := [end for end in ends if isinstance(end, str) and end not in offsets]:
            hint = "Delete the file and run again: it is made again"
            raise UserError(f"has no track {missing[0]}", where=f"timeline of {timeline.session}", hint=hint)
        start, stop = (offsets[end] if isinstance(end, str) else end for end in ends)
        return start or 0, stop


def recording_names(count: int) -> tuple[str, ...]:
    """Return the names of the embedding chunks of a recording."""
    return tuple(f"{index:04d}" for index in range(count))


def of_recording(track: str, duration_s: float, chunk_s: float) -> list[EmbeddingChunk]:
    """Return the embedding chunks of a recording, each about ``chunk_s`` seconds long."""
    count, size = chunk_count(duration_s, chunk_s), round(chunk_s * SAMPLE_RATE)
    stops = [*(index * size for index in range(1, count)), None]
    return [
        EmbeddingChunk(name, index * size, stop, (track,))
        for index, (name, stop) in enumerate(zip(recording_names(count), stops, strict=True))
    ]


@dataclass(frozen=True)
class Part:
    """A part of a live session; its duration is from the manifest, ``key`` is that of its audio."""

    track: str
    number: int | None
    duration_s: float
    key: str


def of_live(parts: Sequence[Part], chunk_s: float) -> list[EmbeddingChunk]:
    """Return the embedding chunks of a live session, each of whole parts, about ``chunk_s`` seconds in all.

    A chunk's name contains a hash of what its windows depend on: the parts before it, which determine its
    position, its own parts, and those within `REACH_S` after it. So a new part at the end only changes the
    last chunks. A missing part is assumed to have the usual length, so after a gap a chunk depends on all
    parts.
    """
    ordered = sorted(parts, key=lambda part: math.inf if part.number is None else part.number)
    upto, running = [""], hashlib.sha256()
    for part in ordered:
        running.update(f"{part.number} {part.key}\n".encode())
        upto.append(running.hexdigest())
    found = []
    for index, (first, after) in enumerate(pairwise([*_cut(ordered, chunk_s), len(ordered)])):
        reached = _reached(ordered, after)
        start = ordered[first].track if first else 0
        stop = ordered[after].track if after < len(ordered) else None
        # Start and stop depend on durations, which conversion may correct.
        key = fingerprint(upto[reached], start, stop, upto[-1] if _has_gap(ordered[:reached]) else None)
        tracks = tuple(part.track for part in ordered[first:reached])
        found.append(EmbeddingChunk(f"{index:04d}-{key}", start, stop, tracks))
    return found


def _cut(parts: Sequence[Part], chunk_s: float) -> list[int]:
    """Return the first parts of the chunks; parts added at the end do not change those before them."""
    begins, length = [], math.inf
    for index, part in enumerate(parts):
        if length >= chunk_s:
            begins.append(index)
            length = 0.0
        length += part.duration_s
    return begins


def _reached(parts: Sequence[Part], after: int) -> int:
    """Return the first part that windows that start before the part ``after`` cannot cover."""
    length = 0.0
    while after < len(parts) and length < REACH_S:
        length += parts[after].duration_s
        after += 1
    return after


def _has_gap(parts: Sequence[Part]) -> bool:
    """Return whether a part is missing among these (in order) or has no audio."""
    known = [part.number for part in parts if part.number is not None]
    lacks = bool(known) and known[-1] - known[0] + 1 != len(known)
    return lacks or any(part.duration_s <= 0 for part in parts)
