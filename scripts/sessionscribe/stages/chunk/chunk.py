"""Where tracks are cut into chunks, and where they lie in their session."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from sessionscribe.artifacts.base import Layout, Samples
from sessionscribe.artifacts.plan import ChunkPlan, CutKind, Gap, PlannedChunk, Span, Timeline, TimelineTrack
from sessionscribe.artifacts.recording import Conversion
from sessionscribe.config.settings import Chunk
from sessionscribe.core.errors import UserError
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.engines.vad import FRAME, Scan, scan

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CROSSING = 0.4
"""Share of a chunk's length within which a cut may move: cuts that move less than half of it cannot cross."""
MAX_MISSING = 10_000
"""More missing parts in a row are no gap: such numbers (dates, say) do not count parts."""
SMOOTHED_FRAMES = 5
"""Frames of energy that are averaged where a cut is forced (160 ms: about a syllable)."""


def chunk_files(plans: Iterable[ChunkPlan], folder: Path) -> list[Path]:
    """Return the transcripts of all chunks of these tracks, which lie in the folder named by their key."""
    return [folder / f"{plan.track}.{index:04d}.json" for plan in plans for index in range(len(plan.cores))]


def plan_chunks(
    *, audio: Path, session: str, track: str, chunks: int, options: Chunk, output: Path
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

    Raises:
        ValueError: `chunks` is below 1.
        UserError: the audio is missing or damaged.
    """
    if chunks < 1:
        raise ValueError(f"a track cannot have {chunks} chunks")
    found = scan(audio, options.vad)
    plan = ChunkPlan(
        session=session,
        track=track,
        samples=found.samples,
        cores=tile(found.samples, place_cuts(found, chunks, options)),
        speech=found.speech,
        faint=found.faint,
    )
    plan.write(output)
    return plan


def pauses(voiced: list[Span], samples: int) -> list[Span]:
    """Return the stretches of `[0, samples)` between the stretches of speech `voiced` (in order, apart)."""
    edges = [0, *(edge for span in voiced for edge in (span.start, span.stop)), samples]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [Span(start=start, stop=stop) for start, stop in pairs if stop > start]


def place_cuts(found: Scan, chunks: int, options: Chunk) -> list[tuple[int, CutKind]]:
    """Return the `chunks - 1` cuts of a track, in order: where (in samples) and of which kind."""
    silences = pauses(found.voiced, found.samples)
    reach = min(options.search_s * SAMPLE_RATE, CROSSING * found.samples / chunks)
    cuts: list[tuple[int, CutKind]] = []
    for number in range(1, chunks):
        target = number * found.samples // chunks
        low, high = math.ceil(target - reach), math.floor(target + reach)
        inside = [(max(low, span.start), min(high, span.stop)) for span in silences]
        clean = _pause(inside, target, options.min_silence_s)
        if clean is not None:
            cuts.append((clean, "silence"))
        else:
            cuts.append((_quietest(found.energy, target, low, high), "forced"))
    return cuts


def _pause(silences: list[tuple[int, int]], target: int, min_silence_s: float) -> int | None:
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


def build_timeline(
    *,
    session: str,
    layout: Layout,
    conversions: list[Conversion],
    parts: list[int | None],
    speakers: list[str | None],
    output: Path,
) -> Timeline:
    """Put the tracks of a session on one clock and write that down.

    The track of a recording, and all tracks of a session of tracks, begin at 0. The parts of a live session
    follow one another by number (parts without a number come last, as given); a missing number is a gap of
    the parts' median length. A live session begins with its lowest number: some recorders count on from an
    earlier session.

    Args:
        session: name of the session.
        layout: layout of the session.
        conversions: its converted tracks.
        parts: the number of each track's part in a live session, else None.
        speakers: who is to be heard on each track, where that is known.
        output: the timeline to write.

    Raises:
        UserError: two parts of a live session have the same number, or the numbers do not count parts.
        ValueError: the lists differ in length, or a recording has several tracks.
    """
    rows = list(zip(conversions, parts, speakers, strict=True))
    if not rows or (layout == "recording" and len(rows) != 1):
        raise ValueError(f"{session}: {len(rows)} tracks for the layout {layout}")
    tracks: list[TimelineTrack] = []
    gaps: list[Gap] = []
    position: Samples = 0
    if layout == "live":
        rows.sort(key=lambda row: math.inf if row[1] is None else row[1])
        length = sorted(track.samples for track in conversions)[(len(conversions) - 1) // 2]
        following = min((part for _, part, _ in rows if part is not None), default=0)
    for track, part, speaker in rows:
        name, samples = track.track, track.samples
        if layout != "live":
            tracks.append(TimelineTrack(track=name, offset=0, samples=samples, speaker=speaker))
            position = max(position, samples)
            continue
        if part is not None:
            if part < following:
                hint = "Keep one of them and remove the other's row from the manifest"
                what = f"has two parts with the number {part}"
                raise UserError(what, where=f"session {session}", hint=hint)
            if part - following > MAX_MISSING:
                what = f"has parts whose numbers jump from {following - 1} to {part}"
                hint = "Correct the part numbers in the manifest: they count the parts"
                raise UserError(what, where=f"session {session}", hint=hint)
            for missing in range(following, part):
                gaps.append(Gap(start=position, stop=position + length, reason=f"part {missing} is missing"))
                position += length
            following = part + 1
        tracks.append(TimelineTrack(track=name, offset=position, samples=samples, speaker=speaker))
        position += samples
    timeline = Timeline(session=session, layout=layout, samples=position, tracks=tracks, gaps=gaps)
    timeline.write(output)
    return timeline
