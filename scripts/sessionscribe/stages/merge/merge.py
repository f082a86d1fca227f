"""merge: from chunk transcripts to one transcript with times of the session.

Every word of every chunk is in exactly one segment, with its text unchanged. Times are clamped to the track
and to the start of the track's next word, so the words of a track are in order and do not overlap.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from sessionscribe.artifacts.chunk_transcript import ChunkTranscript, Engine, RemovedSegment, Word
from sessionscribe.artifacts.merged import Merged, MergedSegment, MergedWord
from sessionscribe.artifacts.plan import ChunkPlan, Timeline, TimelineTrack
from sessionscribe.config.settings import Merge
from sessionscribe.core.errors import UserError
from sessionscribe.core.text import counted, ends_sentence
from sessionscribe.core.units import SAMPLE_RATE, seconds

RUNS_ON_S = 0.3
"""A sentence continues over a shorter pause between two chunks."""
NO_ENGINE = "none"
"""The engine of a chunk without speech."""
_HINT = "Run again to transcribe what is missing; if that does not help, delete the session's plan"


@dataclass(frozen=True)
class _Heard:
    """A word with its chunk and segment."""

    word: Word
    chunk: int
    segment: int


def merge_transcript(
    *, timeline: Timeline, plans: list[ChunkPlan], chunks: list[ChunkTranscript], options: Merge, output: Path
) -> Merged:
    """Merge all chunks of a session, write the result to ``output`` and return it.

    Raises:
        UserError: a chunk has no transcript, or one made for another plan.
    """
    plan_of = {plan.track: plan for plan in plans}
    segments: list[MergedSegment] = []
    removed: list[RemovedSegment] = []
    for track in timeline.tracks:
        own = _chunks_of(plan_of[track.track], chunks)
        heard = [item for chunk in own for item in _words_of(chunk)]
        segments += _segments(track, heard, options.segment_gap_s)
        removed += [_moved(track, segment) for chunk in own for segment in chunk.removed]
    merged = Merged(
        session=timeline.session,
        layout=timeline.layout,
        duration_s=seconds(timeline.samples),
        language=_language(chunks),
        segments=sorted(segments, key=lambda part: (part.start, part.end)),
        removed=sorted(removed, key=lambda part: (part.start, part.end)),
        gaps=timeline.gaps,
        chunks=len(chunks),
        engines=_engines(chunks),
    )
    merged.write(output)
    return merged


def _chunks_of(plan: ChunkPlan, chunks: Sequence[ChunkTranscript]) -> list[ChunkTranscript]:
    """Return the transcripts of a plan's chunks in order; each must exist once."""
    own = sorted((chunk for chunk in chunks if chunk.track == plan.track), key=lambda chunk: chunk.core.index)
    if [chunk.core for chunk in own] != plan.cores:
        given = counted(len(own), "transcript")
        what = f"{given} of track {plan.track}: not one for each of the {len(plan.cores)} chunks of its plan"
        raise UserError(what, where=plan.session, hint=_HINT)
    return own


def _words_of(chunk: ChunkTranscript) -> list[_Heard]:
    words = [
        _Heard(word, chunk.core.index, number)
        for number, segment in enumerate(chunk.segments)
        for word in segment.words
    ]
    return sorted(words, key=lambda item: item.word.start)


def _session_samples(track: TimelineTrack, time: float) -> int:
    return track.offset + min(max(round(time * SAMPLE_RATE), 0), track.samples)


def _session_times(track: TimelineTrack, part: Word | RemovedSegment) -> tuple[float, float]:
    start = _session_samples(track, part.start)
    return seconds(start), seconds(max(start, _session_samples(track, part.end)))


def _moved(track: TimelineTrack, segment: RemovedSegment) -> RemovedSegment:
    """Return a removed segment with times of the session."""
    words = []
    for word in segment.words:
        start, end = _session_times(track, word)
        words.append(word.model_copy(update={"start": start, "end": end}))
    start, end = _session_times(track, segment)
    return segment.model_copy(update={"start": start, "end": end, "words": words})


def _segments(track: TimelineTrack, kept: Sequence[_Heard], gap_s: float) -> list[MergedSegment]:
    """Return the words with times of the session, divided at the engine's segments and at long pauses."""
    starts = list(accumulate((_session_samples(track, item.word.start) for item in kept), max))
    stops = [max(start, _session_samples(track, i.word.end)) for start, i in zip(starts, kept, strict=True)]
    stops = [min(stop, after) for stop, after in zip(stops, [*starts[1:], *stops[-1:]], strict=True)]
    groups: list[list[MergedWord]] = []
    for index, (item, start, stop) in enumerate(zip(kept, starts, stops, strict=True)):
        times = {"start": seconds(start), "end": seconds(stop)}
        word = MergedWord(**{**item.word.model_dump(), **times}, track=track.track, chunk=item.chunk)
        # In samples: as floats of seconds, the same pause would differ late in a session.
        if index and start - stops[index - 1] < _pause_between(kept[index - 1], item, gap_s):
            groups[-1].append(word)
        else:
            groups.append([word])
    return [
        MergedSegment(track=track.track, start=words[0].start, end=words[-1].end, words=words)
        for words in groups
    ]


def _pause_between(before: _Heard, item: _Heard, gap_s: float) -> int:
    """Return the pause in samples from which ``item`` starts a new segment; 0 where the engine starts one.

    Between two chunks, a sentence that continues stays in one segment.
    """
    if before.chunk != item.chunk:
        over_s = 0.0 if ends_sentence(before.word.text) else min(gap_s, RUNS_ON_S)
    else:
        over_s = gap_s if before.segment == item.segment else 0.0
    return round(over_s * SAMPLE_RATE)


def _language(chunks: Sequence[ChunkTranscript]) -> str:
    """Return the language of most words, or else of most chunks, or else ``und``."""
    words, number = Counter[str](), Counter(chunk.language for chunk in chunks)
    for chunk in chunks:
        for segment in chunk.segments:
            words[segment.language or chunk.language] += len(segment.words)
    return max(sorted(words | number), key=lambda code: (words[code], number[code]), default="und")


def _engines(chunks: Sequence[ChunkTranscript]) -> list[Engine]:
    """Return the distinct engines in a fixed order."""
    distinct = {tuple(chunk.engine.model_dump().values()): chunk.engine for chunk in chunks}
    return [distinct[key] for key in sorted(distinct) if distinct[key].name != NO_ENGINE]
