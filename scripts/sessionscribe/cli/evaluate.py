"""``evaluate`` and ``diff``. Heavy modules are imported only when they run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sessionscribe.cli.options import argument, command, flag
from sessionscribe.core.errors import UserError, visible

if TYPE_CHECKING:
    from sessionscribe.evaluation.evaluate import Measure

WHAT = "a session of this project, a file, or a folder of exports or of chunk transcripts"


@command(
    "evaluate",
    argument("hypothesis", metavar="HYP", help=WHAT),
    argument(
        "--reference",
        nargs="+",
        action="extend",
        required=True,
        type=Path,
        metavar="REF",
        help="files or folders (STM, RTTM, SRT, JSON …), or a corrected session",
    ),
    argument("--json", type=Path, metavar="FILE", help="also write all figures to this file"),
    argument("--max-wer", type=float, metavar="X", help="fail above this WER (0.1 is 10 %%)"),
    argument("--max-der", type=float, metavar="X", help="fail above this DER"),
    argument("--language", metavar="CODE", help="language code (default: as transcribed)"),
    flag("--as-written", help="do not normalise words"),
    argument(
        "--collar",
        type=float,
        default=0.0,
        metavar="S",
        help="DER, JER: ignore so many seconds at turns' edges",
    ),
    flag("--skip-overlap", help="DER, JER: ignore overlapped speech"),
    argument(
        "--word-collar", type=float, default=5.0, metavar="S", help="tcpWER: tolerance in s (default: 5)"
    ),
    argument(
        "--resamples",
        type=int,
        default=1000,
        metavar="N",
        help="bootstrap resamples (default: 1000); 0: no confidence intervals",
    ),
    argument("--seed", type=int, default=0, metavar="N", help="bootstrap's seed (default: 0)"),
)
def evaluate(options: argparse.Namespace) -> int:
    """Measure transcripts against references.

    Returns 1 if an error rate is above its limit.

    Raises:
        UserError: a file or option is wrong.
    """
    from sessionscribe.evaluation import evaluate, report, transcripts  # noqa: PLC0415
    from sessionscribe.evaluation.intervals import Bootstrap  # noqa: PLC0415
    from sessionscribe.formats import references  # noqa: PLC0415

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
    pairs = evaluate.pairs(found, wanted, every=len(found) > 1)
    chosen = evaluate.Options(
        language=options.language,
        as_written=options.as_written,
        collar_s=options.collar,
        skip_overlap=options.skip_overlap,
        word_collar_s=options.word_collar,
        bootstrap=Bootstrap(options.resamples, options.seed),
    )
    scores = evaluate.evaluate(pairs, chosen)
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
    argument("before", metavar="A", help=WHAT),
    argument("after", metavar="B", help="another transcript of the same session"),
    argument("--html", type=Path, metavar="FILE", help="write a page that shows both side by side"),
    flag("--summary", help="print only the summary"),
)
def diff(options: argparse.Namespace) -> int:
    """Compare two transcripts of a session word by word.

    Raises:
        UserError: a file is wrong, or they are not of one session.
    """
    from sessionscribe.evaluation import diff, diff_report, transcripts  # noqa: PLC0415

    before, after = transcripts.read(options.before), transcripts.read(options.after)
    found = diff.diff(*diff.same_session(before, after))
    if options.html:
        with _writing(options.html):
            diff_report.write_html(found, options.before, options.after, options.html)
    diff_report.show(found, options.before, options.after, changes=not options.summary)
    return 0
