"""Who speaks when, how speakers sound, and who they are."""

from __future__ import annotations

from typing import ClassVar, Literal

from sessionscribe.artifacts.base import Artifact, Part, Samples, Seconds


class EmbeddingsHeader(Part):
    """What the arrays of an embeddings file are. ``results/diarize/{session}/{fp}/{stretch}.npz``."""

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
    """From window to window, in samples of the session."""
    frame_start: float
    """Where the first frame of a window begins, in seconds, unrounded."""
    frame_duration: float
    """Length of a frame, in seconds."""
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


class Turns(Artifact):
    """Who speaks when. ``results/diarize/{session}.turns.json``."""

    session: str
    duration_s: Seconds
    method: Literal["pyannote", "tracks"]
    """`pyannote`, or `tracks`: each track is a speaker."""
    model: str
    speakers: list[str]
    turns: list[Turn]
    """Turns of different speakers may overlap."""
    exclusive: list[Turn]
    """Turns that never overlap: one speaker at a time, for words."""


class Voice(Part):
    """How a speaker sounds."""

    speaker: str
    speech_s: Seconds
    """How long only this speaker is heard."""
    embedding: list[float]
    """Mean of the model's embeddings of that speech; a vector of length 1."""


class Voices(Artifact):
    """How the speakers of a session sound. ``results/diarize/{session}.voices.json``."""

    session: str
    model: str
    """The pipeline; voices of different ones cannot be compared."""
    voices: list[Voice]
    """One for each speaker."""


class EnrolledVoice(Artifact):
    """How a person sounds in one voice sample. ``results/name/voices/{fingerprint}.json``."""

    model: str
    speech_s: Seconds
    """How long the person is heard."""
    embedding: list[float] | None
    """As in `Voice`; null if the sample cannot be used."""
    problem: str | None = None
    """Why it cannot be used, or what else is wrong with it; null if nothing is."""


class NamedSpeaker(Part):
    """Who a speaker is."""

    speaker: str
    name: str | None
    """Null if nobody fits."""
    origin: Literal["table", "track", "voice", "none"]
    """Where the name is from: `table`, `track`, `voice` or `none`."""
    nearest: str | None = None
    """The person whose enrolled voice is nearest; null without any."""
    distance: float | None = None
    """Its cosine distance; 0: the same, 1: unrelated."""
    second: str | None = None
    """The next nearest person."""
    second_distance: float | None = None
    """The distance of that voice."""
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
    """Rows of the table that fit nobody, and voice samples with a problem."""

    def by_label(self) -> dict[str, str]:
        """Return the name of each speaker who has one."""
        return {found.speaker: found.name for found in self.speakers if found.name is not None}
