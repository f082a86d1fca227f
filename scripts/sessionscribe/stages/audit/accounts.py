"""Is every word of the chunk transcripts in the transcript, and no other?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from sessionscribe.artifacts.audit import StrayWord, WordAudit
from sessionscribe.artifacts.chunk_transcript import ChunkTranscript, Word
from sessionscribe.artifacts.merged import Merged
from sessionscribe.artifacts.plan import TimelineTrack
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.core.units import SAMPLE_RATE, milliseconds

MOST_SHOWN = 50
MOVED_S = 0.5
LOST = "in a chunk transcript, but not in the merged transcript"
UNKNOWN = "in the merged transcript, but in no chunk transcript"
MOVED = f"more than {MOVED_S} s from where its chunk transcript has it"
NOT_SPOKEN = "in the merged transcript, but not in the one with speakers"
ONLY_SPOKEN = "in the transcript with speakers, but not in the merged one"

_Starts = dict[tuple[str, int | None, str, float], list[float]]
"""The start times of words by what no stage changes: track, chunk, text and probability."""


def account(
    chunks: Iterable[ChunkTranscript],
    tracks: Mapping[str, TimelineTrack],
    merged: Merged,
    transcript: Transcript,
) -> WordAudit:
    """Compare the words of the chunk transcripts, the merged transcript and the one with speakers."""
    kept = [word for segment in merged.segments for word in segment.words]
    offsets = {name: track.offset / SAMPLE_RATE for name, track in tracks.items()}
    heard = _starts(
        (chunk.track, chunk.core.index, word, word.start + offsets.get(chunk.track, 0.0))
        for chunk in chunks
        for segment in chunk.segments
        for word in segment.words
    )
    placed = _starts((word.track, word.chunk, word, word.start) for word in kept)
    moved = [
        StrayWord(track=kind[0], chunk=kind[1], text=kind[2], start=there, reason=MOVED)
        for kind, starts in heard.items()
        if len(starts) == len(placed.get(kind, ()))
        for here, there in zip(starts, placed[kind], strict=True)
        if abs(milliseconds(here) - milliseconds(there)) > milliseconds(MOVED_S)
    ]
    before = _starts(("", None, word, word.start) for word in kept)
    after = _starts(("", None, word, word.start) for part in transcript.segments for word in part.words)
    lost = [*_missing(heard, placed, LOST), *_missing(before, after, NOT_SPOKEN)]
    unknown = [*_missing(placed, heard, UNKNOWN), *_missing(after, before, ONLY_SPOKEN)]
    return WordAudit(
        heard=sum(map(len, heard.values())),
        kept=len(kept),
        lost=len(lost),
        unknown=len(unknown),
        moved=len(moved),
        strays=[*lost, *unknown, *moved][:MOST_SHOWN],
    )


def _starts(words: Iterable[tuple[str, int | None, Word, float]]) -> _Starts:
    found: _Starts = defaultdict(list)
    for track, chunk, word, start in words:
        found[track, chunk, word.text, word.probability].append(start)
    for starts in found.values():
        starts.sort()
    return found


def _missing(here: _Starts, there: _Starts, reason: str) -> list[StrayWord]:
    """Return the words that occur more often here than there."""
    found: list[StrayWord] = []
    for kind, starts in here.items():
        track, chunk, text, _ = kind
        more = len(starts) - len(there.get(kind, ()))
        found += [
            StrayWord(track=track, chunk=chunk, text=text, start=round(start, 3), reason=reason)
            for start in starts[: max(0, more)]
        ]
    return sorted(found, key=lambda word: word.start)
