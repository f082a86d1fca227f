"""Speaker turns, speaker embeddings and the names of speakers."""

from __future__ import annotations

from typing import Literal

from sessionscribe.artifacts.base import Artifact, Part, Samples, Seconds


class EmbeddingsHeader(Part):
    """The header of a file of embeddings. ``results/diarize/{session}/{fp}/{stretch}.npz``."""

    schema_version: Literal[1] = 1
    session: str
    first: int
    """The number of the first window in the session."""
    windows: int
    window: Samples
    """The length of a window, in samples."""
    step: Samples
    """The step between windows, in samples."""
    frame_start: float
    """The start of a window's first frame, in seconds, unrounded."""
    frame_duration: float
    """The length of a frame, in seconds."""
    frame_step: float
    """The step between frames, in seconds."""
    powerset: bool
    """Whether segmentations are decisions (0 or 1) and not scores."""
    model: str
    """The checksum or hub id of the pipeline."""


class Turn(Part):
    """Uninterrupted speech of one speaker."""

    start: Seconds
    end: Seconds
    speaker: str


class Turns(Artifact):
    """The speaker turns of a session. ``results/diarize/{session}.turns.json``."""

    session: str
    duration_s: Seconds
    method: Literal["pyannote", "tracks"]
    """`pyannote`, or `tracks` if each track is a speaker."""
    model: str
    speakers: list[str]
    turns: list[Turn]
    """All turns; those of different speakers may overlap."""
    exclusive: list[Turn]
    """Turns without overlaps, for assigning words."""


class Voice(Part):
    """The embedding of a speaker."""

    speaker: str
    speech_s: Seconds
    """How long only this speaker talks."""
    embedding: list[float]
    """The mean of the model's embeddings of that speech, normalised to length 1."""


class Voices(Artifact):
    """The speaker embeddings of a session. ``results/diarize/{session}.voices.json``."""

    session: str
    model: str
    """The pipeline; embeddings of different pipelines cannot be compared."""
    voices: list[Voice]
    """One for each speaker."""


class EnrolledVoice(Artifact):
    """The embedding of a voice sample. ``results/name/voices/{fingerprint}.json``."""

    model: str
    speech_s: Seconds
    """How long only this person talks."""
    embedding: list[float] | None
    """As in `Voice`; null if the sample is unusable."""
    problem: str | None = None
    """Why it is unusable or doubtful; null if it is fine."""


class NamedSpeaker(Part):
    """A speaker and the name found."""

    speaker: str
    name: str | None = None
    """The name; null if there is none."""
    origin: Literal["table", "track", "voice", "none"] = "none"
    """The origin of the name: `table`, `track`, `voice` or `none`."""
    nearest: str | None = None
    """The person with the nearest enrolled voice; null if there is none."""
    distance: float | None = None
    """The cosine distance of that voice; 0: identical, 1: unrelated."""
    second: str | None = None
    """The person with the second nearest voice."""
    second_distance: float | None = None
    """The cosine distance of that voice."""
    margin: float | None = None
    """The difference between both distances."""
    reason: str | None = None
    """Why there is no name."""


class Names(Artifact):
    """The names of a session's speakers. ``results/name/{session}.json``."""

    session: str
    speakers: list[NamedSpeaker]
    """One for each label."""
    flags: list[str]
    """Rows of the table that match nobody, and problems of voice samples."""

    def by_label(self) -> dict[str, str]:
        """Return the names by label; speakers without a name keep their label."""
        return {found.speaker: found.name for found in self.speakers if found.name is not None}
