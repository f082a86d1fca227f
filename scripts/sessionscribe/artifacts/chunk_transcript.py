"""The transcript of a chunk, and the language of a session."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from sessionscribe.artifacts.base import Artifact, Part, Seconds, older
from sessionscribe.artifacts.plan import PlannedChunk, Span
from sessionscribe.core.text import group_pieces, spaces_before


class Language(Artifact):
    """The language of a session, with the windows that voted for it."""

    session: str
    language: str
    """Whisper's code; `mixed` if each window has its own, `und` without any speech."""
    probability: float
    """Its share of the votes, weighted by their probabilities; 1 if given."""
    given: bool
    """Whether it is set in the settings or the manifest."""
    votes: list[LanguageVote]
    """The windows of speech that were examined."""


class LanguageVote(Part):
    """The language of one window of speech."""

    track: str
    start: Seconds
    """When the window starts."""
    language: str
    """The language detected in it."""
    probability: float


class Word(Part):
    """A word. ``text.join_words`` joins words to exactly the text of their segment."""

    text: str
    """The text, without surrounding spaces."""
    space: bool = Field(default=True, exclude_if=lambda value: value)
    """Whether a space precedes it; omitted if true."""
    start: Seconds
    end: Seconds
    probability: float
    """The model's probability; the lowest one if the engine wrote the word in several pieces."""
    speaker: str | None = None
    """Null until speakers are assigned, or for a `reason`."""
    reason: str | None = None
    """Why `speaker` is null."""


class Segment(Part):
    """A segment as the engine decoded it."""

    start: Seconds
    end: Seconds
    text: str
    """The engine's text."""
    words: list[Word]
    avg_logprob: float
    """Mean log probability of its tokens, as in Whisper."""
    no_speech_prob: float
    """Probability of no speech in its window, as in Whisper."""
    compression_ratio: float
    """Compression ratio of its text; high for repetitions."""
    temperature: float
    """Temperature of decoding."""
    language: str | None = Field(default=None, exclude_if=lambda value: value is None)
    """Its language; omitted if it is the chunk's."""

    _older = older(average_log_probability="avg_logprob", no_speech_probability="no_speech_prob")


class RemovedSegment(Segment):
    """A segment that a hallucination filter removed."""

    reason: str
    """Why it was removed."""


class FallbackSpan(Part):
    """Speech that was decoded twice, because the first version was empty or of low confidence."""

    start: Seconds
    end: Seconds
    reason: str
    """Why it was decoded again: no words, or the threshold that failed."""
    winner: Literal["first", "second", "sequential", "batched"]
    """The version in the transcript: `first` or `second` (in old files, the kind of decoding)."""
    words: int
    """Number of words of the winner."""
    first: Seconds
    """Score of the first version: seconds of speech covered by words, weighted by their probabilities."""
    second: Seconds
    """Score of the second version."""
    loser: list[Segment]
    """The segments of the other version."""


class Engine(Part):
    """The engine and model that decoded a chunk."""

    name: str
    """Such as `faster-whisper`; `none` if there was no speech."""
    version: str
    """Version of the engine."""
    model: str
    """Model, with the hub's commit, the package or the folder's checksum."""
    device: str
    """`cpu` or `cuda`."""
    compute_type: str
    """Number format, such as `int8`."""


class ChunkTranscript(Artifact):
    """The words of one chunk. ``results/transcribe/{session}/{fingerprint}/{track}.{index}.json``."""

    session: str
    track: str
    core: PlannedChunk
    """The chunk."""
    heard: Span
    """The decoded audio, from its first window of speech to its last; it contains all words."""
    language: str
    """The language it was decoded in; for `mixed`, that of most words."""
    engine: Engine
    """The engine that decoded it."""
    segments: list[Segment]
    """The decoded segments."""
    removed: list[RemovedSegment]
    redecoded: list[FallbackSpan] = []
    unused_prompt: list[str] = Field(default=[], exclude_if=lambda value: not value)

    schema_version: int = 6

    def place(self) -> list[str]:
        """Return the names that the path of the file contains: session, track and number."""
        return [self.session, self.track, f"{self.core.index:04d}"]

    @model_validator(mode="before")
    @classmethod
    def _respell(cls, content: Any) -> Any:
        """Restore the spaces of words of version 4, which lacks them, from the text of their segments."""
        if isinstance(content, dict) and content.get("schema_version") == 4:
            lost = [part for again in content.get("redecoded", ()) for part in again["loser"]]
            for segment in [*content["segments"], *content["removed"], *lost]:
                segment["words"] = _respelled(segment["text"], segment["words"])
        return content


def _respelled(text: str, pieces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the words of a segment, given its text and its pieces without spaces."""
    spaces = spaces_before(text, [piece["text"] for piece in pieces])
    spelled = [
        f" {piece['text']}" if apart else piece["text"] for piece, apart in zip(pieces, spaces, strict=True)
    ]
    words = []
    for word in group_pieces(spelled):
        first, last = pieces[word.first], pieces[word.stop - 1]
        sure = min(piece["probability"] for piece in pieces[word.first : word.stop])
        own = {"text": word.text, "space": word.space, "end": last["end"], "probability": sure}
        words.append(first | own)
    return words
