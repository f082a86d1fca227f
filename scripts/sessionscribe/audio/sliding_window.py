"""The grid of windows that diarization looks at, and the stretches of a session that one job each looks at.

The windows of a session lie on one grid from its first sample on, just as pyannote lays them over a whole
file. A window belongs to the stretch that it starts in, so the stretches together have every window once,
wherever they are cut. Which stretches there are follows from the manifest alone.
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
"""How far beyond a stretch its windows may depend on the audio, in seconds: a window and a step, at most."""


@dataclass(frozen=True)
class SlidingWindow:
    """Windows of ``window`` samples, one every ``step`` samples."""

    window: int
    step: int

    def count(self, samples: int) -> int:
        """Return how many windows a session of ``samples`` has; the last one may reach beyond its end."""
        if samples <= 0:
            return 0
        return 1 + max(0, -(-(samples - self.window) // self.step))

    def starting_in(self, start: int, stop: int | None, samples: int) -> range:
        """Return the windows that start in ``[start, stop)`` (None: the end) of a session of ``samples``."""
        count = self.count(samples)
        first = min(count, -(-start // self.step))
        last = count if stop is None else min(count, -(-stop // self.step))
        return range(first, max(first, last))

    def span(self, windows: range, samples: int) -> tuple[int, int]:
        """Return the samples ``[start, stop)`` of a session of ``samples`` that these windows look at."""
        if not windows:
            return 0, 0
        return windows[0] * self.step, min(samples, windows[-1] * self.step + self.window)


@dataclass(frozen=True)
class EmbeddingChunk:
    """A stretch of a session, ``[start, stop)``, whose windows one job looks at.

    An end is a sample of the session, or the track that begins there (the parts of a live session lie where
    their timeline says, which nobody knows before they are converted); ``stop`` is None at the end of the
    session. ``tracks`` are those whose audio its windows can reach, and ``name`` is the file's.
    """

    name: str
    start: int | str
    stop: int | str | None
    tracks: tuple[str, ...]

    def within(self, timeline: Timeline) -> tuple[int, int | None]:
        """Return both ends in samples of the session.

        Raises:
            UserError: the timeline lacks a track that the stretch begins or ends with.
        """
        begins = {track.track: track.offset for track in timeline.tracks}

        def place(end: int | str) -> int:
            if isinstance(end, int):
                return end
            if end not in begins:
                hint = "Delete the file and run again: it is made again"
                raise UserError(f"has no part {end}", where=f"timeline of {timeline.session}", hint=hint)
            return begins[end]

        return place(self.start), None if self.stop is None else place(self.stop)


def recording_names(count: int) -> tuple[str, ...]:
    """Return the names of the stretches of a recording that is cut into so many."""
    return tuple(f"{index:04d}" for index in range(count))


def of_recording(track: str, duration_s: float, chunk_s: float) -> list[EmbeddingChunk]:
    """Return the stretches of a recording, each about ``chunk_s`` seconds long."""
    count, size = chunk_count(duration_s, chunk_s), round(chunk_s * SAMPLE_RATE)
    stops = [*(index * size for index in range(1, count)), None]
    return [
        EmbeddingChunk(name, index * size, stop, (track,))
        for index, (name, stop) in enumerate(zip(recording_names(count), stops, strict=True))
    ]


@dataclass(frozen=True)
class Part:
    """A part of a live session: its track and number, its duration by the manifest, the key of its audio."""

    track: str
    number: int | None
    duration_s: float
    key: str


def of_live(parts: Sequence[Part], chunk_s: float) -> list[EmbeddingChunk]:
    """Return the stretches of a live session: whole parts, as many as make up ``chunk_s`` seconds.

    A stretch's name holds where it begins and ends, and what its windows depend on: the parts before it (they
    say where it lies), its own, and those after it as far as a window can reach. So a part that is added at
    the end leaves the earlier stretches as they are, but the last. A missing part is as long as the parts
    usually are: with a gap before it, a stretch depends on all parts.
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
        # These follow from lengths, which may become known more exactly.
        key = fingerprint(upto[reached], start, stop, upto[-1] if _has_gap(ordered[:reached]) else None)
        found.append(
            EmbeddingChunk(
                name=f"{index:04d}-{key}",
                start=start,
                stop=stop,
                tracks=tuple(part.track for part in ordered[first:reached]),
            )
        )
    return found


def _cut(parts: Sequence[Part], chunk_s: float) -> list[int]:
    """Return which parts begin a stretch; what is added at the end changes nothing before it."""
    begins, length = [], math.inf
    for index, part in enumerate(parts):
        if length >= chunk_s:
            begins.append(index)
            length = 0.0
        length += part.duration_s
    return begins


def _reached(parts: Sequence[Part], after: int) -> int:
    """Return the first part beyond the reach of windows that start before the part ``after``."""
    length = 0.0
    while after < len(parts) and length < REACH_S:
        length += parts[after].duration_s
        after += 1
    return after


def _has_gap(parts: Sequence[Part]) -> bool:
    """Return whether one of these parts (in order) is no good, or one is missing between them."""
    known = [part.number for part in parts if part.number is not None]
    lacks = bool(known) and known[-1] - known[0] + 1 != len(known)
    return lacks or any(part.duration_s <= 0 for part in parts)
