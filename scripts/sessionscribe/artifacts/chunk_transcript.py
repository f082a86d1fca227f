"""What a speech model made of one chunk, and the language that it was told."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from sessionscribe.artifacts.base import Artifact, Part, Seconds
from sessionscribe.artifacts.plan import PlannedChunk, Span
from sessionscribe.core.text import group_pieces, spaces_before


class Language(Artifact):
    """The language of a session and the windows that voted for it."""

    session: str
    language: str
    probability: float
    given: bool
    votes: list[LanguageVote]


class LanguageVote(Part):
    """The language of one window of speech."""

    track: str
    start: Seconds
    language: str
    probability: float


class Word(Part):
    """A word; ``reason`` says why ``speaker`` is null.

    ``text`` has no spaces around it; ``space``, which is left out where it is true, says whether one stands
    before it. So joined words are the text of their segment, to the byte (``text.join_words``).
    """

    text: str
    space: bool = Field(default=True, exclude_if=lambda value: value)
    start: Seconds
    end: Seconds
    probability: float
    speaker: str | None = None
    reason: str | None = None


class Segment(Part):
    """What the engine decoded as one piece; its words, joined, are its ``text``.

    ``language`` is left out where it is the chunk's.
    """

    start: Seconds
    end: Seconds
    text: str
    words: list[Word]
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    temperature: float
    language: str | None = Field(default=None, exclude_if=lambda value: value is None)

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, content: Any) -> Any:
        """Give what files of earlier versions name otherwise the names that Whisper uses."""
        if not isinstance(content, dict):
            return content
        new = {"average_log_probability": "avg_logprob", "no_speech_probability": "no_speech_prob"}
        return {new.get(key, key): value for key, value in content.items()}


class RemovedSegment(Segment):
    """A segment that a hallucination guard took out; ``reason`` says which."""

    reason: str


class FallbackSpan(Part):
    """A stretch that was got wrong, or nothing from, and that was decoded again.

    ``first`` and ``second`` are the scores of the two versions (``fallback.score``), in seconds of speech;
    the better one, the ``winner``, has ``words`` words and is in the transcript. ``loser`` are the segments
    of the other. Old files name ways of decoding in place of versions.
    """

    start: Seconds
    end: Seconds
    reason: str
    winner: Literal["first", "second", "sequential", "batched"]
    words: int
    first: Seconds
    second: Seconds
    loser: list[Segment]


class Engine(Part):
    """What decoded a chunk: enough to say why two transcripts differ."""

    name: str
    version: str
    model: str
    device: str
    compute_type: str


class ChunkTranscript(Artifact):
    """The words of one chunk. ``results/transcribe/{session}/{fingerprint}/{track}.{index}.json``.

    ``heard`` is the audio that was decoded, in which all its words lie. ``unused_prompt``, which is left out
    where it is empty, has the hotwords that the model has no room for.
    """

    session: str
    track: str
    core: PlannedChunk
    heard: Span
    language: str
    engine: Engine
    segments: list[Segment]
    removed: list[RemovedSegment]
    redecoded: list[FallbackSpan] = []
    unused_prompt: list[str] = Field(default=[], exclude_if=lambda value: not value)

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
