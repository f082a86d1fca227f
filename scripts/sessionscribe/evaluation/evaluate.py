"""Accuracy of transcripts against references: for each session, and for all sessions pooled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sessionscribe.core.errors import UserError, visible
from sessionscribe.core.text import listed
from sessionscribe.evaluation.attributed import attributed_errors
from sessionscribe.evaluation.intervals import (
    FEWEST_SESSIONS,
    Array,
    Bootstrap,
    Counts,
    Interval,
    quantile,
    ratio,
)
from sessionscribe.evaluation.normalise import normaliser
from sessionscribe.evaluation.speakers import NO_METRICS, speaker_errors
from sessionscribe.evaluation.words import Times, character_errors, match, without_ignored, word_errors
from sessionscribe.formats.utterances import PlainTranscript

ALL = "all"
MOST_NAMED = 10  # sessions in an error message
RATES = ("wer", "cer", "cpwer", "tcpwer", "word_speaker_error", "der", "jer")
BY_SESSION = {"cpwer", "tcpwer", "jer"}  # these have no blocks


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
    """The counts of one session by measure; ``missing`` has the reasons why others were not counted."""

    session: str
    normaliser: str
    counts: dict[str, Counts]
    times: Times | None
    missing: dict[str, str]


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
    found = without_ignored(hypothesis, reference.ignored)
    counts: dict[str, Counts] = {}
    missing: dict[str, str] = {}
    speakers = speaker_errors(reference, found, collar_s=options.collar_s, skip_overlap=options.skip_overlap)
    if speakers is None:
        side = "reference" if reference.turns is None else "hypothesis"
        silent = reference.turns is None or found.turns is None
        missing["DER"] = missing["JER"] = f"the {side} has no turns" if silent else NO_METRICS
    elif not speakers.der.totals.sum():
        missing["DER"] = missing["JER"] = "the reference has no speech"
    else:
        counts |= {"der": speakers.der, "jer": speakers.jer}
    if reference.utterances is None or found.utterances is None:
        side = "reference" if reference.utterances is None else "hypothesis"
        missing |= dict.fromkeys(("WER", "CER", "cpWER", "tcpWER"), f"the {side} has no words")
        return SessionScore(reference.session, chosen.name, counts, None, missing)
    counts["wer"] = word_errors(reference, found, chosen)
    counts["cer"] = character_errors(reference, found, chosen)
    if not counts["wer"].totals.sum():
        missing["WER"] = missing["CER"] = "the reference has no words"
    times, wrong = match(reference, found, chosen, speakers.names if "der" in counts and speakers else None)
    if not len(times.blocks):
        missing["word times"] = "no word that both have has times on both sides"
    if len(wrong.totals):
        counts["word_speaker_error"] = wrong
    else:
        missing["word speaker"] = "no word that both have has a speaker on both sides"
    for name, collar_s in (("cpWER", None), ("tcpWER", options.word_collar_s)):
        errors = attributed_errors(reference, found, chosen, collar_s=collar_s)
        if isinstance(errors, str):
            missing[name] = errors
        else:
            counts[name.lower()] = errors
    return SessionScore(reference.session, chosen.name, counts, times, missing)


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
    for name in RATES:
        parts = [score.counts[name] for score in counted if name in score.counts]
        errors = _blocks([part.errors for part in parts], by_session)
        totals = _blocks([part.totals for part in parts], by_session)
        if not totals.sum():
            continue
        draws = by_session or name not in BY_SESSION
        interval = bootstrap.interval(len(totals), ratio(errors, totals)) if draws else None
        counts: dict[str, float] = {"errors": float(errors.sum()), "total": float(totals.sum())}
        counts |= {detail: sum(part.sums[detail] for part in parts) for detail in parts[0].sums}
        found[name] = Measure(counts["errors"] / counts["total"], interval, counts)
    times = [score.times for score in counted if score.times and len(score.times.blocks)]
    return found | (_times(times, bootstrap, by_session) if times else {})


def _blocks(parts: Sequence[Array], by_session: bool) -> Array:
    """Return the values of all blocks, or the sum of each session."""
    return np.array([part.sum() for part in parts]) if by_session else np.concatenate([[], *parts])


def _times(parts: Sequence[Times], bootstrap: Bootstrap, by_session: bool) -> dict[str, Measure]:
    numbered, first = [], 0
    for index, part in enumerate(parts):
        numbered.append(np.full(len(part.blocks), index) if by_session else part.blocks + first)
        first += int(part.blocks.max()) + 1
    _, blocks = np.unique(np.concatenate(numbered), return_inverse=True)
    found = {}
    for side in ("start", "end"):
        errors = np.concatenate([getattr(part, f"{side}s") for part in parts])
        for name, share in (("median", 0.5), ("p95", 0.95)):
            interval = bootstrap.interval(int(blocks.max()) + 1, quantile(errors, blocks, share))
            value, counts = float(np.quantile(errors, share)), {"total": float(len(errors))}
            found[f"{side}_{name}_s"] = Measure(value, interval, counts)
    return found
