"""What a speech model made of one chunk, and the language that it was told."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from sessionscribe.artifacts.base import Artifact, Part, Seconds, older
from sessionscribe.artifacts.plan import PlannedChunk, Span
from sessionscribe.core.text import group_pieces, spaces_before


class Language(Artifact):
    """The language of a session and the windows that voted for it."""

    session: str
    language: str
    """Whisper's code; `mixed` if each window has its own, `und` without any speech."""
    probability: float
    """Share of the votes, weighted by their probability; 1 if given."""
    given: bool
    """Whether the settings or the manifest name it."""
    votes: list[LanguageVote]
    """The windows of speech that were asked."""


class LanguageVote(Part):
    """The language of one window of speech."""

    track: str
    start: Seconds
    """Where the window begins."""
    language: str
    """What was heard there."""
    probability: float
    """The model's."""


class Word(Part):
    """A word; joined, words are the text of their segment, to the byte (``text.join_words``)."""

    text: str
    """Without spaces around it."""
    space: bool = Field(default=True, exclude_if=lambda value: value)
    """Whether a space stands before it; left out if true."""
    start: Seconds
    end: Seconds
    probability: float
    """The model's; if the engine had several pieces, the lowest."""
    speaker: str | None = None
    """Null until speakers are known, and if there is a `reason`."""
    reason: str | None = None
    """Why `speaker` is null."""


class Segment(Part):
    """What the engine decoded as one piece."""

    start: Seconds
    end: Seconds
    text: str
    """As the engine wrote it."""
    words: list[Word]
    avg_logprob: float
    """Mean log probability of its tokens, as in Whisper."""
    no_speech_prob: float
    """Probability of no speech in its window, as in Whisper."""
    compression_ratio: float
    """Of its text; high if it repeats itself."""
    temperature: float
    """Of decoding."""
    language: str | None = Field(default=None, exclude_if=lambda value: value is None)
    """Left out if it is the chunk's."""

    _older = older(average_log_probability="avg_logprob", no_speech_probability="no_speech_prob")


class RemovedSegment(Segment):
    """A segment that a hallucination filter removed."""

    reason: str
    """Why it was removed."""


class FallbackSpan(Part):
    """A stretch of which nothing, or something doubtful, was heard, and which was decoded again."""

    start: Seconds
    end: Seconds
    reason: str
    """No word in long speech, or the threshold that was failed."""
    winner: Literal["first", "second", "sequential", "batched"]
    """The version that is in the transcript: `first` or `second` (old files name the way of decoding)."""
    words: int
    """How many words the winner has."""
    first: Seconds
    """Score of the first version: seconds of speech covered by words, weighted by their probability."""
    second: Seconds
    """Score of the second version."""
    loser: list[Segment]
    """The segments of the other version."""


class Engine(Part):
    """What decoded a chunk: enough to say why two transcripts differ."""

    name: str
    """Such as `faster-whisper`; `none` without any speech."""
    version: str
    """Its version."""
    model: str
    """With the hub's commit, the package or the folder's checksum."""
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
    """The audio that was decoded: its windows of speech, in which all its words lie."""
    language: str
    """What it was decoded in; for `mixed`, the language of most words."""
    engine: Engine
    """What decoded it."""
    segments: list[Segment]
    """What was decoded."""
    removed: list[RemovedSegment]
    """What the engine or a hallucination filter removed."""
    redecoded: list[FallbackSpan] = []
    """What was decoded twice."""
    unused_prompt: list[str] = Field(default=[], exclude_if=lambda value: not value)
    """Hotwords for which the model has no room; left out if there are none."""

    VERSION: ClassVar[int] = 6
    OLDER: ClassVar[frozenset[int]] = frozenset({4, 5})
    schema_version: int = 6

    @model_validator(mode="before")
    @classmethod
    def _respell(cls, content: Any) -> Any:
        """Give the words of version 4, which had lost their spaces, the text of their segment back."""
        if isinstance(content, dict) and content.get("schema_version") == 4:
            lost = [part for again in content.get("redecoded", ()) for part in again["loser"]]
            for segment in [*content["segments"], *content["removed"], *lost]:
                segment["words"] = _respelled(segment["text"], segment["words"])
        return content


def _respelled(text: str, pieces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the words that pieces of a segment without their spaces are."""
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
