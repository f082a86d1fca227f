"""audit: is all of a session in its transcript, and what of it needs a second look?

What can be counted independently is: words from the chunk transcripts, speech from the plans, cuts from the
converted audio. What is wrong is listed; the verdict sums it up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from sessionscribe.artifacts.audit import (
    Audit,
    FallbackReport,
    LanguageAudit,
    LanguageSpan,
    RemovedText,
    SpeakerShare,
    TrackAudit,
    Verdict,
    WordAudit,
)
from sessionscribe.artifacts.chunk_transcript import ChunkTranscript, FallbackSpan, Language, Segment
from sessionscribe.artifacts.merged import Merged
from sessionscribe.artifacts.plan import ChunkPlan, Timeline, TimelineTrack
from sessionscribe.artifacts.recording import Conversion
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.config.settings import Audit as Options
from sessionscribe.core.intervals import heard_in
from sessionscribe.core.text import counted, join_segments
from sessionscribe.core.units import SAMPLE_RATE, clock, seconds
from sessionscribe.stages.audit import accounts, coverage, suspects, tiling, times
from sessionscribe.stages.audit.flags import flags_of
from sessionscribe.stages.chunk.chunk import chunk_files

_LISTED = ("problems", "tracks", "gaps", "repeats", "unsure", "spans", "removed", "redecoded")
"""What is found of each track; all but the first two in the order of time."""


@dataclass(frozen=True)
class AuditInputs:
    """All that an audit reads about a session; plans and the like in the order of the tracks."""

    timeline: Timeline
    conversions: list[Conversion]
    plans: list[ChunkPlan]
    chunks: list[ChunkTranscript]
    language: Language
    merged: Merged
    transcript: Transcript

    @classmethod
    def read(cls, files: Mapping[str, Any], *, chunks: Path) -> AuditInputs:
        """Read the files of a session by the names of the fields; the chunk transcripts are in ``chunks``."""
        plans = ChunkPlan.read_all(files["plans"])
        return cls(
            timeline=Timeline.read(Path(files["timeline"])),
            conversions=Conversion.read_all(files["conversions"]),
            plans=plans,
            chunks=ChunkTranscript.read_all(chunk_files(plans, chunks)),
            language=Language.read(Path(files["language"])),
            merged=Merged.read(Path(files["merged"])),
            transcript=Transcript.read(Path(files["transcript"])),
        )


def audit_session(evidence: AuditInputs, *, options: Options, output: Path) -> Audit:
    """Audit a session, write what is found to ``output`` and return it.

    The verdict is ``incomplete`` if something is missing or contradicts itself (``problems``), or else
    ``complete with flags`` if something deserves a second look (``flags``), or else ``complete``.

    Args:
        evidence: the files of the session.
        options: the limits beyond which something is listed.
        output: the file to write.
    """
    timeline, transcript = evidence.timeline, evidence.transcript
    plans = {plan.track: plan for plan in evidence.plans}
    tracks = {track.track: track for track in timeline.tracks}
    found = [_look_at(plans[name], tracks[name], evidence, options) for name in tracks if name in plans]
    listed = {name: list(chain.from_iterable(part[name] for part in found)) for name in _LISTED}
    for name in _LISTED[2:]:
        listed[name].sort(key=attrgetter("start"))
    words = accounts.account(evidence.chunks, tracks, evidence.merged, transcript)
    problems = [
        *tiling.timeline_problems(timeline, plans),
        *listed.pop("problems"),
        *_unaccounted(words),
        *times.transcript_problems(transcript),
        *(f"{clock(gap.start / SAMPLE_RATE)}: {gap.reason}" for gap in timeline.gaps),
    ]
    # In a multitrack session, the track is the speaker.
    doubted = 0.0 if timeline.layout == "multitrack" else options.min_speaker_share
    language = evidence.language.model_dump(exclude={"schema_version", "session"})
    draft = Audit(
        session=timeline.session,
        duration_s=seconds(timeline.samples),
        verdict="complete",
        problems=problems,
        flags=[],
        words=words,
        missing=timeline.gaps,
        language=LanguageAudit(**language, spans=listed.pop("spans")),
        speakers=speaker_shares(transcript, doubted),
        unused_prompt=next((chunk.unused_prompt for chunk in evidence.chunks if chunk.unused_prompt), []),
        **listed,
    )
    flags = flags_of(draft, transcript, evidence.conversions)
    verdict: Verdict = "incomplete" if problems else "complete with flags" if flags else "complete"
    audit = draft.model_copy(update={"flags": flags, "verdict": verdict})
    audit.write(output)
    return audit


def _look_at(
    plan: ChunkPlan, track: TimelineTrack, evidence: AuditInputs, options: Options
) -> dict[str, list[Any]]:
    chunks = sorted(
        (chunk for chunk in evidence.chunks if chunk.track == plan.track), key=lambda chunk: chunk.core.start
    )
    words = [word for part in evidence.merged.segments if part.track == plan.track for word in part.words]
    cut = [
        problem
        for conversion in evidence.conversions
        if conversion.track == plan.track
        for problem in tiling.tiling_problems(plan, conversion)
    ]
    decoded = tiling.decoded_cores(plan, chunks)
    missing = [] if decoded else [*tiling.undecoded_speech(plan, chunks), *tiling.decoded_twice(chunks)]
    at = [(a - track.offset, b - track.offset) for word in words for a, b in heard_in(word)]
    speech, covered = coverage.covered(plan, at, gap_s=options.gap_s)
    audit = TrackAudit(
        track=plan.track,
        duration_s=seconds(plan.samples),
        tiled=not cut,
        chunks=len(plan.cores) - len(decoded),
        planned=len(plan.cores),
        speech_s=seconds(speech),
        covered_s=seconds(covered),
    )
    return {
        "problems": [
            *(f"track {plan.track}: {problem}" for problem in (*cut, *decoded, *missing)),
            *times.track_problems(track, words),
        ],
        "tracks": [audit],
        "gaps": coverage.speech_gaps(plan, chunks, at, gap_s=options.gap_s, offset=track.offset),
        "repeats": suspects.repeats(words, most=options.max_repeats),
        "unsure": suspects.unsure(words, below=options.low_confidence_threshold),
        "spans": _languages(track, chunks),
        "removed": [
            RemovedText(**_place(track, part), text=part.text, reason=part.reason)
            for chunk in chunks
            for part in chunk.removed
        ],
        "redecoded": [
            FallbackReport(
                **_place(track, part),
                reason=part.reason,
                winner=part.winner,
                words=part.words,
                lost=join_segments([segment.text for segment in part.loser], chunk.language),
            )
            for chunk in chunks
            for part in chunk.redecoded
        ],
    }


def _place(track: TimelineTrack, *parts: Segment | FallbackSpan) -> dict[str, Any]:
    """Return where parts of a track lie, from the start of the first, on the session's clock."""

    def on_clock(time: float) -> float:
        return seconds(track.offset + round(time * SAMPLE_RATE))

    start, end = parts[0].start, max(part.end for part in parts)
    return {"track": track.track, "start": on_clock(start), "end": on_clock(end)}


def _languages(track: TimelineTrack, chunks: Sequence[ChunkTranscript]) -> list[LanguageSpan]:
    """Return the languages of a track's segments, neighbours of one language as one."""
    every = [(segment, chunk) for chunk in chunks for segment in chunk.segments]
    spans = []
    for language, group in groupby(every, key=lambda own: own[0].language or own[1].language):
        segments, of = zip(*group, strict=True)
        number = len({chunk.core.index for chunk in of})
        spans.append(LanguageSpan(**_place(track, *segments), language=language, chunks=number))
    return spans


def speaker_shares(transcript: Transcript, least: float) -> list[SpeakerShare]:
    """Return how much each speaker says; whoever has less than the share ``least`` is doubtful."""
    times = transcript.talk_time_ms()
    total = sum(times.values())
    said = Counter(word.speaker for segment in transcript.segments for word in segment.words)
    return [
        SpeakerShare(
            speaker=speaker,
            speech_s=time / 1000,
            share=round(time / total, 4) if total else 0.0,
            words=said[speaker],
            phantom=time < least * total,
        )
        for speaker, time in times.items()
    ]


def _unaccounted(words: WordAudit) -> list[str]:
    found = {
        "lost between stages": words.lost,
        "in the transcript that no chunk has": words.unknown,
        f"moved by more than {accounts.MOVED_S} s": words.moved,
    }
    return [f"{counted(count, 'word')} {what}" for what, count in found.items() if count]
