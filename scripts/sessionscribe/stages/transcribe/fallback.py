"""Fallback decoding: decode skipped or doubtful speech again, in smaller windows.

Models skip speech, above all where speakers change within a window, and repeat themselves where they
understand nothing. Speech without words is decoded separately, a window of low confidence in halves, and the
version with the higher score is kept. Words of low confidence that the other version does not confirm are
suppressed, since two decodings of unintelligible sound have little in common.

Everything depends on a single window, so cuts between chunks do not matter. A window is decoded again at most
`ROUNDS` times, at temperature 0 and without the prompt, which may have misled the model.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import exp

from sessionscribe.artifacts.chunk_transcript import Segment
from sessionscribe.artifacts.plan import Span
from sessionscribe.config.settings import Transcribe
from sessionscribe.core.intervals import Interval, common, gaps, heard_in, interval, length, united
from sessionscribe.core.text import join_words, normalised
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.engines.decoded import Decoded
from sessionscribe.stages.transcribe.windows import Window, decoding_windows

NO_WORD = "speech without a word"
UNSURE = "low confidence: mean log probability below its threshold"
REPEATS = "repeats itself: compression ratio above its threshold"
SILENCE = "taken for silence: no-speech probability above its threshold, mean log probability below"
ECHO = "repeats its prompt: words of `hotwords` or `initial_prompt` in a row"
MISLED = "hardly any punctuation, or too much, after a prompt"
INVENTED = "taken for invented: low confidence, and another decoding heard something else"

ROUNDS = 2
SHORTEST_S = 5.0
"""Windows are not halved below this: models invent more in short ones."""
PAUSE_S = 0.3
"""Nothing is missing between words closer together than this."""
NEAR_S = 1.0
"""How far apart two versions of a word may be."""
AGREEMENT = 0.5
"""A version confirms a segment if it has more than this share of the words."""
ECHO_WORDS = 5
"""Words of the prompt in a row that are an echo; if somebody said them, the other version has them too."""
USUAL_MARKS = 0.02, 0.25
"""Usual share of words followed by punctuation; 0.05 to 0.24 in 20 windows of natural and read speech."""
SAME_MARKS = 1.5
"""If punctuation differs by a larger factor without the prompt, the prompt has misled the model."""
MISLED_WORDS = 20
"""Fewest words that are judged by their punctuation."""
FEW = 8
"""Fewest words that are judged by agreement."""
IMPROBABLE, DENSE = -0.75, 2.0
"""Mean log probability below which and compression ratio above which words must be confirmed.

Speech in white noise of the same level has -0.5 to -0.75 and 1.3 to 1.8. Reversed speech has less than -0.75
or more than 2, and the versions have 7 to 50 % of their words in common.
"""

Decode = Callable[[Sequence[Window]], list[Decoded]]
"""Decodes windows and returns segments, which have the number of their window."""


@dataclass(frozen=True)
class FallbackResult:
    """Speech that is decoded again, with both versions and their scores.

    It is a ``whole`` window, or ``within`` one that was decoded again as a whole.
    """

    window: Window
    reason: str
    whole: bool = False
    within: bool = False
    first: tuple[Decoded, ...] = ()
    second: tuple[Decoded, ...] = ()
    scores: tuple[float, float] = (0.0, 0.0)

    @property
    def second_wins(self) -> bool:
        """Whether the second version is better; if they are equal, the first one stays."""
        return self.scores[1] > self.scores[0]


def suppression(segment: Decoded, options: Transcribe) -> str | None:
    """Return why a segment is suppressed, by fallback decoding or the engine's thresholds, if it is."""
    if segment.suppressed:
        return segment.suppressed
    if segment.compression_ratio > options.compression_ratio_threshold:
        return REPEATS
    improbable = segment.avg_logprob < options.log_prob_threshold
    return SILENCE if improbable and segment.no_speech_prob > options.no_speech_threshold else None


def _is_plausible(segment: Decoded) -> bool:
    return not segment.suppressed and segment.avg_logprob >= IMPROBABLE


def is_unsure(segment: Decoded | Segment, options: Transcribe) -> bool:
    """Return whether a segment has low confidence; the threshold is above the engine's own."""
    return segment.avg_logprob < options.low_confidence_log_prob


def decode_again(
    first: Iterable[Decoded], windows: Sequence[Window], decode: Decode, options: Transcribe
) -> tuple[list[Decoded], list[FallbackResult]]:
    """Decode doubtful speech again; return all segments in order, and the speech that was decoded twice.

    Args:
        first: the segments of ``windows``.
        windows: in samples, in order, without overlaps.
        decode: decodes windows without the prompt; its times are relative to the same origin.
        options: thresholds, and the prompt of the first version.
    """
    prompted = _runs(f"{options.initial_prompt} {options.hotwords}".split())
    own: dict[int, list[Decoded]] = {number: [] for number in range(len(windows))}
    for segment in first:
        echoes = prompted & _runs(word.text for word in segment.words)
        heard = replace(segment, suppressed=ECHO) if echoes else segment
        own[segment.window].append(heard)
    found = {number: tuple(segments) for number, segments in own.items()}
    done: list[FallbackResult] = []
    due = [(n, part) for n, window in enumerate(windows) for part in find_doubtful(window, found[n], options)]
    for _ in range(ROUNDS):
        parts = [(number, part, smaller) for number, part in due if (smaller := _smaller(part, options))]
        if not parts:
            break
        second = decode([window for *_, smaller in parts for window in smaller])
        due, at = [], 0
        for number, part, smaller in parts:
            said = tuple(s for s in second if at <= s.window < at + len(smaller))
            at += len(smaller)
            both = _compared(part, tuple(replace(s, window=number) for s in said), options)
            done.append(both)
            kept = [segment for segment in found[number] if segment not in part.first]
            kept = [piece for segment in kept for piece in _split(segment, part.window)]
            kept += both.second if both.second_wins else both.first
            found[number] = tuple(sorted(kept, key=lambda segment: segment.start))
            if both.second_wins and any(_is_plausible(said) for said in both.second):  # may have gaps, too
                inner = both.whole or both.within
                silent = _silent(both.window, both.second, options)
                due += [(number, replace(gap, within=inner)) for gap in silent]
    return [segment for number in sorted(found) for segment in found[number]], done


def find_doubtful(window: Window, segments: Sequence[Decoded], options: Transcribe) -> list[FallbackResult]:
    """Return the parts of a window to decode again: the whole window, or speech without words."""
    reason = _reason(segments, options)
    if reason is None and any(segment.words for segment in segments):
        return _silent(window, segments, options)
    return [FallbackResult(window, reason or NO_WORD, whole=True, first=tuple(segments))]


def _reason(segments: Sequence[Decoded], options: Transcribe) -> str | None:
    """Return why a whole window is decoded again, if it is."""
    if any(segment.suppressed == ECHO for segment in segments):
        return ECHO
    words = sum(len(segment.words) for segment in segments)
    low, high = USUAL_MARKS
    if _prompted(options) and words >= MISLED_WORDS and not low <= _marks(segments) <= high:
        return MISLED
    suppressed = (suppression(segment, options) for segment in segments)
    unsure = any(is_unsure(segment, options) for segment in segments)
    return next(filter(None, suppressed), UNSURE if unsure else None)


def _prompted(options: Transcribe) -> bool:
    return bool(options.hotwords or options.initial_prompt)


def _marks(segments: Iterable[Decoded]) -> float:
    """Return the share of words followed by punctuation."""
    texts = [word.text for segment in segments for word in segment.words]
    return sum(unicodedata.category(text[-1])[0] == "P" for text in texts) / max(len(texts), 1)


def _silent(window: Window, segments: Sequence[Decoded], options: Transcribe) -> list[FallbackResult]:
    """Return the gaps between words with at least ``options.fallback_gap_s`` seconds of speech.

    As in the audit, speech interrupted by pauses counts together.
    """
    words = united(part for segment in segments for word in segment.words for part in heard_in(word))
    return [
        FallbackResult(tuple(Span(start=start, stop=stop) for start, stop in gap), NO_WORD)
        for gap in gaps(_intervals(window), words)
        if length(gap) >= options.fallback_gap_s * SAMPLE_RATE
    ]


def _smaller(part: FallbackResult, options: Transcribe) -> list[Window]:
    """Return the windows in which a part is decoded again; none if they would be the same as before."""
    longest = options.window_s * SAMPLE_RATE
    if part.whole:
        longest = max(length(_intervals(part.window)) / 2 + SAMPLE_RATE, SHORTEST_S * SAMPLE_RATE)
    found = decoding_windows(part.window, longest=round(longest))
    return [] if part.whole and len(found) == 1 and not _prompted(options) else found


def _compared(part: FallbackResult, second: tuple[Decoded, ...], options: Transcribe) -> FallbackResult:
    """Return both versions with their scores, with unconfirmed segments of the better one suppressed."""
    marks = sorted((_marks(part.first), _marks(second)))
    misled = part.reason == ECHO or (part.reason == MISLED and marks[1] > SAME_MARKS * marks[0])
    scores = 0.0 if misled else score(part.first, part.window, options), score(second, part.window, options)
    both = replace(part, second=second, scores=scores)
    if both.second_wins:
        others = () if part.reason == ECHO else part.first
        return replace(both, second=_confirmed(second, others, options, within=part.within))
    return replace(both, first=_confirmed(part.first, second, options, within=part.within))


def score(segments: Iterable[Decoded], window: Window, options: Transcribe) -> float:
    """Return the seconds of speech that the words of a version cover, weighted by probability.

    The weight is the mean probability of the segment's tokens; suppressed segments do not count.
    """
    pause = round(PAUSE_S * SAMPLE_RATE / 2)
    speech, total = _intervals(window), 0.0
    for segment in segments:
        if suppression(segment, options):
            continue
        near = united((a - pause, b + pause) for word in segment.words for a, b in heard_in(word))
        total += length(common(speech, near)) / SAMPLE_RATE * exp(min(0.0, segment.avg_logprob))
    return total


def _confirmed(
    won: Sequence[Decoded], lost: Sequence[Decoded], options: Transcribe, *, within: bool
) -> tuple[Decoded, ...]:
    """Return the better version, with implausible segments suppressed if the other version differs.

    If the other version is empty, only very improbable segments are suppressed, or improbable ones
    ``within`` a window of low confidence.
    """

    def is_invented(segment: Decoded) -> bool:
        sure = segment.avg_logprob
        if not any(other.words for other in lost):
            return sure < (IMPROBABLE if within else options.log_prob_threshold)
        dense = is_unsure(segment, options) and segment.compression_ratio > DENSE
        judged = len(segment.words) >= FEW or sure < options.log_prob_threshold
        return judged and (dense or sure < IMPROBABLE) and agreement(segment, lost) <= AGREEMENT

    return tuple(
        replace(segment, suppressed=INVENTED) if not segment.suppressed and is_invented(segment) else segment
        for segment in won
    )


def agreement(segment: Decoded, others: Iterable[Decoded]) -> float:
    """Return the share of a segment's words that the other version has in the same order."""
    from rapidfuzz.distance import LCSseq  # noqa: PLC0415

    near = [
        normalised(word.text)
        for other in others
        for word in other.words
        if segment.start - NEAR_S <= (word.start + word.end) / 2 <= segment.end + NEAR_S
    ]
    own = [normalised(word.text) for word in segment.words]
    return LCSseq.similarity(own, near) / max(len(own), len(near), 1)


def _runs(texts: Iterable[str]) -> set[tuple[str, ...]]:
    """Return all sequences of `ECHO_WORDS` words."""
    words = [normalised(text) for text in texts]
    return {tuple(words[at : at + ECHO_WORDS]) for at in range(len(words) - ECHO_WORDS + 1)}


def _split(segment: Decoded, gap: Window) -> Iterator[Decoded]:
    """Yield the parts of a segment before and after a gap between its words."""
    before = [word for word in segment.words if interval(word.start, word.end)[0] < gap[0].start]
    for words in (before, list(segment.words[len(before) :])):
        if len(words) == len(segment.words):
            yield segment
        elif words:
            start, end = words[0].start, words[-1].end
            yield replace(segment, text=join_words(words), words=tuple(words), start=start, end=end)


def _intervals(window: Iterable[Span]) -> list[Interval]:
    return [(span.start, span.stop) for span in window]
