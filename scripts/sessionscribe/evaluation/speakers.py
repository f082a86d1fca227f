"""Diarization and Jaccard error rates, and the optimal mapping of speakers, with pyannote.metrics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from sessionscribe.evaluation.intervals import Counts
from sessionscribe.formats.utterances import PlainTranscript, SpeakerTurn

NO_METRICS = "pyannote.metrics is not installed (`make setup LIGHT=0`)"
BLOCK_S = 60.0  # blocks for confidence intervals


@dataclass(frozen=True)
class SpeakerErrors:
    """Diarization errors (seconds, by minute), Jaccard errors, and the mapping of speakers."""

    der: Counts
    jer: Counts
    names: dict[str, str]


def speaker_errors(
    reference: PlainTranscript,
    hypothesis: PlainTranscript,
    *,
    collar_s: float = 0.0,
    skip_overlap: bool = False,
) -> SpeakerErrors | None:
    """Compare turns; None if a side has none, or pyannote.metrics is not installed.

    Args:
        reference: the true turns, and the regions to score (default: the whole session).
        hypothesis: the turns to score.
        collar_s: seconds before and after the edges of true turns that are not scored (NIST's ``-c``).
        skip_overlap: do not score simultaneous speech of true speakers.
    """
    if reference.turns is None or hypothesis.turns is None or not find_spec("pyannote"):
        return None
    from pyannote.core import Segment  # noqa: PLC0415
    from pyannote.metrics.diarization import DiarizationErrorRate, JaccardErrorRate  # noqa: PLC0415
    from pyannote.metrics.identification import IdentificationErrorRate  # noqa: PLC0415

    # pyannote's collar is the sum of both sides.
    options: dict[str, Any] = {"collar": 2 * collar_s, "skip_overlap": skip_overlap}
    metric: Any = DiarizationErrorRate(**options)
    region = _scored(reference, hypothesis)
    truth, found, scored = metric.uemify(
        annotation(reference.turns), annotation(hypothesis.turns), uem=region, returns_uem=True, **options
    )
    names = metric.optimal_mapping(truth, found)
    # Renamed on both sides, so that a speaker without a counterpart does not match one by its name.
    number = {label: index for index, label in enumerate(truth.labels())}
    mapped = found.rename_labels(
        {label: number.get(names.get(label), f"none {label}") for label in found.labels()}
    )
    truth_numbered = truth.rename_labels(number)
    parts = []
    plain: Any = IdentificationErrorRate()
    end = max((segment.end for segment in scored), default=0.0)
    for start in np.arange(0.0, end, BLOCK_S):
        block = scored.crop(Segment(start, start + BLOCK_S), mode="intersection")
        if block:
            counted = plain.compute_components(truth_numbered.crop(block), mapped.crop(block), uem=block)
            names_of = ("total", "missed detection", "false alarm", "confusion")
            parts.append([counted[name] for name in names_of])
    speech, missed, false_alarm, confused = np.array(parts, np.float64).reshape(-1, 4).T
    jaccard_rate: Any = JaccardErrorRate(**options)  # type: ignore[no-untyped-call]
    jaccard = jaccard_rate(
        annotation(reference.turns), annotation(hypothesis.turns), uem=region, detailed=True
    )
    speakers, speakers_found = len(truth.labels()), len(found.labels())
    sums = {
        "missed_s": float(missed.sum()),
        "false_alarm_s": float(false_alarm.sum()),
        "confused_s": float(confused.sum()),
        "speakers": speakers,
        "speakers_found": speakers_found,
        "sessions": 1,
        "sessions_with_right_count": int(speakers == speakers_found),
    }
    der = Counts(missed + false_alarm + confused, speech, sums)
    jer = Counts(np.array([float(jaccard["speaker error"])]), np.array([float(jaccard["speaker count"])]))
    return SpeakerErrors(der, jer, dict(names))


def annotation(turns: Iterable[SpeakerTurn]) -> Any:
    """Return turns as an annotation of pyannote."""
    from pyannote.core import Annotation, Segment  # noqa: PLC0415

    made = Annotation()
    for index, turn in enumerate(turns):
        made[Segment(turn.start, turn.end), index] = turn.speaker
    return made


def _scored(reference: PlainTranscript, hypothesis: PlainTranscript) -> Any:
    """Return the regions to score: the reference's, or the whole session, without ignored regions."""
    from pyannote.core import Segment, Timeline  # noqa: PLC0415

    regions = reference.scored
    if regions is None:
        known = reference.duration_s
        regions = ((0.0, known if known is not None else max(reference.end, hypothesis.end)),)
    counted = Timeline([Segment(*region) for region in regions]).support()
    if not reference.ignored:
        return counted
    return Timeline([Segment(*region) for region in reference.ignored]).support().gaps(support=counted)
