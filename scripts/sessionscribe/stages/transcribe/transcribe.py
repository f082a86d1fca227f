"""transcribe: the language of a session, and the words of one chunk."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sessionscribe.artifacts.chunk_transcript import (
    ChunkTranscript,
    Engine,
    FallbackSpan,
    Language,
    LanguageVote,
    RemovedSegment,
    Segment,
    Word,
)
from sessionscribe.artifacts.plan import ChunkPlan, Span
from sessionscribe.audio.flac import read_samples
from sessionscribe.config.settings import Transcribe
from sessionscribe.core.intervals import Interval, united
from sessionscribe.core.units import SAMPLE_RATE, seconds
from sessionscribe.engines.decoded import Decoded
from sessionscribe.engines.registry import SpeechModel, speech_engine
from sessionscribe.engines.stitching import stitched
from sessionscribe.jobs import metrics
from sessionscribe.stages.transcribe.fallback import FallbackResult, decode_again, suppression
from sessionscribe.stages.transcribe.hallucinations import HALLUCINATION, is_hallucination
from sessionscribe.stages.transcribe.spoken_languages import by_language
from sessionscribe.stages.transcribe.windows import Window, chunk_windows, span_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VOTES = 5, 12
"""Fewest and most windows that vote for the language; there is one for every `PER_VOTE_S` of speech."""
PER_VOTE_S = 300.0
UNDETERMINED = "und"
PER_WINDOW = "mixed"


def detect_language(
    *,
    plans: list[ChunkPlan],
    audio: list[Path],
    session: str,
    options: Transcribe,
    threads: int,
    output: Path,
) -> Language:
    """Detect the language of a session by a vote of 30 s windows that are spread over its speech.

    Votes are weighted by their probability. No model is loaded if the language is given or if there is no
    speech (``und``).
    """
    given, votes, weight = options.language != "auto", [], defaultdict[str, float](float)
    windows = [] if given else voting_windows(plans, audio)
    if windows:
        model = speech_engine(options.model).speech_model(options, threads=threads)
    for plan, path, start, stop in windows:
        heard = read_samples(path, start, stop, of=plan.samples)
        code, probability = model.detect_language(heard)
        metrics.heard(len(heard) / SAMPLE_RATE)
        weight[code] += probability
        at, rounded = seconds(start), round(probability, 4)
        votes.append(LanguageVote(track=plan.track, start=at, language=code, probability=rounded))
    undetected = options.language if given else UNDETERMINED
    language = max(sorted(weight), key=weight.__getitem__, default=undetected)
    probability = round(weight[language] / sum(weight.values()), 4) if votes else float(given)
    found = Language(session=session, language=language, probability=probability, given=given, votes=votes)
    found.write(output)
    return found


def voting_windows(plans: list[ChunkPlan], audio: list[Path]) -> list[tuple[ChunkPlan, Path, int, int]]:
    """Return evenly spread windows of speech, in samples ``[start, stop)`` of their track."""
    spans = [
        (plan, path, span.start) for plan, path in zip(plans, audio, strict=True) for span in plan.speech
    ]
    speech_s = sum(span.stop - span.start for plan in plans for span in plan.speech) / SAMPLE_RATE
    votes = min(max(VOTES[0], round(speech_s / PER_VOTE_S)), VOTES[1])
    step = max(1, len(spans) // votes)
    return [
        (plan, path, start, min(plan.samples, start + 30 * SAMPLE_RATE))
        for plan, path, start in spans[step // 2 :: step][:votes]
    ]


def transcribe_chunk(
    *,
    audio: Path,
    plan: ChunkPlan,
    index: int,
    language: str,
    options: Transcribe,
    threads: int,
    output: Path,
) -> ChunkTranscript:
    """Decode chunk ``index`` of ``plan``; the times in the result are in seconds of the track.

    The result depends only on the audio of its windows, the plan and the options. Audio without speech is
    not decoded, so no model can invent words in it.
    """
    core, windows = plan.cores[index], chunk_windows(plan, index, options)
    heard = span_of(windows, core)
    segments: list[Decoded] = []
    again: list[FallbackResult] = []
    unused: list[str] = []
    engine = Engine(name="none", version="", model="no speech", device="", compute_type="")
    if windows:
        model = speech_engine(options.model).speech_model(options, threads=threads)
        samples = read_samples(audio, heard.start, heard.stop, of=plan.samples)
        own = _from(heard.start, windows)
        if language in (UNDETERMINED, PER_WINDOW):
            spoken = by_language(own, lambda part: model.detect_language(stitched(samples, part)))
        else:
            spoken = [(window, language) for window in own]
        segments, again = _decode(model, samples, spoken, options=options)
        language = _most_spoken(segments) or spoken[0][1]
        engine, unused = model.engine, model.unused_prompt(options)
    elif language == PER_WINDOW:
        language = UNDETERMINED
    speech = united((span.start, span.stop) for span in plan.speech)
    kept, removed = _filtered(segments, heard, language, speech, options)
    result = ChunkTranscript(
        session=plan.session,
        track=plan.track,
        core=core,
        heard=heard,
        language=language,
        engine=engine,
        segments=kept,
        removed=removed,
        redecoded=[_noted(part, heard, language, options) for part in again],
        unused_prompt=unused,
    )
    result.write(output)
    metrics.heard((core.stop - core.start) / SAMPLE_RATE)
    return result


def _from(origin: int, windows: list[Window]) -> list[Window]:
    """Return windows in samples relative to ``origin``."""
    return [tuple(Span(start=s.start - origin, stop=s.stop - origin) for s in window) for window in windows]


def _decode(
    model: SpeechModel,
    samples: NDArray[np.float32],
    spoken: Sequence[tuple[Window, str]],
    *,
    options: Transcribe,
) -> tuple[list[Decoded], list[FallbackResult]]:
    """Decode windows in their languages; return the segments, and the speech that was decoded twice."""
    windows = [window for window, _ in spoken]

    def decode(given: Sequence[Window], how: Transcribe) -> list[Decoded]:
        """Decode windows, or parts of them."""
        codes = [spoken[_number_of(part, windows)][1] for part in given]
        found: list[Decoded] = []
        for code in dict.fromkeys(codes):
            numbers = [number for number, own in enumerate(codes) if own == code]
            segments = model.transcribe(samples, [given[n] for n in numbers], code, how)
            found += [replace(segment, window=numbers[segment.window]) for segment in segments]
        return sorted(found, key=lambda segment: segment.start)

    segments = decode(windows, options)
    if not options.fallback_gap_s:
        return segments, []
    plain = options.model_copy(update={"hotwords": "", "initial_prompt": ""})
    return decode_again(segments, windows, lambda smaller: decode(smaller, plain), options)


def _number_of(part: Window, windows: Sequence[Window]) -> int:
    return bisect_right(windows, part[0].start, key=lambda window: window[0].start) - 1


def _most_spoken(segments: Iterable[Decoded]) -> str | None:
    """Return the language of most words, if there are any."""
    words = Counter[str]()
    for segment in segments:
        words[segment.language] += len(segment.words)
    return max(sorted(+words), key=words.__getitem__, default=None)


def _placed(segment: Decoded, heard: Span, language: str) -> Segment:
    """Return a decoded segment with times of its track; its language is noted if it is not ``language``."""

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
    start, end = at(segment.start), at(segment.end)
    return Segment(
        start=start,
        end=max(start, end),
        text=segment.text,
        words=words,
        avg_logprob=round(segment.avg_logprob, 4),
        no_speech_prob=round(segment.no_speech_prob, 4),
        compression_ratio=round(segment.compression_ratio, 3),
        temperature=segment.temperature,
        language=None if segment.language == language else segment.language,
    )


def _noted(part: FallbackResult, heard: Span, language: str, options: Transcribe) -> FallbackSpan:
    """Return the record of speech that was decoded twice."""
    won, lost = (part.second, part.first) if part.second_wins else (part.first, part.second)
    return FallbackSpan(
        start=seconds(heard.start + part.window[0].start),
        end=seconds(heard.start + part.window[-1].stop),
        reason=part.reason,
        winner="second" if part.second_wins else "first",
        words=sum(len(segment.words) for segment in won if not suppression(segment, options)),
        first=round(part.scores[0], 3),
        second=round(part.scores[1], 3),
        loser=[_placed(segment, heard, language) for segment in lost],
    )


def _filtered(
    segments: Iterable[Decoded], heard: Span, language: str, speech: list[Interval], options: Transcribe
) -> tuple[list[Segment], list[RemovedSegment]]:
    """Return the segments to keep and those to remove, with the reason, with times of the track."""
    kept: list[Segment] = []
    removed: list[RemovedSegment] = []
    for decoded in segments:
        segment = _placed(decoded, heard, language)
        reason = suppression(decoded, options) or (None if segment.words else "no words")
        if reason is None and is_hallucination(segment, speech, options):
            reason = HALLUCINATION
        if reason is None:
            kept.append(segment)
        elif segment.text or segment.words:
            removed.append(RemovedSegment(**segment.model_dump(), reason=reason))
    return kept, removed
