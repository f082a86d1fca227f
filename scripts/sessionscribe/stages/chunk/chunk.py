"""chunk: cut tracks into chunks, and position tracks in their session."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sessionscribe.artifacts.base import Layout, Samples
from sessionscribe.artifacts.plan import (
    ChunkPlan,
    CutKind,
    Gap,
    PlannedChunk,
    Timeline,
    TimelineTrack,
    chunk_count,
)
from sessionscribe.artifacts.recording import Conversion
from sessionscribe.audio.flac import open_audio
from sessionscribe.config.settings import Chunk
from sessionscribe.core.errors import UserError
from sessionscribe.core.intervals import Interval, common, outside
from sessionscribe.core.units import SAMPLE_RATE, tolerance_s
from sessionscribe.engines.vad import FRAME, Scan, scan

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CROSSING = 0.4
"""How far a cut may move, as a share of the chunk; below one half, cuts cannot cross."""
UNHEARD_S = 0.1
"""Shortest hole between two slices of a stream that is a gap; encoders leave shorter ones."""
OVERLAP_S = 1.0
"""How much a slice of a stream may overlap the previous one."""
LONGEST_GAP_S = 6 * 3600
"""Longest gap by a stream's clock; a longer one means that the clock has changed."""
SMOOTHED_FRAMES = 5
"""Frames whose energy is averaged to place a forced cut (160 ms, about a syllable)."""


def chunk_files(plans: Iterable[ChunkPlan], folder: Path) -> list[Path]:
    """Return the paths of the transcripts of all chunks of some tracks, in the folder of their key."""
    return [folder / f"{plan.track}.{index:04d}.json" for plan in plans for index in range(len(plan.cores))]


def plan_chunks(
    *,
    audio: Path,
    session: str,
    track: str,
    chunks: int,
    options: Chunk,
    output: Path,
    length_s: float | None = None,
) -> ChunkPlan:
    """Detect the speech of a track, cut it into chunks and write the plan.

    Chunks tile the track exactly. Each cut is within `options.search_s` (and 0.4 chunks) of the place that
    makes chunks equally long: at the centre of the longest pause of at least `options.min_silence_s`, or else
    at the quietest place.

    Args:
        audio: the track, 16 kHz mono.
        session: name of the session.
        track: name of the track.
        chunks: number of chunks, from `chunk_count`; 1 for a part of a live session.
        options: lengths in seconds.
        output: the plan to write.
        length_s: the length for which chunks were counted, in seconds.

    Raises:
        UserError: the audio is missing or damaged, or its length requires another number of chunks.
    """
    if length_s is not None:
        with open_audio(audio) as file:
            found_s = file.frames / SAMPLE_RATE
        right = chunk_count(found_s, options.target_s)
        if right != chunks and abs(found_s - length_s) > tolerance_s(length_s):
            what = f"is {found_s:.1f} s long, not {length_s:.1f} s as noted: chunks {right}, not {chunks}"
            hint = "Run again (`sessionscribe run` does so by itself)"
            raise UserError(what, where=f"{session}, track {track}", hint=hint)
    found = scan(audio, options.vad)
    plan = ChunkPlan(
        session=session,
        track=track,
        samples=found.samples,
        cores=tile(found.samples, place_cuts(found, chunks, options)),
        speech=found.speech,
    )
    plan.write(output)
    return plan


def place_cuts(found: Scan, chunks: int, options: Chunk) -> list[tuple[int, CutKind]]:
    """Return the position (in samples) and kind of the `chunks - 1` cuts of a track."""
    silences = outside([(0, found.samples)], [(span.start, span.stop) for span in found.voiced])
    reach = min(options.search_s * SAMPLE_RATE, CROSSING * found.samples / chunks)
    cuts: list[tuple[int, CutKind]] = []
    for number in range(1, chunks):
        target = number * found.samples // chunks
        low, high = math.ceil(target - reach), math.floor(target + reach)
        clean = _pause(common(silences, [(low, high)]), target, options.min_silence_s)
        if clean is not None:
            cuts.append((clean, "silence"))
        else:
            cuts.append((_quietest(found.energy, target, low, high), "forced"))
    return cuts


def _pause(silences: list[Interval], target: int, min_silence_s: float) -> int | None:
    """Return the centre of the longest (then nearest) pause; None if all are too short."""
    least = min_silence_s * SAMPLE_RATE
    centres = {(start + stop) // 2: stop - start for start, stop in silences if stop - start >= least}
    return min(centres, key=lambda centre: (-centres[centre], abs(centre - target)), default=None)


def _quietest(energy: NDArray[np.float32], target: int, low: int, high: int) -> int:
    """Return the centre of the quietest frame centred in `[low, high]`, or `target` if there is none."""
    import numpy as np  # noqa: PLC0415 -- heavy

    first = max(0, math.ceil((low - FRAME // 2) / FRAME))
    last = min(len(energy) - 1, (high - FRAME // 2) // FRAME)
    if first > last:
        return target
    half = SMOOTHED_FRAMES // 2
    around = np.pad(energy, half, mode="edge")[first : last + 1 + 2 * half].astype(np.float64)
    smooth = np.convolve(around, np.ones(SMOOTHED_FRAMES), mode="valid")
    centres = np.arange(first, last + 1) * FRAME + FRAME // 2
    return int(centres[np.lexsort((np.abs(centres - target), smooth))[0]])


def tile(samples: int, cuts: list[tuple[int, CutKind]]) -> list[PlannedChunk]:
    """Return the chunks between cuts, which tile `[0, samples)`."""
    ends: list[tuple[int, CutKind]] = [(0, "edge"), *cuts, (samples, "edge")]
    return [
        PlannedChunk(index=index, start=start, stop=stop, start_cut=start_cut, stop_cut=stop_cut)
        for index, ((start, start_cut), (stop, stop_cut)) in enumerate(itertools.pairwise(ends))
    ]


@dataclass
class _Line:
    """The parts of a live session one after the other, with gaps between them.

    The length of a gap follows from the stream's clock if the next part is a slice of a stream. Otherwise it
    is the known length of the missing audio, or the usual length of parts (``usual``, in samples).
    """

    usual: Samples
    tracks: list[TimelineTrack] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    open: list[tuple[str, Samples]] = field(default_factory=list)
    position: Samples = 0

    def lack(self, reason: str, length: Samples = 0) -> None:
        """Add missing audio to the gap, with its length in samples if known."""
        self.open.append((reason, length or self.usual))

    def close(self, stop: Samples | None = None) -> None:
        """End the gap, at ``stop`` if given; missing pieces share its length in proportion."""
        lengths = [length for _, length in self.open]
        room = sum(lengths) if stop is None else max(0, stop - self.position)
        if not self.open and room > UNHEARD_S * SAMPLE_RATE:
            self.open, lengths = [("the recorder's clock went on, but it recorded nothing", room)], [room]
        edges = [
            self.position + room * done // max(1, sum(lengths)) for done in itertools.accumulate(lengths)
        ]
        for (reason, _), (start, end) in zip(
            self.open, itertools.pairwise([self.position, *edges]), strict=True
        ):
            self.gaps.append(Gap(start=start, stop=end, reason=reason))
        self.position = edges[-1] if edges else self.position + room
        self.open = []

    def add(self, track: Conversion, speaker: str | None, origin: Samples | None) -> None:
        """Append a part; ``origin`` is the start of the stream of which it is a slice."""
        own = None if origin is None else track.starts_s
        starts = None if own is None else (origin or 0) + round(own * SAMPLE_RATE)
        ahead_s = math.inf if starts is None else (starts - self.position) / SAMPLE_RATE
        self.close(starts if -OVERLAP_S <= ahead_s <= LONGEST_GAP_S else None)
        self.tracks.append(
            TimelineTrack(track=track.track, offset=self.position, samples=track.samples, speaker=speaker)
        )
        self.position += track.samples


def _live_line(
    rows: list[tuple[Conversion, int | None, str | None]], headers: Mapping[str, int | None]
) -> _Line:
    """Return the positions of the parts of a live session."""
    rows.sort(key=lambda row: math.inf if row[1] is None else row[1])
    line = _Line(usual=statistics.median_low([t.samples for t, _, _ in rows if not t.missing] or [0]))
    following = min((part for _, part, _ in rows if part is not None), default=0)
    offsets: dict[int | None, Samples] = {}
    for track, part, speaker in rows:
        if part is not None:
            for number in range(following, part):
                line.lack(f"part {number} is missing")
            following = part + 1
        line.add(track, speaker, offsets.get(headers.get(track.track)))
        if part is not None:
            offsets[part] = line.tracks[-1].offset
        if track.missing:
            name = track.track if part is None else f"part {part}"
            line.lack(f"{name} {track.missing}", round(track.missing_s * SAMPLE_RATE))
    line.close()
    return line


def build_timeline(
    *,
    session: str,
    layout: Layout,
    conversions: list[Conversion],
    parts: list[int | None],
    speakers: list[str | None],
    headers: list[int | None] | None = None,
    output: Path,
) -> Timeline:
    """Position the tracks of a session and write the timeline.

    Tracks start at 0, but the parts of a live session follow one another by number (those without a number
    come last). A missing number or an unusable part is a gap, of the median length of parts if its own is
    unknown. A live session starts with its lowest number, since some recorders continue counting.

    Args:
        session: name of the session.
        layout: layout of the session.
        conversions: the converted tracks.
        parts: for each track of a live session, its part number.
        speakers: for each track, its speaker if known.
        headers: for each slice of a stream, the number of the part that has the stream's header.
        output: the timeline to write.
    """
    rows = list(zip(conversions, parts, speakers, strict=True))
    if layout == "live":
        names = [track.track for track in conversions]
        line = _live_line(rows, dict(zip(names, headers or [None] * len(names), strict=True)))
        tracks, gaps, position = line.tracks, line.gaps, line.position
    else:
        tracks = [
            TimelineTrack(track=track.track, offset=0, samples=track.samples, speaker=speaker)
            for track, _, speaker in rows
        ]
        gaps, position = [], max(track.samples for track in tracks)
    timeline = Timeline(session=session, layout=layout, samples=position, tracks=tracks, gaps=gaps)
    timeline.write(output)
    return timeline
