"""Accuracy of transcripts against references: for each session, and for all sessions pooled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sessionscribe.core.errors import UserError, visible
from sessionscribe.core.text import listed
from sessionscribe.evaluation.attributed import AttributedErrors, attributed_errors
from sessionscribe.evaluation.intervals import FEWEST_SESSIONS, Array, Bootstrap, Interval, quantile, ratio
from sessionscribe.evaluation.normalise import normaliser
from sessionscribe.evaluation.speakers import NO_METRICS, SpeakerErrors, speaker_errors
from sessionscribe.evaluation.words import Errors, Matches, character_errors, match, outside, word_errors
from sessionscribe.formats.utterances import PlainTranscript

ALL = "all"
MOST_NAMED = 10  # sessions in an error message


@dataclass(frozen=True)
class Options:
    """Options of scoring.

    Attributes:
        language: overrides the language of the hypothesis.
        as_written: compare words as written, without Whisper's normaliser.
        collar_s: seconds before and after the edges of true turns that are not scored in DER and JER.
        skip_overlap: do not score overlapped speech in DER and JER.
        word_collar_s: tolerance of word times in tcpWER, in seconds.
        bootstrap: options of confidence intervals.
    """

    language: str | None = None
    as_written: bool = False
    collar_s: float = 0.0
    skip_overlap: bool = False
    word_collar_s: float = 5.0
    bootstrap: Bootstrap = field(default_factory=Bootstrap)


@dataclass(frozen=True)
class SessionScore:
    """The counts of one session; ``missing`` has the reasons for counts that are None."""

    session: str
    normaliser: str
    words: Errors | None
    characters: Errors | None
    matches: Matches | None
    speakers: SpeakerErrors | None
    missing: dict[str, str]
    attributed: dict[str, AttributedErrors] = field(default_factory=dict)
    """By the name of the measure: ``cpwer``, ``tcpwer``."""


@dataclass(frozen=True)
class Measure:
    """A value with its 95 % interval and the counts behind it."""

    value: float
    interval: Interval | None
    counts: dict[str, float] = field(default_factory=dict)

    def figures(self) -> dict[str, Any]:
        """Return value, interval and counts for JSON."""
        low, high = self.interval or (None, None)
        figures = {"value": self.value, "low": low, "high": high, **self.counts}
        return {name: None if value is None else round(value, 6) for name, value in figures.items()}


@dataclass(frozen=True)
class Scores:
    """The measures by name, of each session and pooled; ``missing``: why others were not measured."""

    sessions: dict[str, dict[str, Measure]]
    pooled: dict[str, Measure]
    drawn: str
    """What was drawn for the intervals of the pooled measures: sessions or segments."""
    missing: dict[str, dict[str, str]]
    normalisers: tuple[str, ...]


def pairs(
    hypotheses: Mapping[str, PlainTranscript], references: Mapping[str, PlainTranscript], *, every: bool
) -> list[tuple[PlainTranscript, PlainTranscript]]:
    """Return (reference, hypothesis) of each session; a single one on both sides may have different names.

    Args:
        hypotheses: the transcripts by session.
        references: the references by session.
        every: whether each reference must have a transcript.

    Raises:
        UserError: no session has both, or a reference has no transcript.
    """
    if len(hypotheses) == len(references) == 1:
        return [(next(iter(references.values())), next(iter(hypotheses.values())))]
    common = [name for name in references if name in hypotheses]
    left = [name for name in references if name not in hypotheses]
    if not common or (every and left):
        names = left if common or not hypotheses else list(hypotheses)
        what = "has no transcript to compare with" if common or not hypotheses else "has no reference"
        raise UserError(
            what,
            where=_listed(names),
            hint=f"References: {_listed(references)}; transcripts: {_listed(hypotheses)}",
        )
    return [(references[name], hypotheses[name]) for name in common]


def _listed(names: Iterable[str]) -> str:
    """Return some names for a message: there may be thousands, with any characters."""
    return visible(listed(list(names), MOST_NAMED)) or "none"


def score_session(reference: PlainTranscript, hypothesis: PlainTranscript, options: Options) -> SessionScore:
    """Count the errors of one session."""
    language = options.language or hypothesis.language or reference.language
    chosen = normaliser(language, plain=options.as_written)
    found = outside(hypothesis, reference.ignored)
    missing: dict[str, str] = {}
    speakers = speaker_errors(reference, found, collar_s=options.collar_s, skip_overlap=options.skip_overlap)
    if speakers is None:
        side = "reference" if reference.turns is None else "hypothesis"
        silent = reference.turns is None or found.turns is None
        why = f"the {side} has no turns" if silent else NO_METRICS
        missing["DER"] = missing["JER"] = why
    elif not speakers.speech.sum():
        missing["DER"] = missing["JER"] = "the reference has no speech"
        speakers = None
    if reference.utterances is None or found.utterances is None:
        side = "reference" if reference.utterances is None else "hypothesis"
        missing |= dict.fromkeys(("WER", "CER", "cpWER", "tcpWER"), f"the {side} has no words")
        return SessionScore(reference.session, chosen.name, None, None, None, speakers, missing)
    words = word_errors(reference, found, chosen)
    if not words.totals.sum():
        missing["WER"] = missing["CER"] = "the reference has no words"
    matches = match(reference, found, chosen, speakers.names if speakers else None)
    if not len(matches.time_blocks):
        missing["word times"] = "no word that both have has times on both sides"
    if not len(matches.speaker_blocks):
        missing["word speaker"] = "no word that both have has a speaker on both sides"
    attributed = {}
    for name, collar_s in (("cpWER", None), ("tcpWER", options.word_collar_s)):
        errors = attributed_errors(reference, found, chosen, collar_s=collar_s)
        if isinstance(errors, str):
            missing[name] = errors
        else:
            attributed[name.lower()] = errors
    return SessionScore(
        session=reference.session,
        normaliser=chosen.name,
        words=words,
        characters=character_errors(reference, found, chosen),
        matches=matches,
        speakers=speakers,
        missing=missing,
        attributed=attributed,
    )


def evaluate(both: Sequence[tuple[PlainTranscript, PlainTranscript]], options: Options) -> Scores:
    """Score the (reference, hypothesis) of every session, separately and pooled."""
    counted, bootstrap = [score_session(*pair, options) for pair in both], options.bootstrap
    by_session = len(counted) >= FEWEST_SESSIONS
    return Scores(
        sessions={score.session: measures([score], bootstrap) for score in counted},
        pooled=measures(counted, bootstrap, by_session=by_session),
        drawn="sessions" if by_session else "segments",
        missing={score.session: score.missing for score in counted if score.missing},
        normalisers=tuple(dict.fromkeys(score.normaliser for score in counted)),
    )


def measures(
    counted: Sequence[SessionScore], bootstrap: Bootstrap, *, by_session: bool = False
) -> dict[str, Measure]:
    """Return all measures of some sessions: the sum of errors divided by the sum of totals.

    Args:
        counted: the sessions.
        bootstrap: options of confidence intervals.
        by_session: draw whole sessions instead of their blocks.
    """
    found: dict[str, Measure] = {}
    _add_errors(found, "wer", [s.words for s in counted if s.words], bootstrap, by_session)
    _add_errors(found, "cer", [s.characters for s in counted if s.characters], bootstrap, by_session)
    for name in ("cpwer", "tcpwer"):
        parts = [s.attributed[name] for s in counted if name in s.attributed]
        if parts:
            errors = _array(part.errors for part in parts)
            totals = _array(part.words for part in parts)
            _add_ratio(found, name, errors, totals, bootstrap if by_session else None)
    _add_matches(found, [s.matches for s in counted if s.matches], bootstrap, by_session)
    _add_speakers(found, [s.speakers for s in counted if s.speakers], bootstrap, by_session)
    return found


def _array(values: Iterable[float]) -> Array:
    return np.array(list(values), np.float64)


def _blocks(parts: Sequence[Array], by_session: bool) -> Array:
    """Return the values of all blocks, or the sum of each session."""
    return _array(part.sum() for part in parts) if by_session else np.concatenate(parts)


def _add_ratio(
    found: dict[str, Measure],
    name: str,
    errors: Array,
    totals: Array,
    bootstrap: Bootstrap | None,
    **counts: float,
) -> None:
    total = float(totals.sum())
    if total > 0:
        counts = {"errors": float(errors.sum()), "total": total, **counts}
        interval = bootstrap.interval(len(totals), ratio(errors, totals)) if bootstrap else None
        found[name] = Measure(float(errors.sum()) / total, interval, counts)


def _add_errors(
    found: dict[str, Measure], name: str, parts: Sequence[Errors], bootstrap: Bootstrap, by_session: bool
) -> None:
    if not parts:
        return
    kinds = ("substitutions", "deletions", "insertions")
    counts = {kind: float(sum(getattr(part, kind).sum() for part in parts)) for kind in kinds}
    errors, totals = (_blocks([getattr(p, n) for p in parts], by_session) for n in ("errors", "totals"))
    _add_ratio(found, name, errors, totals, bootstrap, **counts)


def _add_matches(
    found: dict[str, Measure], parts: Sequence[Matches], bootstrap: Bootstrap, by_session: bool
) -> None:
    if not parts:
        return

    def numbered(name: str) -> Any:
        """Return the block of each value, numbered across sessions (or its session)."""
        all_of, first = [], 0
        for index, part in enumerate(parts):
            blocks = getattr(part, name)
            all_of.append(np.full(len(blocks), index) if by_session else blocks + first)
            first += int(blocks.max(initial=-1)) + 1
        return np.concatenate(all_of)

    time_blocks, speaker_blocks = numbered("time_blocks"), numbered("speaker_blocks")
    _, time_blocks = np.unique(time_blocks, return_inverse=True)
    blocks = int(time_blocks.max(initial=-1)) + 1
    for side in ("start", "end"):
        errors = np.concatenate([getattr(part, f"{side}_errors") for part in parts])
        for name, share in (("median", 0.5), ("p95", 0.95)):
            if len(errors):
                interval = bootstrap.interval(blocks, quantile(errors, time_blocks, share))
                found[f"{side}_{name}_s"] = Measure(
                    float(np.quantile(errors, share)), interval, {"total": float(len(errors))}
                )
    wrong = np.concatenate([part.wrong_speaker for part in parts])
    if len(wrong):
        _, speaker_blocks = np.unique(speaker_blocks, return_inverse=True)
        words = np.bincount(speaker_blocks).astype(np.float64)
        wrongs = np.bincount(speaker_blocks, wrong).astype(np.float64)
        _add_ratio(found, "word_speaker_error", wrongs, words, bootstrap)


def _add_speakers(
    found: dict[str, Measure], parts: Sequence[SpeakerErrors], bootstrap: Bootstrap, by_session: bool
) -> None:
    if not parts:
        return
    kinds = ("missed", "false_alarm", "confused")
    counts: dict[str, float] = {
        f"{kind}_s": float(sum(getattr(p, kind).sum() for p in parts)) for kind in kinds
    }
    counts |= {
        "speakers": sum(part.speakers for part in parts),
        "speakers_found": sum(part.speakers_found for part in parts),
        "sessions": len(parts),
        "sessions_with_right_count": sum(part.speakers == part.speakers_found for part in parts),
    }
    errors, speech = (_blocks([getattr(p, n) for p in parts], by_session) for n in ("errors", "speech"))
    _add_ratio(found, "der", errors, speech, bootstrap, **counts)
    _add_ratio(
        found,
        "jer",
        _array(part.jaccard_error for part in parts),
        _array(part.jaccard_speakers for part in parts),
        bootstrap if by_session else None,
    )
