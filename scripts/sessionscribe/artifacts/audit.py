"""What an audit found about a session. All times are seconds of the session, positions of gaps samples."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sessionscribe.artifacts.base import Artifact, Part, Seconds
from sessionscribe.artifacts.chunk_transcript import LanguageVote
from sessionscribe.artifacts.plan import Gap

Verdict = Literal["complete", "complete with flags", "incomplete"]


class TrackAudit(Part):
    """A track: whether its chunks tile it and are all there, and how much of its speech has words.

    ``speech_s`` is what the plan takes for speech; ``covered_s`` what of it is not without a word for
    more than ``audit.gap_s``.
    """

    track: str
    duration_s: Seconds
    tiled: bool
    chunks: int
    planned: int
    speech_s: Seconds
    covered_s: Seconds


class StrayWord(Part):
    """A word that the stages do not agree on; ``reason`` says how."""

    track: str
    chunk: int | None
    text: str
    start: Seconds
    reason: str


class WordAudit(Part):
    """Where the words of the chunk transcripts are now, counted anew.

    ``heard`` words are in chunk transcripts; each is in the transcript (``kept``) or left out with a reason
    (``dropped``). ``lost`` are in neither, ``unknown`` in the transcript but in no chunk's, ``moved`` more
    than half a second from where their chunk has them. ``alone`` were left out at a seam although nothing
    stands in their place. ``strays`` shows the first of these.
    """

    heard: int
    kept: int
    dropped: int
    lost: int
    unknown: int
    moved: int
    alone: int
    strays: list[StrayWord]


class SpeechGap(Part):
    """A stretch with ``speech_s`` seconds of speech and no word, removed ones included.

    ``decoded_again`` says whether a part of it was decoded again, and nothing found.
    """

    track: str
    start: Seconds
    end: Seconds
    speech_s: Seconds
    decoded_again: bool


class FaintSpeech(Part):
    """A stretch that is no speech by the plan, and so was not decoded, in which somebody probably speaks."""

    track: str
    start: Seconds
    end: Seconds


class Repeat(Part):
    """Words that follow themselves ``times`` times over; ``at_seam``: on both sides of a cut."""

    track: str
    start: Seconds
    end: Seconds
    text: str
    times: int
    at_seam: bool


class LowConfidence(Part):
    """Neighbouring words of low probability; ``probability`` is their mean."""

    track: str
    start: Seconds
    end: Seconds
    words: int
    probability: float
    text: str


class LanguageSpan(Part):
    """Neighbouring segments, of so many chunks, that were decoded in one language."""

    track: str
    start: Seconds
    end: Seconds
    language: str
    chunks: int


class LanguageAudit(Part):
    """The language of a session, the windows that voted for it, and what each stretch was decoded in."""

    language: str
    probability: float
    given: bool
    votes: list[LanguageVote]
    spans: list[LanguageSpan]


class SpeakerShare(Part):
    """How long a speaker talks (``share`` of what all do) and how many words are his.

    ``phantom``: so little that it may be nobody, but a mistake of the diarization.
    """

    speaker: str
    speech_s: Seconds
    share: float
    words: int
    phantom: bool


class ReasonCount(Part):
    """How many words were left out for one reason."""

    reason: str
    words: int


class RemovedText(Part):
    """Text that a hallucination guard took out."""

    track: str
    start: Seconds
    end: Seconds
    text: str
    reason: str


class FallbackReport(Part):
    """A stretch that was decoded again, why, and which version is in the transcript.

    ``words`` are those of the version that won; ``lost`` is the text of the other.
    """

    track: str
    start: Seconds
    end: Seconds
    reason: str
    winner: str
    words: int
    lost: str


class Audit(Artifact):
    """Whether all of a session is in its transcript. ``results/audit/{session}.json``.

    ``problems`` make it incomplete; ``flags`` are what a reader should know or listen to. ``unused_prompt``
    has the hotwords that the model has no room for.
    """

    session: str
    duration_s: Seconds
    verdict: Verdict
    problems: list[str]
    flags: list[str]
    tracks: list[TrackAudit]
    words: WordAudit
    missing: list[Gap]
    gaps: list[SpeechGap]
    faint: list[FaintSpeech] = Field(default_factory=list)
    repeats: list[Repeat]
    unsure: list[LowConfidence]
    language: LanguageAudit
    speakers: list[SpeakerShare]
    dropped: list[ReasonCount]
    removed: list[RemovedText]
    redecoded: list[FallbackReport]
    unused_prompt: list[str] = Field(default=[])
