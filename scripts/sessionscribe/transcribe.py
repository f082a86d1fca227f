"""transcribe: the language of a session, and the words of one chunk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionscribe import meter
from sessionscribe.artifacts import (
    SAMPLE_RATE,
    ChunkTranscript,
    Engine,
    Language,
    LanguageVote,
    Plan,
    Redecoded,
    RemovedSegment,
    Segment,
    Span,
    Word,
    seconds,
)
from sessionscribe.audio import read_samples
from sessionscribe.config import Transcribe
from sessionscribe.engines.whisper import Decoded, SpeechModel
from sessionscribe.fallback import Again, decode_again, suppression
from sessionscribe.guards import guard
from sessionscribe.windowing import Window, chunk_windows, span_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VOTES = 5
UNDETERMINED = "und"
PER_CHUNK = "mixed"


def detect_language(
    *, plans: list[Plan], audio: list[Path], session: str, options: Transcribe, threads: int, output: Path
) -> Language:
    """Let up to five 30 s windows, spread over the speech of a session, vote for its language.

    A given language is noted without loading a model, and so is a session without any speech (``und``).
    Votes count by their probability.
    """
    windows = voting_windows(plans, audio)
    if options.language != "auto" or not windows:
        language, given = (UNDETERMINED, False) if options.language == "auto" else (options.language, True)
        found = Language(session=session, language=language, probability=float(given), given=given, votes=[])
        found.write(output)
        return found
    model = SpeechModel(options, threads=threads)
    votes, weight = [], defaultdict[str, float](float)
    for plan, path, start, stop in windows:
        heard = read_samples(path, start, stop)
        language, probability = model.detect_language(heard)
        meter.heard(len(heard) / SAMPLE_RATE)
        weight[language] += probability
        votes.append(
            LanguageVote(
                track=plan.track, start=seconds(start), language=language, probability=round(probability, 4)
            )
        )
    best = max(sorted(weight), key=weight.__getitem__)
    found = Language(
        session=session,
        language=best,
        probability=round(weight[best] / sum(weight.values()), 4),
        given=False,
        votes=votes,
    )
    found.write(output)
    return found


def voting_windows(plans: list[Plan], audio: list[Path]) -> list[tuple[Plan, Path, int, int]]:
    """Choose where to listen, in samples ``[start, stop)``: at even steps through all speech."""
    spans = [
        (plan, path, span.start) for plan, path in zip(plans, audio, strict=True) for span in plan.speech
    ]
    step = max(1, len(spans) // VOTES)
    return [
        (plan, path, start, min(plan.samples, start + 30 * SAMPLE_RATE))
        for plan, path, start in spans[step // 2 :: step][:VOTES]
    ]


def transcribe_chunk(
    *, audio: Path, plan: Plan, index: int, language: str, options: Transcribe, threads: int, output: Path
) -> ChunkTranscript:
    """Decode chunk ``index`` of ``plan``; times in the result are seconds of the track.

    The result depends on the audio of its windows, the plan and the options only. Where the plan knows no
    speech, nothing is decoded: no model can invent words in silence.
    """
    core, windows = plan.cores[index], windows_of(plan, index, options)
    heard = span_of(windows, core)
    segments: list[Decoded] = []
    again: list[Again] = []
    engine = Engine(name="none", version="", model="no speech", device="", compute_type="")
    if windows:
        model = SpeechModel(options, threads=threads)
        samples = read_samples(audio, heard.start, heard.stop)
        known = None if language in (UNDETERMINED, PER_CHUNK) else language
        segments, again, language = _decode(
            model, samples, _from(heard.start, windows), language=known, options=options
        )
        engine = model.engine
    trusted, doubted = _by_thresholds(segments, heard, options)
    kept, invented = guard(trusted, speech=plan.speech, options=options)
    result = ChunkTranscript(
        session=plan.session,
        track=plan.track,
        core=core,
        heard=heard,
        language=language,
        engine=engine,
        segments=kept,
        removed=sorted([*doubted, *invented], key=lambda segment: segment.start),
        redecoded=[_noted(part, heard, options) for part in again],
    )
    result.write(output)
    meter.heard((core.stop - core.start) / SAMPLE_RATE)
    return result


def windows_of(plan: Plan, index: int, options: Transcribe) -> list[Window]:
    """Return the windows that chunk ``index`` of a plan decodes, in samples of the track."""
    longest = round(options.window_s * SAMPLE_RATE)
    return chunk_windows(plan, index, longest=longest, batched=options.decoding == "batched")


def _from(origin: int, windows: list[Window]) -> list[Window]:
    """Return the windows in samples from ``origin``."""
    return [tuple(Span(start=s.start - origin, stop=s.stop - origin) for s in window) for window in windows]


def _decode(
    model: SpeechModel,
    samples: NDArray[np.float32],
    windows: list[Window],
    *,
    language: str | None,
    options: Transcribe,
) -> tuple[list[Decoded], list[Again], str]:
    """Decode the windows of a chunk; return the segments, what was decoded twice, and the language."""
    segments, language = model.transcribe(samples, windows, language, options)
    if not options.redecode_s:
        return segments, [], language
    batched = options.model_copy(update={"decoding": "batched"})

    def decode(smaller: Sequence[Window]) -> list[Decoded]:
        return model.transcribe(samples, smaller, language, batched)[0]

    segments, again = decode_again(segments, windows, decode, options)
    return segments, again, language


def _placed(segment: Decoded, heard: Span) -> Segment:
    """Move a decoded segment to the clock of its track; the offset is added in samples, so nothing drifts."""

    def at(time: float) -> float:
        position = heard.start + round(time * SAMPLE_RATE)
        return seconds(min(max(position, heard.start), heard.stop))

    words: list[Word] = []
    for word in segment.words:
        start = max(at(word.start), words[-1].start if words else 0.0)
        words.append(
            Word(
                text=word.text,
                space=word.space,
                start=start,
                end=max(start, at(word.end)),
                probability=round(word.probability, 4),
            )
        )
    values: dict[str, Any] = {
        "average_log_probability": round(segment.average_log_probability, 4),
        "no_speech_probability": round(segment.no_speech_probability, 4),
        "compression_ratio": round(segment.compression_ratio, 3),
        "temperature": segment.temperature,
    }
    start, end = at(segment.start), at(segment.end)
    return Segment(start=start, end=max(start, end), text=segment.text, words=words, **values)


def _noted(part: Again, heard: Span, options: Transcribe) -> Redecoded:
    """Return what is stored about speech that was decoded twice."""
    won, lost = (part.second, part.first) if part.second_wins else (part.first, part.second)
    kept, _ = _by_thresholds(won, heard, options)
    return Redecoded(
        start=seconds(heard.start + part.window[0].start),
        end=seconds(heard.start + part.window[-1].stop),
        reason=part.reason,
        winner="second" if part.second_wins else "first",
        words=sum(len(segment.words) for segment in kept),
        first=round(part.scores[0], 3),
        second=round(part.scores[1], 3),
        loser=[_placed(segment, heard) for segment in lost],
    )


def _by_thresholds(
    segments: Iterable[Decoded], heard: Span, options: Transcribe
) -> tuple[list[Segment], list[RemovedSegment]]:
    """Part what is trusted from what the engine or a threshold suppresses, with the reason.

    The segments that are returned are on the clock of the track.
    """
    kept: list[Segment] = []
    removed: list[RemovedSegment] = []
    for decoded in segments:
        segment = _placed(decoded, heard)
        if not segment.text and not segment.words:
            continue
        reason = decoded.left_out or suppression(decoded, options) or (None if segment.words else "no words")
        if reason:
            removed.append(RemovedSegment(**segment.model_dump(), reason=reason))
        else:
            kept.append(segment)
    return kept, removed
