"""Who speaks when, how speakers sound, and who they are."""

from __future__ import annotations

from typing import ClassVar, Literal

from sessionscribe.artifacts.base import Artifact, Part, Samples, Seconds


class EmbeddingsHeader(Part):
    """What the arrays of an embeddings file are. ``results/diarize/{session}/{fp}/{stretch}.npz``.

    ``windows`` windows of ``window`` samples, one every ``step`` samples of the session; the first of them
    is number ``first`` of the session's grid. ``frame_…`` say where the frames of a window lie in it, in
    seconds, unrounded; with ``powerset`` the segmentations are decisions (0 or 1), else scores.
    """

    VERSION: ClassVar[int] = 1
    schema_version: int = 1
    session: str
    first: int
    windows: int
    window: Samples
    step: Samples
    frame_start: float
    frame_duration: float
    frame_step: float
    powerset: bool
    model: str


class Turn(Part):
    """One stretch of speech of one speaker, in seconds of the session."""

    start: Seconds
    end: Seconds
    speaker: str


class Turns(Artifact):
    """Who speaks when; ``exclusive`` turns never overlap. ``results/diarize/{session}.turns.json``."""

    session: str
    duration_s: Seconds
    method: Literal["pyannote", "tracks"]
    model: str
    speakers: list[str]
    turns: list[Turn]
    exclusive: list[Turn]


class Voice(Part):
    """How a speaker sounds: the mean of the embeddings of ``speech_s`` seconds in which only he talks."""

    speaker: str
    speech_s: Seconds
    embedding: list[float]


class Voices(Artifact):
    """How the speakers of a session sound, by label. ``results/diarize/{session}.voices.json``."""

    session: str
    model: str
    voices: list[Voice]


class EnrolledVoice(Artifact):
    """How a person sounds in one enrolment clip. ``results/name/voices/{fingerprint}.json``.

    ``embedding`` is null where the clip cannot be used. ``problem`` says why, or what else is wrong with it.
    """

    model: str
    speech_s: Seconds
    embedding: list[float] | None
    problem: str | None = None


class NamedSpeaker(Part):
    """Who a speaker is: a name by the table, a track or a voice; or none, with the ``reason``.

    ``nearest`` and ``second`` are the people whose enrolled voices are nearest, with cosine distances (0: the
    same, 1: unrelated); ``margin`` is how much farther the second is. They are null where there are none.
    """

    speaker: str
    name: str | None
    origin: Literal["table", "track", "voice", "none"]
    nearest: str | None = None
    distance: float | None = None
    second: str | None = None
    second_distance: float | None = None
    margin: float | None = None
    reason: str | None = None


class Names(Artifact):
    """Who is who in a session; a speaker without a name keeps the label. ``results/name/{session}.json``."""

    session: str
    speakers: list[NamedSpeaker]
    flags: list[str]

    def by_label(self) -> dict[str, str]:
        """Return the name of each speaker who has one."""
        return {found.speaker: found.name for found in self.speakers if found.name is not None}
