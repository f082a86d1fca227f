"""Scores as Markdown tables and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sessionscribe.core.errors import visible
from sessionscribe.core.files import write_text
from sessionscribe.evaluation.evaluate import ALL, Measure, Options, Scores
from sessionscribe.evaluation.intervals import LEVEL

Measures = Mapping[str, Measure]
NOT_MEASURED = "–"


def tables(scores: Scores, options: Options) -> str:
    """Return the tables of words and of speakers, and how to read them."""
    rows = dict(scores.sessions)
    if len(rows) > 1:
        rows[ALL] = scores.pooled
    parts = [_table(columns, rows) for columns in (_WORDS, _SPEAKERS)]
    return "\n\n".join([part for part in parts if part] + [notes(scores, options)])


def notes(scores: Scores, options: Options) -> str:
    """Return lines on what the figures mean and what was not measured."""
    lines = [f"Text: {', '.join(scores.normalisers)}."]
    overlap = "overlap left out" if options.skip_overlap else "overlap scored"
    lines.append(
        f"DER and JER: collar {options.collar_s:g} s, {overlap}. tcpWER: {options.word_collar_s:g} s."
    )
    boot = options.bootstrap
    if boot.resamples:
        drawn = "; in the last row, of whole sessions" if scores.drawn == "sessions" else ""
        lines.append(
            f"[low–high]: {LEVEL:.0%} interval of {boot.resamples} bootstrap resamples (seed {boot.seed}) "
            f"of the reference's segments (for speakers: minutes){drawn}."
        )
    reasons: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    measures = dict.fromkeys(name for why in scores.missing.values() for name in why)
    for measure in measures:
        for reason in dict.fromkeys(why[measure] for why in scores.missing.values() if measure in why):
            sessions = tuple(name for name, why in scores.missing.items() if why.get(measure) == reason)
            reasons.setdefault((reason, sessions), []).append(measure)
    for (reason, sessions), names in reasons.items():
        where = "" if len(sessions) == len(scores.sessions) else f" in {visible(', '.join(sessions))}"
        lines.append(f"Not measured{where}: {', '.join(names)} ({reason}).")
    return "\n".join(lines)


def write_json(scores: Scores, options: Options, path: Path) -> None:
    """Write all figures to ``path``; rates are fractions (0.1 is 10 %), times are in seconds."""
    content = {
        "text": list(scores.normalisers),
        "collar_s": options.collar_s,
        "skip_overlap": options.skip_overlap,
        "word_collar_s": options.word_collar_s,
        "interval": {
            "level": LEVEL,
            "method": "percentile bootstrap over segments (words), minutes (speakers)",
            "resamples": options.bootstrap.resamples,
            "seed": options.bootstrap.seed,
            "pooled_draws": scores.drawn,
        },
        "sessions": {name: _figures(found) for name, found in scores.sessions.items()},
        "pooled": _figures(scores.pooled),
        "not_measured": scores.missing,
    }
    text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    # File names may contain invalid UTF-8, and JSON lone surrogates: JSON's own escapes.
    write_text(path, text.encode(errors="backslashreplace").decode())


def _figures(found: Measures) -> dict[str, Any]:
    return {name: measure.figures() for name, measure in found.items()}


Column = tuple[str, Callable[[Measures], str]]


def _value(name: str, factor: float = 100, digits: int = 1) -> Callable[[Measures], str]:
    """Return a column with a measure and its interval, by default in percent."""

    def cell(found: Measures) -> str:
        if (measure := found.get(name)) is None:
            return NOT_MEASURED
        value, *edges = (f"{factor * x:.{digits}f}" for x in (measure.value, *(measure.interval or ())))
        return f"{value} [{'–'.join(edges)}]" if edges else value

    return cell


def _share(name: str, count: str) -> Callable[[Measures], str]:
    """Return a column with a count of a measure in percent of its total."""

    def cell(found: Measures) -> str:
        if (measure := found.get(name)) is None:
            return NOT_MEASURED
        return f"{100 * measure.counts[count] / measure.counts['total']:.1f}"

    return cell


def _count(name: str, count: str) -> Callable[[Measures], str]:
    return lambda found: f"{found[name].counts[count]:.0f}" if name in found else NOT_MEASURED


def _speakers(found: Measures) -> str:
    if "der" not in found:
        return NOT_MEASURED
    counts = found["der"].counts
    if counts["sessions"] > 1:
        return f"{counts['sessions_with_right_count']:.0f} of {counts['sessions']:.0f} right"
    return f"{counts['speakers_found']:.0f}/{counts['speakers']:.0f}"


_WORDS: tuple[Column, ...] = (
    ("words", _count("wer", "total")),
    ("WER %", _value("wer")),
    ("wrong", _share("wer", "substitutions")),
    ("lost", _share("wer", "deletions")),
    ("added", _share("wer", "insertions")),
    ("CER %", _value("cer")),
    ("start median s", _value("start_median_s", 1, 3)),
    ("p95 s", _value("start_p95_s", 1, 3)),
    ("end median s", _value("end_median_s", 1, 3)),
    ("p95 s", _value("end_p95_s", 1, 3)),
)
_SPEAKERS: tuple[Column, ...] = (
    ("DER %", _value("der")),
    ("missed", _share("der", "missed_s")),
    ("false", _share("der", "false_alarm_s")),
    ("confused", _share("der", "confused_s")),
    ("JER %", _value("jer")),
    ("speakers", _speakers),
    ("words by wrong speaker %", _value("word_speaker_error")),
    ("cpWER %", _value("cpwer")),
    ("tcpWER %", _value("tcpwer")),
)


def _table(columns: Sequence[Column], rows: Mapping[str, Measures]) -> str:
    """Return an aligned Markdown table, or nothing if nothing was measured."""
    cells = [[visible(session), *(cell(found) for _, cell in columns)] for session, found in rows.items()]
    if all(cell == NOT_MEASURED for row in cells for cell in row[1:]):
        return ""
    everything = [["session", *(name for name, _ in columns)], *cells]
    widths = [max(len(row[i]) for row in everything) for i in range(len(everything[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in everything
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
