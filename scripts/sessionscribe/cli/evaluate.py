"""``evaluate`` and ``diff``: measure transcripts, and compare them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sessionscribe.cli.options import argument, command, flag
from sessionscribe.core.errors import UserError, visible
from sessionscribe.evaluation import diff as comparison
from sessionscribe.evaluation import diff_report, report, transcripts
from sessionscribe.evaluation import evaluate as scoring
from sessionscribe.evaluation.evaluate import Measure
from sessionscribe.evaluation.intervals import Bootstrap
from sessionscribe.formats import references

WHAT = "a session of this project, a file, or a folder of exports or of chunk transcripts"


@command(
    "evaluate",
    argument("hypothesis", "HYP", WHAT),
    argument(
        "--reference",
        "REF",
        "files or folders (STM, RTTM, SRT, JSON …), or a corrected session",
        nargs="+",
        action="extend",
        required=True,
        type=Path,
    ),
    argument("--json", "FILE", "also write all figures to this file", type=Path),
    argument("--max-wer", "X", "fail above this WER (0.1 is 10 %%)", type=float),
    argument("--max-der", "X", "fail above this DER", type=float),
    argument("--language", "CODE", "language code (default: as transcribed)"),
    flag("--as-written", "do not normalise words"),
    argument("--collar", "S", "DER, JER: ignore so many seconds at turns' edges", type=float, default=0.0),
    flag("--skip-overlap", "DER, JER: ignore overlapped speech"),
    argument("--word-collar", "S", "tcpWER: tolerance in s (default: 5)", type=float, default=5.0),
    argument("--resamples", "N", "bootstrap resamples (default: 1000; 0: none)", type=int, default=1000),
    argument("--seed", "N", "bootstrap's seed (default: 0)", type=int, default=0),
)
def evaluate(options: argparse.Namespace) -> int:
    """Measure transcripts against references.

    Returns 1 if an error rate is above its limit.

    Raises:
        UserError: a file or option is wrong.
    """
    for name in ("collar", "word_collar", "resamples", "seed", "max_wer", "max_der"):
        value = getattr(options, name)
        if value is not None and not 0 <= value < float("inf"):
            raise UserError(
                "must be a number from 0 on", where=f"--{name.replace('_', '-')}", hint="Correct it"
            )
    if options.resamples == 1:
        raise UserError("one resample has no spread", where="--resamples", hint="Give 0 or more than 1")
    found = transcripts.read(options.hypothesis)
    wanted = references.read(map(transcripts.reference, options.reference))
    pairs = scoring.pairs(found, wanted, every=len(found) > 1)
    chosen = scoring.Options(
        language=options.language,
        as_written=options.as_written,
        collar_s=options.collar,
        skip_overlap=options.skip_overlap,
        word_collar_s=options.word_collar,
        bootstrap=Bootstrap(options.resamples, options.seed),
    )
    scores = scoring.evaluate(pairs, chosen)
    print(report.tables(scores, chosen))
    if len(found) > 1 and (without := sorted(set(found) - set(wanted))):
        print(f"Without a reference, so not scored: {visible(', '.join(without))}.")
    if options.json:
        with _writing(options.json):
            report.write_json(scores, chosen, options.json)
    bars = [("WER", options.max_wer), ("DER", options.max_der)]
    missed = [_missed(name, bar, scores.pooled) for name, bar in bars if bar is not None]  # say all
    return int(any(missed))


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """In errors, name the file that was asked for, not the temporary one beside it.

    Raises:
        UserError: it cannot be written.
    """
    try:
        yield
    except OSError as error:
        hint = "Name a file in a folder that can be written to"
        raise UserError(f"cannot be written ({error.strerror})", where=path, hint=hint) from error


def _missed(name: str, bar: float, pooled: dict[str, Measure]) -> bool:
    """Return whether an error rate is above its limit or was not measured, and say so."""
    measure = pooled.get(name.lower())
    if measure is not None and measure.value <= bar:
        return False
    value = "was not measured" if measure is None else f"is {100 * measure.value:.2f} %"
    print(f"sessionscribe: the {name} {value}, the bar is {100 * bar:.2f} %", file=sys.stderr)
    return True


@command(
    "diff",
    argument("before", "A", WHAT),
    argument("after", "B", "another transcript of the same session"),
    argument("--html", "FILE", "write a page that shows both side by side", type=Path),
    flag("--summary", "print only the summary"),
)
def diff(options: argparse.Namespace) -> int:
    """Compare two transcripts of a session word by word.

    Raises:
        UserError: a file is wrong, or they are not of one session.
    """
    before, after = transcripts.read(options.before), transcripts.read(options.after)
    found = comparison.diff(*comparison.same_session(before, after))
    if options.html:
        with _writing(options.html):
            diff_report.write_html(found, options.before, options.after, options.html)
    diff_report.show(found, options.before, options.after, changes=not options.summary)
    return 0
