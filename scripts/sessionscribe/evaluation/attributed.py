"""Words and speakers in one figure: cpWER and tcpWER, by meeteval where it is installed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from sessionscribe.evaluation.normalise import Normaliser
from sessionscribe.formats.utterances import PlainTranscript

INSTALL = "needs meeteval: uv pip install -r envs/requirements-evaluation.txt (and a C++ compiler)"
NOBODY = "(no speaker)"


@dataclass(frozen=True)
class AttributedErrors:
    """Errors in words, each counted for the right speaker under the best assignment, and the words."""

    errors: int
    words: int


def installed() -> bool:
    """Return whether meeteval is there."""
    return find_spec("meeteval") is not None


def cpwer(
    reference: PlainTranscript, hypothesis: PlainTranscript, normaliser: Normaliser
) -> AttributedErrors | str:
    """Return the concatenated minimum-permutation word errors, or why there are none.

    Words without a speaker are one more speaker.
    """
    if not installed():
        return INSTALL
    if not reference.has_speakers:
        return "the reference has no speakers"
    from functools import partial  # noqa: PLC0415

    from meeteval.wer.wer.cp import cp_word_error_rate  # noqa: PLC0415

    return _counted(
        partial(cp_word_error_rate, reference_sort=False, hypothesis_sort=False),  # utterances are in order
        _segments(reference, normaliser, timed=False),
        _segments(hypothesis, normaliser, timed=False),
    )


def tcpwer(
    reference: PlainTranscript,
    hypothesis: PlainTranscript,
    normaliser: Normaliser,
    *,
    collar_s: float = 5.0,
) -> AttributedErrors | str:
    """Return the time-constrained cpWER, or why there is none.

    Words match only if their times do: as meeteval's own command does it, times inside an utterance follow
    from the lengths of its words, and ``collar_s`` seconds (5 in the literature) are forgiven.
    """
    if not installed():
        return INSTALL
    if not reference.has_speakers:
        return "the reference has no speakers"
    for name, side in (("reference", reference), ("hypothesis", hypothesis)):
        if any(part.start is None or part.end is None for part in side.utterances or ()):
            return f"the {name} has no times"
    from functools import partial  # noqa: PLC0415

    from meeteval.wer.wer.time_constrained import (  # noqa: PLC0415
        time_constrained_minimum_permutation_word_error_rate as tcp_word_error_rate,
    )

    return _counted(
        partial(tcp_word_error_rate, collar=collar_s),
        _segments(reference, normaliser, timed=True),
        _segments(hypothesis, normaliser, timed=True),
    )


def _segments(said: PlainTranscript, normaliser: Normaliser, *, timed: bool) -> Any:
    from meeteval.io import SegLST  # noqa: PLC0415

    segments = []
    for part in said.utterances or ():
        segment: dict[str, Any] = {
            "session_id": "session",  # meeteval wants both sides alike; who is compared is settled
            "speaker": part.speaker or NOBODY,
            "words": " ".join(normaliser.words(part.text)),
        }
        if timed:
            segment |= {"start_time": part.start, "end_time": part.end}
        if segment["words"]:
            segments.append(segment)
    return SegLST(segments)


def _counted(measure: Any, reference: Any, hypothesis: Any) -> AttributedErrors | str:
    """Call a measure of meeteval; it refuses more than twenty speakers."""
    import logging  # noqa: PLC0415

    # It warns of a speaker's own overlapping utterances and of long words: both are in order here.
    logging.getLogger("preprocess").setLevel(logging.ERROR)
    try:
        found = measure(reference, hypothesis)
    except (RuntimeError, ValueError) as error:
        return f"meeteval: {' '.join(str(error).split())[:160]}"
    return AttributedErrors(int(found.errors), int(found.length))
