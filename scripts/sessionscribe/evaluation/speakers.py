"""Diarization and Jaccard error rates (pyannote.metrics), and who is who (its optimal mapping)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from sessionscribe.evaluation.intervals import Array
from sessionscribe.formats.utterances import PlainTranscript, SpeakerTurn

NO_METRICS = "pyannote.metrics is not installed (`make setup LIGHT=0`)"
BLOCK_S = 60.0  # what is drawn as a whole for the confidence interval


@dataclass(frozen=True)
class SpeakerErrors:
    """Seconds of speech and of each kind of error, for each minute and in all; and the speakers' mean error.

    ``names`` gives the reference's speaker for each speaker of the hypothesis that has one.
    """

    speech: Array
    missed: Array
    false_alarm: Array
    confused: Array
    jaccard_error: float
    jaccard_speakers: int
    speakers: int
    speakers_found: int
    names: dict[str, str]

    @property
    def errors(self) -> Array:
        """All errors of each block, in seconds."""
        return self.missed + self.false_alarm + self.confused


def speaker_errors(
    reference: PlainTranscript,
    hypothesis: PlainTranscript,
    *,
    collar_s: float = 0.0,
    skip_overlap: bool = False,
) -> SpeakerErrors | None:
    """Compare who speaks when; None where a side does not say, or pyannote.metrics is not here.

    Args:
        reference: the true turns; its scored regions count, all of the session where it names none.
        hypothesis: the turns that were found.
        collar_s: seconds on either side of a true turn's edges that do not count (NIST's ``-c``).
        skip_overlap: leave out what two true speakers say at once.
    """
    if reference.turns is None or hypothesis.turns is None or not find_spec("pyannote"):
        return None
    from pyannote.core import Segment  # noqa: PLC0415
    from pyannote.metrics.diarization import DiarizationErrorRate, JaccardErrorRate  # noqa: PLC0415
    from pyannote.metrics.identification import IdentificationErrorRate  # noqa: PLC0415

    # pyannote counts both halves of a collar.
    options: dict[str, Any] = {"collar": 2 * collar_s, "skip_overlap": skip_overlap}
    metric: Any = DiarizationErrorRate(**options)
    region = _scored(reference, hypothesis)
    truth, found, scored = metric.uemify(
        annotation(reference.turns), annotation(hypothesis.turns), uem=region, returns_uem=True, **options
    )
    names = metric.optimal_mapping(truth, found)
    # Labels of our own on both sides: a speaker without a counterpart must not be called like one by chance.
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
    return SpeakerErrors(
        speech=speech,
        missed=missed,
        false_alarm=false_alarm,
        confused=confused,
        jaccard_error=float(jaccard["speaker error"]),
        jaccard_speakers=int(jaccard["speaker count"]),
        speakers=len(truth.labels()),
        speakers_found=len(found.labels()),
        names=dict(names),
    )


def annotation(turns: Iterable[SpeakerTurn]) -> Any:
    """Return turns as pyannote's annotation."""
    from pyannote.core import Annotation, Segment  # noqa: PLC0415

    made = Annotation()
    for index, turn in enumerate(turns):
        made[Segment(turn.start, turn.end), index] = turn.speaker
    return made


def _scored(reference: PlainTranscript, hypothesis: PlainTranscript) -> Any:
    """Return what counts: the regions the reference names, else all of the session, less what is ignored."""
    from pyannote.core import Segment, Timeline  # noqa: PLC0415

    regions = reference.scored
    if regions is None:
        known = reference.duration_s
        regions = ((0.0, known if known is not None else max(reference.end, hypothesis.end)),)
    counted = Timeline([Segment(*region) for region in regions]).support()
    if not reference.ignored:
        return counted
    return Timeline([Segment(*region) for region in reference.ignored]).support().gaps(support=counted)
