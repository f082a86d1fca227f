"""chunk: cut tracks into chunks, and position tracks in their session."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable
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
    alone: bool = False,
) -> ChunkPlan:
    """Detect the speech of a track, cut it into chunks and write the plan.

    Chunks tile the track exactly. Each cut is within `options.search_s` (and 0.4 chunks) of the place that
    makes chunks equally long: at the centre of the longest pause of at least `options.min_silence_s`, or else
    at the quietest place. `length_s` is the length for which chunks were counted, in seconds. `alone`
    is whether the track has one speaker.

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
    found = scan(audio, options.vad, alone=alone)
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


def _live_positions(
    rows: list[tuple[Conversion, int | None, str | None, int | None]],
) -> tuple[list[TimelineTrack], list[Gap], Samples]:
    """Return the positions of the parts of a live session, the gaps between them, and the total length."""
    rows.sort(key=lambda row: math.inf if row[1] is None else row[1])
    usual = statistics.median_low([track.samples for track, *_ in rows if not track.missing] or [0])
    expected = min((part for _, part, _, _ in rows if part is not None), default=0)
    tracks: list[TimelineTrack] = []
    gaps: list[Gap] = []
    missing: list[tuple[str, Samples]] = []  # since the previous part
    offsets: dict[int | None, Samples] = {}
    position = 0
    for track, part, speaker, header in rows:
        if part is not None:
            missing += [(f"part {number} is missing", usual) for number in range(expected, part)]
            expected = part + 1
        origin, start = offsets.get(header), None
        if origin is not None and track.starts_s is not None:
            start = origin + round(track.starts_s * SAMPLE_RATE)
        found, position = _gaps_until(start, position, missing)
        gaps += found
        tracks.append(
            TimelineTrack(track=track.track, offset=position, samples=track.samples, speaker=speaker)
        )
        if part is not None:
            offsets[part] = position
        position += track.samples
        missing = []
        if track.missing:
            name = track.track if part is None else f"part {part}"
            missing = [(f"{name} {track.missing}", round(track.missing_s * SAMPLE_RATE) or usual)]
    found, position = _gaps_until(None, position, missing)
    return tracks, [*gaps, *found], position


def _gaps_until(
    start: Samples | None, position: Samples, missing: list[tuple[str, Samples]]
) -> tuple[list[Gap], Samples]:
    """Return the gaps from ``position`` to the next part, and the position of that part.

    If the part starts at ``start`` by the clock of its stream, missing pieces share the time until then in
    proportion. Otherwise they have their own lengths.
    """
    ahead_s = math.inf if start is None else (start - position) / SAMPLE_RATE
    if start is not None and -OVERLAP_S <= ahead_s <= LONGEST_GAP_S:
        room = max(0, start - position)
    else:
        room = sum(length for _, length in missing)
    if not missing:
        if room <= UNHEARD_S * SAMPLE_RATE:
            return [], position + room
        missing = [("the recorder's clock went on, but it recorded nothing", room)]
    lengths = [length for _, length in missing]
    edges = [
        position + room * done // max(1, sum(lengths)) for done in itertools.accumulate(lengths, initial=0)
    ]
    spans = zip(missing, itertools.pairwise(edges), strict=True)
    return [Gap(start=a, stop=b, reason=reason) for (reason, _), (a, b) in spans], edges[-1]


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
    headers = headers or [None] * len(conversions)
    rows = list(zip(conversions, parts, speakers, headers, strict=True))
    if layout == "live":
        tracks, gaps, position = _live_positions(rows)
    else:
        tracks = [
            TimelineTrack(track=track.track, offset=0, samples=track.samples, speaker=speaker)
            for track, _, speaker, _ in rows
        ]
        gaps, position = [], max(track.samples for track in tracks)
    timeline = Timeline(session=session, layout=layout, samples=position, tracks=tracks, gaps=gaps)
    timeline.write(output)
    return timeline
