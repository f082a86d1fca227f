"""Which speaker is which enrolled person: by the cosine distance of their embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from sessionscribe.artifacts.speakers import NamedSpeaker, Voice

MIN_SPEECH_S = 1.0
"""A speaker who is heard alone for less than this is not compared with anybody."""

People = Mapping[str, Sequence[Sequence[float]]]
"""The embeddings of each person's samples."""


def match(
    voices: Sequence[Voice], people: People, *, threshold: float, margin: float, taken: Set[str] = frozenset()
) -> list[NamedSpeaker]:
    """Return who each voice is: the nearest person, if that is near enough and clearly the nearest.

    A person is at most one speaker: the nearest of several. The others keep their labels, since a voice that
    is somebody else's second choice is no evidence.

    Args:
        voices: the speakers of a session.
        people: whom they are compared with; the distance to a person is that to the mean of the samples.
        threshold: a voice farther than this is nobody's.
        margin: the second nearest person must be at least this much farther.
        taken: people who are somebody else already.
    """
    compared = [_compared(voice, people, threshold, margin) for voice in voices]
    best: dict[str | None, str] = {}
    for found in sorted(compared, key=lambda found: found.distance or 0.0):
        if found.reason is None and found.nearest not in taken:
            best.setdefault(found.nearest, found.speaker)
    return [_decided(found, best.get(found.nearest)) for found in compared]


def _decided(found: NamedSpeaker, who: str | None) -> NamedSpeaker:
    """Return a speaker with the name of the nearest person, who is the speaker ``who``, or why not."""
    if found.reason:
        return found
    if who == found.speaker:
        return found.model_copy(update={"name": found.nearest, "origin": "voice"})
    return found.model_copy(update={"reason": f"{found.nearest} is {who or 'named by the table'}"})


def _compared(voice: Voice, people: People, threshold: float, margin: float) -> NamedSpeaker:
    """Return the two people nearest to a voice, and the reason if it is not the nearer one's."""
    if not people or voice.speech_s < MIN_SPEECH_S:
        why = f"heard alone for only {voice.speech_s:.1f} s" if people else "there are no enrolled voices"
        return NamedSpeaker(speaker=voice.speaker, name=None, origin="none", reason=why)
    near = sorted((_distance(voice.embedding, samples), person) for person, samples in people.items())[:2]
    (distance, nearest), (second_distance, second) = near[0], near[-1]
    ahead = round(second_distance - distance, 4)
    reason = None
    if distance > threshold:
        reason = f"no enrolled voice within {threshold:g}"
    elif len(near) > 1 and ahead < margin:
        reason = f"{nearest} and {second} are equally near"
    others = {"second": second, "second_distance": second_distance, "margin": ahead} if len(near) > 1 else {}
    return NamedSpeaker(
        speaker=voice.speaker,
        name=None,
        origin="none",
        nearest=nearest,
        distance=distance,
        reason=reason,
        **others,
    )


def _distance(embedding: Sequence[float], samples: Sequence[Sequence[float]]) -> float:
    """Return the cosine distance to the mean of the samples' embeddings, each at length 1, to four digits."""
    import numpy as np  # noqa: PLC0415 -- heavy

    units = np.array(samples, np.float64)
    mean = (units / np.linalg.norm(units, axis=1, keepdims=True)).mean(axis=0)
    one = np.array(embedding, np.float64)
    return round(float(1 - one @ mean / (np.linalg.norm(one) * np.linalg.norm(mean))), 4)
