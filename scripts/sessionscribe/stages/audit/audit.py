"""audit: is all of a session in its transcript, and what needs a second look?"""

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
from sessionscribe.stages.audit import accounts, consistency, passages
from sessionscribe.stages.audit.flags import flags_of
from sessionscribe.stages.chunk.chunk import chunk_files

_LISTED = ("problems", "tracks", "gaps", "repeats", "unsure", "spans", "removed", "redecoded")
"""The findings about a track; all but the first two are sorted by time."""


@dataclass(frozen=True)
class AuditInputs:
    """The files of a session that an audit reads."""

    timeline: Timeline
    conversions: list[Conversion]
    plans: list[ChunkPlan]
    chunks: list[ChunkTranscript]
    language: Language
    merged: Merged
    transcript: Transcript

    @classmethod
    def read(cls, files: Mapping[str, Any], *, chunks: Path) -> AuditInputs:
        """Read ``files``, by the names of the fields, and the chunk transcripts in the folder ``chunks``."""
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
    """Audit a session, write the result to ``output`` and return it.

    The verdict is ``incomplete`` if there are ``problems``, ``complete with flags`` if there are only
    ``flags``, and ``complete`` otherwise.
    """
    timeline, transcript = evidence.timeline, evidence.transcript
    plans = {plan.track: plan for plan in evidence.plans}
    tracks = {track.track: track for track in timeline.tracks}
    found = [_audit_track(plans[name], tracks[name], evidence, options) for name in tracks if name in plans]
    listed = {name: list(chain.from_iterable(part[name] for part in found)) for name in _LISTED}
    for name in _LISTED[2:]:
        listed[name].sort(key=attrgetter("start"))
    words = accounts.account(evidence.chunks, tracks, evidence.merged, transcript)
    problems = [
        *consistency.timeline_problems(timeline, plans),
        *listed.pop("problems"),
        *_unaccounted(words),
        *consistency.transcript_problems(transcript),
        *(f"{clock(gap.start / SAMPLE_RATE)}: {gap.reason}" for gap in timeline.gaps),
    ]
    # In a multitrack session, tracks are speakers, whatever their share.
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


def _audit_track(
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
        for problem in consistency.cut_problems(plan, conversion)
    ]
    decoded = consistency.decoding_problems(plan, chunks)
    at = [(a - track.offset, b - track.offset) for word in words for a, b in heard_in(word)]
    speech, covered = passages.covered(plan, at, gap_s=options.gap_s)
    audit = TrackAudit(
        track=plan.track,
        duration_s=seconds(plan.samples),
        tiled=not cut,
        chunks=list(consistency.transcript_counts(plan, chunks).values()).count(1),
        planned=len(plan.cores),
        speech_s=seconds(speech),
        covered_s=seconds(covered),
    )
    return {
        "problems": [
            *(f"track {plan.track}: {problem}" for problem in (*cut, *decoded)),
            *consistency.track_problems(track, words),
        ],
        "tracks": [audit],
        "gaps": passages.speech_gaps(plan, chunks, at, gap_s=options.gap_s, offset=track.offset),
        "repeats": passages.repeats(words, most=options.max_repeats),
        "unsure": passages.unsure(words, below=options.low_confidence_threshold),
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
    """Return the track of some parts, and their time in the session from the start of the first."""
    times = {"start": parts[0].start, "end": max(part.end for part in parts)}
    in_session = {name: seconds(track.offset + round(time * SAMPLE_RATE)) for name, time in times.items()}
    return {"track": track.track, **in_session}


def _languages(track: TimelineTrack, chunks: Sequence[ChunkTranscript]) -> list[LanguageSpan]:
    """Return the languages of a track; consecutive segments of the same language are one span."""
    every = [(segment, chunk) for chunk in chunks for segment in chunk.segments]
    spans = []
    for language, group in groupby(every, key=lambda own: own[0].language or own[1].language):
        segments, of = zip(*group, strict=True)
        number = len({chunk.core.index for chunk in of})
        spans.append(LanguageSpan(**_place(track, *segments), language=language, chunks=number))
    return spans


def speaker_shares(transcript: Transcript, least: float) -> list[SpeakerShare]:
    """Return the talk time of each speaker; a share of less than ``least`` is doubtful."""
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
