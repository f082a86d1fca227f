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
    """Its length."""
    tiled: bool
    """Whether its chunks hold each sample once."""
    chunks: int
    """Transcripts that are there."""
    planned: int
    """Chunks of the plan."""
    speech_s: Seconds
    """Speech by the plan."""
    covered_s: Seconds
    """Speech that is not without a word for more than `audit.gap_s`."""


class StrayWord(Part):
    """A word that the stages do not agree on; ``reason`` says how."""

    track: str
    chunk: int | None
    """Null where it is not known."""
    text: str
    """The word."""
    start: Seconds
    reason: str
    """What is wrong."""


class WordAudit(Part):
    """Where the words of the chunk transcripts are now, counted anew.

    ``heard`` words are in chunk transcripts; each is in the transcript (``kept``) or left out with a reason
    (``dropped``). ``lost`` are in neither, ``unknown`` in the transcript but in no chunk's, ``moved`` more
    than half a second from where their chunk has them. ``alone`` were left out at a seam although nothing
    stands in their place. ``strays`` shows the first of these.
    """

    heard: int
    """Words in chunk transcripts."""
    kept: int
    """Those in the transcript."""
    dropped: int
    """Those left out with a reason."""
    lost: int
    """Those in neither."""
    unknown: int
    """Words of the transcript that no chunk has."""
    moved: int
    """More than 0.5 s from where their chunk has them."""
    alone: int
    """Left out although nothing stands in their place."""
    strays: list[StrayWord]
    """The first 50 of the last four kinds."""


class SpeechGap(Part):
    """A stretch with ``speech_s`` seconds of speech and no word, removed ones included.

    ``decoded_again`` says whether a part of it was decoded again, and nothing found.
    """

    track: str
    start: Seconds
    end: Seconds
    speech_s: Seconds
    """How much of it is speech."""
    decoded_again: bool
    """Whether a part of it was decoded twice."""


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
    """What is repeated."""
    times: int
    """How often."""
    at_seam: bool
    """Whether on both sides of a chunk boundary."""


class LowConfidence(Part):
    """Neighbouring words of low probability; ``probability`` is their mean."""

    track: str
    start: Seconds
    end: Seconds
    words: int
    """How many."""
    probability: float
    """Their mean."""
    text: str
    """Their text."""


class LanguageSpan(Part):
    """Neighbouring segments, of so many chunks, that were decoded in one language."""

    track: str
    start: Seconds
    end: Seconds
    language: str
    """That of neighbouring segments."""
    chunks: int
    """Of how many chunks they are."""


class LanguageAudit(Part):
    """The language of a session, the windows that voted for it, and what each stretch was decoded in."""

    language: str
    """As in `Language`."""
    probability: float
    """As in `Language`."""
    given: bool
    """As in `Language`."""
    votes: list[LanguageVote]
    """As in `Language`."""
    spans: list[LanguageSpan]
    """What each stretch was decoded in."""


class SpeakerShare(Part):
    """How long a speaker talks (``share`` of what all do) and how many words are his.

    ``phantom``: so little that it may be nobody, but a mistake of the diarization.
    """

    speaker: str
    """Label or name."""
    speech_s: Seconds
    """How long this speaker talks."""
    share: float
    """Of all speech."""
    words: int
    """How many."""
    phantom: bool
    """Whether that is less than `audit.min_speaker_share`: perhaps nobody."""


class ReasonCount(Part):
    """How many words were left out for one reason."""

    reason: str
    """Why words were left out."""
    words: int
    """How many."""


class RemovedText(Part):
    """Text that a hallucination guard took out."""

    track: str
    start: Seconds
    end: Seconds
    text: str
    """What was taken out."""
    reason: str
    """Why."""


class FallbackReport(Part):
    """A stretch that was decoded again, why, and which version is in the transcript.

    ``words`` are those of the version that won; ``lost`` is the text of the other.
    """

    track: str
    start: Seconds
    end: Seconds
    reason: str
    """As in `FallbackSpan`."""
    winner: str
    """As in `FallbackSpan`."""
    words: int
    """As in `FallbackSpan`."""
    lost: str
    """Text of the other version."""


class Audit(Artifact):
    """Whether all of a session is in its transcript. ``results/audit/{session}.json``.

    ``problems`` make it incomplete; ``flags`` are what a reader should know or listen to. ``unused_prompt``
    has the hotwords that the model has no room for.
    """

    session: str
    duration_s: Seconds
    """Its length."""
    verdict: Verdict
    """`complete`; `complete with flags`; `incomplete`: something is missing, or stages disagree."""
    problems: list[str]
    """Why it is incomplete, in plain words."""
    flags: list[str]
    """What a reader should know or listen to, in plain words."""
    tracks: list[TrackAudit]
    """Tiling, chunks and speech of each track."""
    words: WordAudit
    """Where the words of the chunk transcripts are now."""
    missing: list[Gap]
    """Audio that is missing."""
    gaps: list[SpeechGap]
    """Speech without a word for more than `audit.gap_s`."""
    faint: list[FaintSpeech] = Field(default_factory=list)
    """Faint speech that was not decoded and has no word."""
    repeats: list[Repeat]
    """The same words over and over, or on both sides of a chunk boundary."""
    unsure: list[LowConfidence]
    """Stretches of low probability."""
    language: LanguageAudit
    """Who voted for which language, and what was decoded in which."""
    speakers: list[SpeakerShare]
    """By label."""
    dropped: list[ReasonCount]
    """How many words were left out, by reason."""
    removed: list[RemovedText]
    """What hallucination filters took out."""
    redecoded: list[FallbackReport]
    """What was decoded twice, and which version won."""
    unused_prompt: list[str] = Field(default=[])
    """Hotwords that the model has no room for."""
