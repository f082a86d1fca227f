"""audit: is all of a session in its transcript, and what of it needs a second look?

What can be counted anew is: words from the chunk transcripts, speech from the plans, cuts from the converted
audio. What is found wrong is listed; the verdict says in a word what that means.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

from sessionscribe.artifacts.audit import (
    Audit,
    FaintSpeech,
    FallbackReport,
    LanguageAudit,
    LanguageSpan,
    LowConfidence,
    ReasonCount,
    RemovedText,
    Repeat,
    SpeechGap,
    TrackAudit,
    Verdict,
    WordAudit,
)
from sessionscribe.artifacts.chunk_transcript import ChunkTranscript, Language
from sessionscribe.artifacts.merged import Merged, MergedWord
from sessionscribe.artifacts.plan import ChunkPlan, Timeline, TimelineTrack
from sessionscribe.artifacts.recording import Conversion
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.config.settings import Audit as Options
from sessionscribe.core.intervals import heard_in
from sessionscribe.core.text import counted, join_segments
from sessionscribe.core.units import SAMPLE_RATE, seconds
from sessionscribe.stages.audit import accounts, coverage, suspects, tiling, times
from sessionscribe.stages.audit.flags import flags_of
from sessionscribe.stages.chunk.chunk import chunk_files
from sessionscribe.stages.diarize.talk_time import speaker_shares

Found = TypeVar("Found")


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
    def read(
        cls,
        *,
        timeline: str,
        conversions: Sequence[str],
        plans: Sequence[str],
        language: str,
        merged: str,
        transcript: str,
        chunks: Path,
    ) -> AuditInputs:
        """Read the files of a session; ``chunks`` is the folder of its chunk transcripts."""
        cuts = ChunkPlan.read_all(plans)
        return cls(
            timeline=Timeline.read(Path(timeline)),
            conversions=Conversion.read_all(conversions),
            plans=cuts,
            chunks=ChunkTranscript.read_all(chunk_files(cuts, chunks)),
            language=Language.read(Path(language)),
            merged=Merged.read(Path(merged)),
            transcript=Transcript.read(Path(transcript)),
        )


@dataclass(frozen=True)
class _TrackFindings:
    audit: TrackAudit
    problems: list[str]
    gaps: list[SpeechGap]
    faint: list[FaintSpeech]
    repeats: list[Repeat]
    unsure: list[LowConfidence]
    spans: list[LanguageSpan]
    removed: list[RemovedText]
    redecoded: list[FallbackReport]


def audit_session(evidence: AuditInputs, *, options: Options, output: Path) -> Audit:
    """Audit a session, write what is found to ``output`` and return it.

    The verdict is ``incomplete`` where something is missing or contradicts itself (``problems``), ``complete
    with flags`` where something deserves a second look (``flags``), else ``complete``.

    Args:
        evidence: the files of the session.
        options: from when on something is listed.
        output: the file to write.
    """
    timeline, merged, transcript = evidence.timeline, evidence.merged, evidence.transcript
    plans = {plan.track: plan for plan in evidence.plans}
    tracks = {track.track: track for track in timeline.tracks}
    found = [_look_at(plans[name], tracks[name], evidence, options) for name in tracks if name in plans]
    words = accounts.account(evidence.chunks, tracks, merged, transcript)
    doubted = (
        0.0 if timeline.layout == "multitrack" else options.min_speaker_share
    )  # there, the track is the speaker
    speakers = speaker_shares(
        transcript.turns,
        (word for segment in transcript.segments for word in segment.words),
        speakers=transcript.speakers,
        min_speaker_share=doubted,
    )
    problems = [
        *tiling.timeline_problems(timeline, plans),
        *(problem for part in found for problem in part.problems),
        *_unaccounted(words),
        *times.transcript_problems(transcript),
        *(f"{_clock_of(gap.start)}: {gap.reason}" for gap in timeline.gaps),
    ]
    draft = Audit(
        session=timeline.session,
        duration_s=seconds(timeline.samples),
        verdict="complete",
        problems=problems,
        flags=[],
        tracks=[part.audit for part in found],
        words=words,
        missing=timeline.gaps,
        gaps=_by_time(part.gaps for part in found),
        faint=_by_time(part.faint for part in found),
        repeats=_by_time(part.repeats for part in found),
        unsure=_by_time(part.unsure for part in found),
        language=LanguageAudit(
            language=evidence.language.language,
            probability=evidence.language.probability,
            given=evidence.language.given,
            votes=evidence.language.votes,
            spans=[span for part in found for span in part.spans],
        ),
        speakers=speakers,
        dropped=[
            ReasonCount(reason=reason, words=count)
            for reason, count in sorted(
                Counter(word.reason for word in merged.dropped).items(), key=lambda item: (-item[1], item[0])
            )
        ],
        removed=_by_time(part.removed for part in found),
        redecoded=_by_time(part.redecoded for part in found),
        unused_prompt=next((chunk.unused_prompt for chunk in evidence.chunks if chunk.unused_prompt), []),
    )
    flags = flags_of(draft, transcript, evidence.conversions)
    verdict: Verdict = "incomplete" if problems else "complete with flags" if flags else "complete"
    audit = draft.model_copy(update={"flags": flags, "verdict": verdict})
    audit.write(output)
    return audit


def _by_time(parts: Iterable[Iterable[Found]]) -> list[Found]:
    return sorted(chain.from_iterable(parts), key=attrgetter("start"))


def _look_at(
    plan: ChunkPlan, track: TimelineTrack, evidence: AuditInputs, options: Options
) -> _TrackFindings:
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
    missing = [] if decoded else tiling.undecoded_speech(plan, chunks)
    wrong = [f"track {plan.track}: {problem}" for problem in (*cut, *decoded, *missing)]
    at = _heard(words, track)
    speech, covered = coverage.covered(plan, at, gap_s=options.gap_s)
    return _TrackFindings(
        audit=TrackAudit(
            track=plan.track,
            duration_s=seconds(plan.samples),
            tiled=not cut,
            chunks=len(plan.cores) - len(decoded),
            planned=len(plan.cores),
            speech_s=seconds(speech),
            covered_s=seconds(covered),
        ),
        problems=[*wrong, *times.track_problems(track, words)],
        gaps=coverage.speech_gaps(plan, chunks, at, gap_s=options.gap_s, offset=track.offset),
        faint=coverage.faint_speech(plan, at, offset=track.offset),
        repeats=[
            *suspects.repeats(words, most=options.max_repeats),
            *suspects.repeats_at_seams(plan, words, offset=track.offset),
        ],
        unsure=suspects.unsure(words, below=options.low_confidence_threshold),
        spans=_languages(track, chunks),
        removed=_removed(track, chunks),
        redecoded=_redecoded(track, chunks),
    )


def _heard(words: Sequence[MergedWord], track: TimelineTrack) -> list[tuple[int, int]]:
    return [(a - track.offset, b - track.offset) for word in words for a, b in heard_in(word)]


def _at(track: TimelineTrack, time: float) -> float:
    return seconds(track.offset + round(time * SAMPLE_RATE))


def _languages(track: TimelineTrack, chunks: Sequence[ChunkTranscript]) -> list[LanguageSpan]:
    """Return the languages of a track's segments, neighbours of one language as one."""
    every = [(segment, chunk) for chunk in chunks for segment in chunk.segments]
    spans = []
    for language, group in groupby(every, key=lambda own: own[0].language or own[1].language):
        part = list(group)
        spans.append(
            LanguageSpan(
                track=track.track,
                start=_at(track, part[0][0].start),
                end=_at(track, max(segment.end for segment, _ in part)),
                language=language,
                chunks=len({chunk.core.index for _, chunk in part}),
            )
        )
    return spans


def _removed(track: TimelineTrack, chunks: Sequence[ChunkTranscript]) -> list[RemovedText]:
    return [
        RemovedText(
            track=track.track,
            start=_at(track, part.start),
            end=_at(track, part.end),
            text=part.text,
            reason=part.reason,
        )
        for chunk in chunks
        for part in chunk.removed
    ]


def _redecoded(track: TimelineTrack, chunks: Sequence[ChunkTranscript]) -> list[FallbackReport]:
    return [
        FallbackReport(
            track=track.track,
            start=_at(track, part.start),
            end=_at(track, part.end),
            reason=part.reason,
            winner=part.winner,
            words=part.words,
            lost=join_segments([segment.text for segment in part.loser], chunk.language),
        )
        for chunk in chunks
        for part in chunk.redecoded
    ]


def _unaccounted(words: WordAudit) -> list[str]:
    found = []
    if words.lost:
        found.append(f"{counted(words.lost, 'word')} lost between stages")
    if words.unknown:
        found.append(f"{counted(words.unknown, 'word')} in the transcript that no chunk has")
    if words.moved:
        found.append(f"{counted(words.moved, 'word')} moved by more than {accounts.MOVED_S} s")
    return found


def _clock_of(samples: int) -> str:
    minutes, second = divmod(samples // SAMPLE_RATE, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}"
