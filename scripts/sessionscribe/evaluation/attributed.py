"""Errors of words and speakers together: cpWER and tcpWER, with meeteval if it is installed."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import Any

import numpy as np

from sessionscribe.evaluation.intervals import Counts
from sessionscribe.evaluation.normalise import Normaliser
from sessionscribe.formats.utterances import PlainTranscript

INSTALL = "needs meeteval: uv pip install -r envs/requirements-evaluation.txt (and a C++ compiler)"
NOBODY = "(no speaker)"


def attributed_errors(
    reference: PlainTranscript,
    hypothesis: PlainTranscript,
    normaliser: Normaliser,
    *,
    collar_s: float | None = None,
) -> Counts | str:
    """Return the concatenated minimum-permutation word errors (cpWER), or the reason why they are missing.

    Words without a speaker are those of one more speaker. With ``collar_s`` (5 s in the literature), words
    only match if their times do, too (tcpWER); as in meeteval's command, times inside an utterance are
    derived from the lengths of its words.
    """
    if find_spec("meeteval") is None:
        return INSTALL
    if not reference.has_speakers:
        return "the reference has no speakers"
    from meeteval.wer.wer import cp, time_constrained  # noqa: PLC0415

    timed = collar_s is not None
    sides = {"reference": reference, "hypothesis": hypothesis}
    for name, side in sides.items():
        if timed and any(part.start is None or part.end is None for part in side.utterances or ()):
            return f"the {name} has no times"
    segments = [_segments(side, normaliser, timed=timed) for side in sides.values()]
    # meeteval warns of overlapping utterances of a speaker and of long words, which are normal here.
    logging.getLogger("preprocess").setLevel(logging.ERROR)
    try:
        if timed:
            measure = time_constrained.time_constrained_minimum_permutation_word_error_rate
            found = measure(*segments, collar=collar_s)
        else:  # utterances are sorted
            found = cp.cp_word_error_rate(*segments, reference_sort=False, hypothesis_sort=False)
    except (RuntimeError, ValueError) as error:  # for example, more than twenty speakers
        return f"meeteval: {' '.join(str(error).split())[:160]}"
    return Counts(np.array([found.errors], np.float64), np.array([found.length], np.float64))


def _segments(said: PlainTranscript, normaliser: Normaliser, *, timed: bool) -> Any:
    from meeteval.io import SegLST  # noqa: PLC0415

    segments = []
    for part in said.utterances or ():
        segment: dict[str, Any] = {
            "session_id": "session",  # meeteval requires the same on both sides
            "speaker": part.speaker or NOBODY,
            "words": " ".join(normaliser.words(part.text)),
        }
        if timed:
            segment |= {"start_time": part.start, "end_time": part.end}
        if segment["words"]:
            segments.append(segment)
    return SegLST(segments)
