"""The files that stages hand to one another: one pydantic model each, validated when read.

Times in artifacts that people and other programs read (words, segments, turns) are seconds as float, rounded
to a millisecond, counted from the start of the *track* up to the chunk transcript and from the start of the
*session* from the merged transcript on. Where audio is cut, positions are integer samples at ``SAMPLE_RATE``.
``docs/output.md`` shows an example of each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from sessionscribe.errors import UserError
from sessionscribe.files import write_text
from sessionscribe.text import group_pieces, spaces_before

SAMPLE_RATE = 16_000
Shape = Literal["recording", "tracks", "live"]
CutKind = Literal["silence", "forced", "edge"]
Seconds = Annotated[float, Field(ge=0)]
Samples = Annotated[int, Field(ge=0)]


def seconds(samples: int) -> float:
    """Return a position in samples as seconds, rounded to a millisecond (half of one upwards, everywhere)."""
    return (samples * 1000 + SAMPLE_RATE // 2) // SAMPLE_RATE / 1000


def milliseconds(time_s: float) -> int:
    """Return seconds as whole milliseconds.

    What is decided by lengths of time is decided in whole numbers: between floats of seconds, the same pause
    is a little longer at one place of a recording than at another.
    """
    return round(time_s * 1000)


class Part(BaseModel):
    """A piece of an artifact; unknown keys are refused, so that a newer file is never half understood."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Artifact(Part):
    """A file of its own, in JSON; ``kind`` and ``schema_version`` say how to read it."""

    schema_version: int = 1
    VERSION: ClassVar[int] = 1
    OLDER: ClassVar[frozenset[int]] = frozenset()
    """Versions that are read, too, and become the present one."""

    @field_validator("schema_version")
    @classmethod
    def _brought_up(cls, version: int) -> int:
        return cls.VERSION if version in cls.OLDER else version

    def text(self) -> str:
        """Return the artifact as it is written: a line that depends on its content only."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":")) + "\n"

    def write(self, path: Path) -> None:
        """Write the artifact to ``path`` atomically."""
        write_text(path, self.text())

    @classmethod
    def read_all(cls, paths: Iterable[str | Path]) -> list[Self]:
        """Read and validate the artifacts of these files, in their order."""
        return [cls.read(Path(path)) for path in paths]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and validate an artifact.

        Raises:
            UserError: the file is missing, cut short, of another schema version or not valid.
        """
        hint = "Delete the file and run again: only it and what depends on it is made again"
        try:
            text = Path(path).read_text(encoding="utf-8")
            artifact = cls.model_validate_json(text)
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot be read ({error})", where=path, hint=hint) from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            what = f"is not a valid {cls.__name__} ({place or 'file'}: {first['msg']})"
            raise UserError(what, where=path, hint=hint) from error
        if artifact.schema_version != cls.VERSION:
            what = f"has schema version {artifact.schema_version}, this program reads {cls.VERSION}"
            raise UserError(what, where=path, hint=hint)
        return artifact


class AudioStream(Part):
    """One audio stream of a recording, as probed."""

    index: int
    codec: str
    sample_rate: int
    channels: int
    language: str | None = None


class Ingest(Artifact):
    """A source file, found to be what the manifest says. ``results/ingest/{session}/{track}.json``."""

    session: str
    track: str
    source: str
    path: str
    size: int
    checksum: str
    container: str
    duration_s: Seconds
    streams: list[AudioStream]


class Conversion(Artifact):
    """What was done to a source to get the FLAC beside it. ``results/convert/{session}/{track}.json``."""

    session: str
    track: str
    samples: Samples
    stream: AudioStream
    choice: str
    channel: str
    clipped_samples: int = 0
    nonfinite_samples: int = 0
    peak: float
    warnings: list[str] = []


class Span(Part):
    """A half-open stretch ``[start, stop)`` of a track, in samples."""

    start: Samples
    stop: Samples


class Core(Part):
    """One chunk of a plan: ``[start, stop)`` of its track.

    ``start_cut`` and ``stop_cut`` say what is at either end: a cut in silence, one forced into speech, or
    the edge of the track.
    """

    index: int
    start: Samples
    stop: Samples
    start_cut: CutKind
    stop_cut: CutKind

    @model_validator(mode="before")
    @classmethod
    def _without_context(cls, content: Any) -> Any:
        """Leave out what chunks of earlier versions decoded beyond their ends."""
        return _without(content, "context_start", "context_stop")


def _without(content: Any, *keys: str) -> Any:
    """Return what a file of an earlier version says, without what nobody asks any more."""
    if isinstance(content, dict):
        return {key: value for key, value in content.items() if key not in keys}
    return content


class Plan(Artifact):
    """How a track is cut, and where it has speech. ``results/chunk/{session}/{track}.plan.json``.

    ``faint`` is where, outside ``speech``, somebody probably speaks, too. Old files lack it.
    """

    session: str
    track: str
    samples: Samples
    cores: list[Core]
    speech: list[Span]
    faint: list[Span] = []


class TimelineTrack(Part):
    """Where a track lies in its session. ``speaker`` is set where the track is one person's."""

    track: str
    offset: Samples
    samples: Samples
    speaker: str | None = None


class Gap(Part):
    """Audio that the session lacks, in samples of the session."""

    start: Samples
    stop: Samples
    reason: str


class Timeline(Artifact):
    """The tracks of a session on one clock. ``results/chunk/{session}.timeline.json``."""

    session: str
    shape: Shape
    samples: Samples
    tracks: list[TimelineTrack]
    gaps: list[Gap]


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


class DroppedWord(Word):
    """A word that is not in the transcript; ``reason`` says why."""

    track: str
    chunk: int
    reason: str


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


class Redecoded(Part):
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
    core: Core
    heard: Span
    language: str
    engine: Engine
    segments: list[Segment]
    removed: list[RemovedSegment]
    redecoded: list[Redecoded] = []
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


class MergedWord(Word):
    """A word of the session and the track and chunk it comes from."""

    track: str
    chunk: int


class MergedSegment(Part):
    """Words of one track that belong together, before speakers are known."""

    track: str
    start: Seconds
    end: Seconds
    words: list[MergedWord]


class Merged(Artifact):
    """All chunks of a session as one. ``results/merge/{session}.json``."""

    VERSION: ClassVar[int] = 2
    OLDER: ClassVar[frozenset[int]] = frozenset({1})
    schema_version: int = 2
    session: str
    shape: Shape
    duration_s: Seconds
    language: str
    segments: list[MergedSegment]
    dropped: list[DroppedWord]
    removed: list[RemovedSegment]
    gaps: list[Gap]
    chunks: int
    engines: list[Engine]

    @model_validator(mode="before")
    @classmethod
    def _without_seams(cls, content: Any) -> Any:
        """Leave out how chunks of earlier versions were joined."""
        return _without(content, "seams")


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


class SpokenWord(Word):
    """A word with its speaker; ``second_speaker`` talks over it.

    ``corrected``, which is left out where it is false: a person changed its text (its probability is then 1)
    or its speaker.
    """

    second_speaker: str | None = None
    corrected: bool = Field(default=False, exclude_if=lambda value: not value)


class SpokenSegment(Part):
    """What one speaker says without a break."""

    start: Seconds
    end: Seconds
    speaker: str | None
    text: str
    words: list[SpokenWord]


class Made(Part):
    """What a transcript was made of and with: enough to say why two differ.

    ``sources`` has the checksum of each track's recording, ``models`` what identifies those that were asked
    for, ``settings`` what the jobs were told, by stage, ``versions`` those of packages and of our own code.
    """

    sources: dict[str, str]
    models: dict[str, str]
    settings: dict[str, dict[str, object]]
    versions: dict[str, str]


class Transcript(Artifact):
    """A whole transcript: ``results/diarize/{session}.json``, by labels of speakers; and, with names and
    corrections laid over it, ``results/correct/{session}.json`` and the export ``json``.
    """

    session: str
    shape: Shape
    duration_s: Seconds
    language: str
    speakers: list[str]
    segments: list[SpokenSegment]
    turns: list[Turn]
    gaps: list[Gap]
    flags: list[str]
    engines: list[Engine]
    diarization: str
    made: Made | None = None


class Correction(Part):
    """A line of the corrections file and what became of it.

    ``open``: there is no place for it, for the ``reason``; ``fulfilled``: the transcript says so already.
    ``places`` is how many times it was applied; ``start`` and ``end`` are as given, the other columns too.
    """

    line: int
    edit: Literal["words", "speaker", "name"]
    start: Seconds | None
    end: Seconds | None
    speaker: str
    was: str
    now: str
    before: str
    after: str
    note: str
    author: str
    date: str
    state: Literal["applied", "fulfilled", "open"]
    places: int
    reason: str | None = None


class Corrections(Artifact):
    """What became of each correction of a session. ``results/correct/{session}.corrections.json``."""

    session: str
    corrections: list[Correction]


class Output(Part):
    """A file that a job made."""

    path: str
    size: int
    sha256: str


class Provenance(Artifact):
    """What a job made, and the key of all that determined it. ``results/provenance/{session}/….json``.

    It is written last: an output is taken as made only if its record is there, names the wanted key and the
    size that the file really has. ``flags`` and ``verdict`` are here as well so that a status table need not
    read what may be long. One of ``left_out`` was not published with the others, and may be absent until
    something reads it.
    """

    rule: str
    key: str
    outputs: list[Output]
    inputs: list[Output] = []
    left_out: list[str] = []
    options: dict[str, object] = {}
    versions: dict[str, str] = {}
    flags: list[str] = []
    verdict: str = ""


class Failure(Artifact):
    """Why a job failed, for the status table. ``logs/failed/{session}/….json``."""

    session: str
    rule: str
    output: str
    message: str
    log: str


class JobUsage(Artifact):
    """What a job used. ``logs/usage/{session}/{rule}.….json``; times in seconds.

    ``queued_s`` is the wait for a worker, ``audio_s`` the audio it worked through, ``gpu_s`` the time it had
    the GPU compute for it, ``loads`` the models it had to load and how long each took. Jobs
    that run at once in one worker share its CPU time equally. ``peak_memory_mb`` is the process's; a worker's
    memory holds its models.
    """

    session: str
    rule: str
    output: str
    ok: bool
    started: str
    host: str
    queued_s: Seconds
    wall_s: Seconds
    cpu_s: Seconds
    gpu_s: Seconds
    audio_s: Seconds
    peak_memory_mb: float
    peak_gpu_memory_mb: float
    loads: dict[str, Seconds] = {}
