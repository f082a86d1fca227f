"""Where tracks are cut into chunks, and where they lie in their session."""

from __future__ import annotations

import itertools
import math
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
"""Share of a chunk's length within which a cut may move: cuts that move less than half of it cannot cross."""
UNHEARD_S = 0.1
"""From here on (in seconds) a hole between two slices of a stream is a gap; encoders leave less."""
OVERLAP_S = 1.0
"""Slices of a stream may begin so much before the end of the one in front (in seconds)."""
LONGEST_GAP_S = 6 * 3600
"""A longer gap by a stream's clock (in seconds) is taken for another clock."""
SMOOTHED_FRAMES = 5
"""Frames of energy that are averaged where a cut is forced (160 ms: about a syllable)."""


def chunk_files(plans: Iterable[ChunkPlan], folder: Path) -> list[Path]:
    """Return the transcripts of all chunks of these tracks, which lie in the folder named by their key."""
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
    """Find the speech in a track, cut it into chunks and write the plan.

    The cores tile the track exactly. A cut lies within `options.search_s` of the place that makes the chunks
    equally long (and within 0.4 of a chunk), at the centre of the longest pause there if that is at least
    `options.min_silence_s` long, else where the track is quietest. With more chunks than samples some cores
    are empty.

    Args:
        audio: the track, 16 kHz mono.
        session: name of the session.
        track: name of the track.
        chunks: number of cores, from `chunk_count`; 1 for a part of a live session.
        options: lengths in seconds.
        output: the plan to write.
        length_s: how long the track was taken to be, in seconds, when its chunks were counted.

    Raises:
        UserError: the audio is missing or damaged, or so much longer or shorter that it has other chunks.
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
    """Return the `chunks - 1` cuts of a track, in order: where (in samples) and of which kind."""
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
    """Return the centre of the longest pause, of equally long ones the nearest; None if all are too short."""
    least = min_silence_s * SAMPLE_RATE
    centres = {(start + stop) // 2: stop - start for start, stop in silences if stop - start >= least}
    return min(centres, key=lambda centre: (-centres[centre], abs(centre - target)), default=None)


def _quietest(energy: NDArray[np.float32], target: int, low: int, high: int) -> int:
    """Return the centre of the quietest frame with its centre in `[low, high]`; without one, `target`."""
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
    """Return the cores between the cuts, which tile `[0, samples)`."""
    ends: list[tuple[int, CutKind]] = [(0, "edge"), *cuts, (samples, "edge")]
    return [
        PlannedChunk(index=index, start=start, stop=stop, start_cut=start_cut, stop_cut=stop_cut)
        for index, ((start, start_cut), (stop, stop_cut)) in enumerate(itertools.pairwise(ends))
    ]


@dataclass
class _Line:
    """The parts of a live session, one after the other, with the gaps between them.

    A gap is as long as the clock of the recorder's stream says, where the part behind it is a slice of one;
    else as long as what is missing is known to be, or as the parts usually are (``usual``, in samples).
    """

    usual: Samples
    tracks: list[TimelineTrack] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    open: list[tuple[str, Samples]] = field(default_factory=list)
    position: Samples = 0

    def lack(self, reason: str, length: Samples = 0) -> None:
        """Note that something is missing here, of a length in samples if that is known."""
        self.open.append((reason, length or self.usual))

    def close(self, stop: Samples | None = None) -> None:
        """End the gap here, or at a time in samples; what is missing shares it in proportion."""
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
        """Put a part behind what is there; ``origin`` is where the stream that it is a slice of begins."""
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
    """Return where the parts of a live session lie."""
    rows.sort(key=lambda row: math.inf if row[1] is None else row[1])
    lengths = sorted(track.samples for track, _, _ in rows if not track.missing)
    line = _Line(lengths[(len(lengths) - 1) // 2] if lengths else 0)
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
    """Put the tracks of a session on one clock and write that down.

    The track of a recording, and all tracks of a session of tracks, begin at 0. The parts of a live session
    follow one another by number (parts without a number come last, as given). A missing number, or a part
    that is unusable, is a gap, of the parts' median length if its own is unknown. A live session
    begins with its lowest number: some recorders count on from an earlier session.

    Args:
        session: name of the session.
        layout: layout of the session.
        conversions: its converted tracks.
        parts: the number of each track's part in a live session, else None.
        speakers: who is to be heard on each track, where that is known.
        headers: the number of the part that has the header of the stream that each track is a slice of.
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
