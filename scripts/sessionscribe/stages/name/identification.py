"""Speaker identification: compare speakers with enrolled people by the cosine distance of embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from sessionscribe.artifacts.speakers import NamedSpeaker, Voice

MIN_SPEECH_S = 1.0
"""Speakers who talk alone for less than this are not identified."""

People = Mapping[str, Sequence[Sequence[float]]]
"""The embeddings of each person's voice samples."""


def match(
    voices: Sequence[Voice], people: People, *, threshold: float, margin: float, taken: Set[str] = frozenset()
) -> list[NamedSpeaker]:
    """Return who each speaker is: the nearest person, if near enough and clearly nearer than the second.

    A person is at most one speaker, the nearest. Others keep their labels, since they may be parts of the
    same person, and being second nearest to somebody else is no evidence.

    Args:
        voices: the speakers of a session.
        people: the enrolled people; the distance to a person is the distance to the mean of the samples.
        threshold: the largest distance of a match.
        margin: the least difference to the distance of the second nearest person.
        taken: people who are other speakers already.
    """
    compared = [_compared(voice, people, threshold, margin) for voice in voices]
    best: dict[str | None, str] = {}
    for found in sorted(compared, key=lambda found: found.distance or 0.0):
        if found.reason is None and found.nearest not in taken:
            best.setdefault(found.nearest, found.speaker)
    result = []
    for found in compared:
        changes: dict[str, str | None] = {}
        if found.reason is None and (who := best.get(found.nearest)) == found.speaker:
            changes = {"name": found.nearest, "origin": "voice"}
        elif found.reason is None:
            changes = {"reason": f"{found.nearest} is {who or 'named by the table'}"}
        result.append(found.model_copy(update=changes))
    return result


def _compared(voice: Voice, people: People, threshold: float, margin: float) -> NamedSpeaker:
    """Return a speaker with the two nearest people, and the reason if the nearest one does not match."""
    if not people or voice.speech_s < MIN_SPEECH_S:
        why = f"heard alone for only {voice.speech_s:.1f} s" if people else "there are no enrolled voices"
        return NamedSpeaker(speaker=voice.speaker, reason=why)
    near = sorted((_distance(voice.embedding, samples), person) for person, samples in people.items())[:2]
    (distance, nearest), (second_distance, second) = near[0], near[-1]
    ahead = round(second_distance - distance, 4)
    reason = None
    if distance > threshold:
        reason = f"no enrolled voice within {threshold:g}"
    elif len(near) > 1 and ahead < margin:
        reason = f"{nearest} and {second} are equally near"
    others = {"second": second, "second_distance": second_distance, "margin": ahead} if len(near) > 1 else {}
    return NamedSpeaker(speaker=voice.speaker, nearest=nearest, distance=distance, reason=reason, **others)


def _distance(embedding: Sequence[float], samples: Sequence[Sequence[float]]) -> float:
    """Return the cosine distance to the mean of the samples' normalised embeddings, to four digits."""
    import numpy as np  # noqa: PLC0415 -- heavy

    units = np.array(samples, np.float64)
    mean = (units / np.linalg.norm(units, axis=1, keepdims=True)).mean(axis=0)
    one = np.array(embedding, np.float64)
    return round(float(1 - one @ mean / (np.linalg.norm(one) * np.linalg.norm(mean))), 4)
