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
    """Number of the first window on the session's grid."""
    windows: int
    """How many there are."""
    window: Samples
    """Length of a window, in samples."""
    step: Samples
    """From window to window, in samples."""
    frame_start: float
    """Where the first frame of a window begins, in seconds."""
    frame_duration: float
    """Of a frame, in seconds."""
    frame_step: float
    """From frame to frame, in seconds."""
    powerset: bool
    """Whether segmentations are decisions (0 or 1), not scores."""
    model: str
    """Checksum or hub id of the pipeline."""


class Turn(Part):
    """One stretch of speech of one speaker, in seconds of the session."""

    start: Seconds
    end: Seconds
    speaker: str
    """The label."""


class Turns(Artifact):
    """Who speaks when; ``exclusive`` turns never overlap. ``results/diarize/{session}.turns.json``."""

    session: str
    duration_s: Seconds
    """Its length."""
    method: Literal["pyannote", "tracks"]
    """`pyannote`, or `tracks`: each track is a speaker."""
    model: str
    """The pipeline."""
    speakers: list[str]
    """The labels."""
    turns: list[Turn]
    """Those of two speakers may overlap."""
    exclusive: list[Turn]
    """Turns that never overlap: one speaker at a time, for words."""


class Voice(Part):
    """How a speaker sounds: the mean of the embeddings of ``speech_s`` seconds in which only he talks."""

    speaker: str
    """The label."""
    speech_s: Seconds
    """How long only this speaker is heard."""
    embedding: list[float]
    """Mean of the model's embeddings of that; a vector of length 1."""


class Voices(Artifact):
    """How the speakers of a session sound, by label. ``results/diarize/{session}.voices.json``."""

    session: str
    model: str
    """The pipeline; voices of different ones cannot be compared."""
    voices: list[Voice]
    """One for each speaker."""


class EnrolledVoice(Artifact):
    """How a person sounds in one enrolment clip. ``results/name/voices/{fingerprint}.json``.

    ``embedding`` is null where the clip cannot be used. ``problem`` says why, or what else is wrong with it.
    """

    model: str
    """The pipeline."""
    speech_s: Seconds
    """How long the person is heard."""
    embedding: list[float] | None
    """As in `Voice`; null where the clip cannot be used."""
    problem: str | None = None
    """Why it cannot be used, or what else is wrong with it; null: nothing."""


class NamedSpeaker(Part):
    """Who a speaker is: a name by the table, a track or a voice; or none, with the ``reason``.

    ``nearest`` and ``second`` are the people whose enrolled voices are nearest, with cosine distances (0: the
    same, 1: unrelated); ``margin`` is how much farther the second is. They are null where there are none.
    """

    speaker: str
    """The label."""
    name: str | None
    """Null where nobody fits."""
    origin: Literal["table", "track", "voice", "none"]
    """`table`, `track`, `voice` or `none`."""
    nearest: str | None = None
    """The person whose enrolled voice is nearest."""
    distance: float | None = None
    """Its cosine distance; 0: the same, 1: unrelated."""
    second: str | None = None
    """The next person."""
    second_distance: float | None = None
    """The same for that voice."""
    margin: float | None = None
    """How much farther the second is."""
    reason: str | None = None
    """Why there is no name."""


class Names(Artifact):
    """Who is who in a session; a speaker without a name keeps the label. ``results/name/{session}.json``."""

    session: str
    speakers: list[NamedSpeaker]
    """One for each label."""
    flags: list[str]
    """Rows of the table that fit nobody, and clips with a problem."""

    def by_label(self) -> dict[str, str]:
        """Return the name of each speaker who has one."""
        return {found.speaker: found.name for found in self.speakers if found.name is not None}
