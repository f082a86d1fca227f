"""Which speaker is which enrolled person: by the cosine distance of their embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from sessionscribe.artifacts.speakers import NamedSpeaker, Voice

MIN_SPEECH_S = 1.0
"""Who is heard alone for less than this is not compared with anybody."""


@dataclass(frozen=True)
class Near:
    """A speaker's two nearest people, the nearer one first, as (cosine distance, name)."""

    speaker: str
    first: tuple[float, str]
    second: tuple[float, str] | None

    @property
    def margin(self) -> float | None:
        """How much farther the second is; None where there is no second."""
        return None if self.second is None else self.second[0] - self.first[0]


def match(
    voices: Sequence[Voice],
    people: Mapping[str, Sequence[Sequence[float]]],
    *,
    threshold: float,
    margin: float,
    taken: Set[str] = frozenset(),
) -> list[NamedSpeaker]:
    """Return who each voice is: the nearest person, where that is near enough and clearly the nearest.

    A person is one speaker at most: of several the nearest. The others keep their labels, since a voice that
    is somebody else's second choice is no evidence.

    Args:
        voices: the speakers of a session.
        people: the embeddings of each person's clips; the distance to a person is that to the mean of them.
        threshold: a voice farther than this is nobody's.
        margin: the second nearest person must be at least this much farther.
        taken: people who are somebody else already.
    """
    near = [_nearest(voice, people) for voice in voices if voice.speech_s >= MIN_SPEECH_S and people]
    best: dict[str, Near] = {}
    for found in sorted(near, key=lambda found: found.first):
        if _reason(found, threshold, margin) is None and found.first[1] not in taken:
            best.setdefault(found.first[1], found)
    compared = {found.speaker: found for found in near}
    result = []
    for voice in voices:
        if voice.speaker not in compared:
            why = f"heard alone for {voice.speech_s:.1f} s only" if people else "there are no enrolled voices"
            result.append(NamedSpeaker(speaker=voice.speaker, name=None, origin="none", reason=why))
            continue
        found = compared[voice.speaker]
        person, reason = found.first[1], _reason(found, threshold, margin)
        if reason is None and best.get(person) is not found:
            reason = f"{person} is {best[person].speaker if person in best else 'named by the table'}"
        result.append(_named(found, reason))
    return result


def _named(near: Near, reason: str | None) -> NamedSpeaker:
    distance, person = near.first
    return NamedSpeaker(
        speaker=near.speaker,
        name=None if reason else person,
        origin="none" if reason else "voice",
        nearest=person,
        distance=round(distance, 4),
        second=near.second[1] if near.second else None,
        second_distance=round(near.second[0], 4) if near.second else None,
        margin=None if near.margin is None else round(near.margin, 4),
        reason=reason,
    )


def _nearest(voice: Voice, people: Mapping[str, Sequence[Sequence[float]]]) -> Near:
    distances = sorted((_distance(voice.embedding, clips), person) for person, clips in people.items())
    return Near(voice.speaker, distances[0], distances[1] if len(distances) > 1 else None)


def _distance(embedding: Sequence[float], clips: Sequence[Sequence[float]]) -> float:
    """Return the cosine distance to the mean of the clips' embeddings, each at length 1."""
    import numpy as np  # noqa: PLC0415 -- heavy

    units = np.array(clips, np.float64)
    mean = (units / np.linalg.norm(units, axis=1, keepdims=True)).mean(axis=0)
    one = np.array(embedding, np.float64)
    return float(1 - one @ mean / (np.linalg.norm(one) * np.linalg.norm(mean)))


def _reason(near: Near, threshold: float, margin: float) -> str | None:
    """Say why a voice is not its nearest person's; None if it is."""
    distance, person = near.first
    if distance > threshold:
        return f"no enrolled voice within {threshold:g}"
    if near.margin is not None and near.margin < margin:
        return f"{person} and {near.second[1] if near.second else ''} are equally near"
    return None
