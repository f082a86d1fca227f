"""All settings: their types, defaults and meanings.

``make docs`` generates the schema (``config/config.schema.json``), the table in ``docs/configuration.md`` and
the default file ``config/config.yaml`` from these models.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from sessionscribe.core.text import LONGEST_NAME

OFF = "off"
"""``diarize.model`` for transcripts without speakers."""

MOST_SPEAKERS = 1000
Speakers = Annotated[int, Field(ge=1, le=MOST_SPEAKERS)]
Device = Literal["auto", "cpu", "cuda"]
ComputeType = Literal[
    "auto",
    "int8",
    "int8_float32",
    "int8_float16",
    "int8_bfloat16",
    "int16",
    "float16",
    "bfloat16",
    "float32",
]
LANGUAGE = "auto|mixed|[a-z]{2,3}"
Format = Literal[
    "json",
    "whisper",
    "whisperx",
    "srt",
    "vtt",
    "ass",
    "txt",
    "md",
    "html",
    "docx",
    "pdf",
    "svg",
    "maxqda",
    "tsv",
    "csv",
    "rttm",
    "uem",
    "ctm",
    "stm",
    "seglst",
    "TextGrid",
    "aud",
    "eaf",
]
# Cue settings of WebVTT, except for regions, which a file would have to define.
_PERCENT = r"(100|\d{1,2})(\.\d+)?%"
_SETTINGS = (
    "vertical:(rl|lr)",
    rf"line:(-?\d+|{_PERCENT})(,(start|center|end))?",
    f"position:{_PERCENT}(,(line-left|center|line-right))?",
    f"size:{_PERCENT}",
    "align:(start|center|end|left|right)",
)
_SETTING = f"({'|'.join(_SETTINGS)})"
VTT_SETTINGS = f"^({_SETTING}( {_SETTING})*)?$"


# YAML reads both `off` and the language code `no` as false.
OffIsAWord = BeforeValidator(lambda value: OFF if value is False else value)
NoIsALanguage = BeforeValidator(lambda value: "no" if value is False else value)


def _check_bounds(fewest: int | None, most: int | None) -> None:
    if fewest and most and fewest > most:
        raise ValueError("min_speakers must not be above max_speakers")


class Options(BaseModel):
    """Base of all settings: unknown keys, infinities and NaN are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="wrap")
    @classmethod
    def _refuse_yes_as_number(cls, value: object, validate: ValidatorFunctionWrapHandler) -> object:
        found: object = validate(value)
        if isinstance(value, bool) and type(found) in (int, float):
            raise ValueError("should be a number, and YAML reads yes, no, on and off as true and false")
        return found


class Cache(Options):
    """Copies of remote recordings on this machine."""

    folder: str = Field(
        "", description="Folder for copies; empty: one in the user's cache folder, shared by all projects"
    )
    max_gb: float = Field(
        20.0,
        ge=0,
        description="Disk space for copies, in GB (10⁹ bytes); recordings that do not fit are streamed",
    )
    max_days: float = Field(14.0, ge=0, description="Copies not used for this long are removed, in days")
    keep: bool = Field(False, description="Keep copies of finished sessions until their space is needed")


class Ingest(Options):
    """How recordings are read, remote ones above all."""

    mode: Literal["copy", "stream"] = Field(
        "copy",
        description="`copy`: download remote recordings to the cache; `stream`: read them over the network "
        "without storing them",
    )
    max_hours_per_mb: float = Field(
        100.0,
        gt=0,
        description="Recordings that claim to hold more audio per megabyte are refused, in hours (efficient "
        "codecs reach 10)",
    )
    max_gap_h: float = Field(
        6.0,
        ge=0,
        description="Longer jumps in the timestamps are treated as a broken clock, not filled with silence, "
        "in hours",
    )
    cache: Cache = Cache()


class Convert(Options):
    """From any recording to 16 kHz mono FLAC."""

    audio_stream: int | Literal["auto"] = Field(
        "auto",
        description="Audio stream to use: its number, from 0, or `auto` (the default stream)",
    )
    channel: int | Literal["mix"] = Field(
        "mix", description="Channel to use: its number, from 0, or `mix` (the mean of all channels)"
    )


class Vad(Options):
    """Voice activity detection (Silero)."""

    threshold: float = Field(
        0.5, gt=0, lt=1, description="Frames with at least this speech probability are speech"
    )
    min_speech_s: float = Field(0.1, ge=0, description="Speech shorter than this is ignored, in seconds")
    min_silence_s: float = Field(
        0.3, ge=0, description="Pauses shorter than this do not split speech, in seconds"
    )
    pad_s: float = Field(0.2, ge=0, description="Padding on either side of speech, in seconds")


class Chunk(Options):
    """Where recordings are cut into chunks."""

    target_s: float = Field(600.0, ge=5, description="Target length of a chunk, in seconds")
    search_s: float = Field(60.0, ge=0, description="How far a cut may be from the target, in seconds")
    min_silence_s: float = Field(0.5, gt=0, description="Shortest pause that may be cut in, in seconds")
    vad: Vad = Vad()

    @model_validator(mode="after")
    def _cuts_stay_apart(self) -> Chunk:
        if self.search_s > 0.4 * self.target_s:
            raise ValueError("search_s must not be more than 0.4 of target_s, or cuts could cross")
        return self


class Transcribe(Options):
    """From audio to words (faster-whisper)."""

    model: str = Field(
        "auto",
        description="`auto` (`large-v3-turbo` on CUDA, `small` on a CPU; `base` if it is the only one "
        "on this machine), a name (`tiny` … `large-v3`, `large-v3-turbo`, `distil-large-v3`), a folder "
        "with a CTranslate2 model, or a hub id",
    )
    device: Device = Field("auto", description="`auto`: CUDA if available")
    compute_type: ComputeType = Field(
        "auto", description="`auto` (`float16` on CUDA, `int8` on a CPU) or a CTranslate2 type"
    )
    language: Annotated[str, NoIsALanguage] = Field(
        "auto",
        pattern=f"^({LANGUAGE})$",
        description="A code such as `en`; `auto`: detect once per session; `mixed`: detect for each window",
    )
    batch_size: int = Field(8, ge=1, description="Windows decoded at once (at most 4 on a CPU)")
    fallback_gap_s: float = Field(
        1.0,
        ge=0,
        description="Fallback decoding: speech without words for this long, and windows of low confidence, "
        "are decoded again in smaller windows, and the better version is kept; in seconds, 0: off",
    )
    low_confidence_log_prob: float = Field(
        -0.5,
        description="Windows with a lower mean log probability are decoded again; words that only one of the "
        "two versions has may then be filtered as invented",
    )
    window_s: float = Field(30.0, ge=2, le=30, description="Longest window, in seconds of speech")
    beam_size: int = Field(5, ge=1, description="Beam size of the search")
    hotwords: str = Field(
        "",
        description="Names and terms to expect, separated by commas or spaces, up to 223 tokens; the "
        "manifest can add more per session",
    )
    initial_prompt: str = Field(
        "", description="Text that precedes every window, as an example of spelling and style"
    )
    no_speech_threshold: float = Field(
        0.6,
        description="Windows with a higher probability of silence are silent if they are also below "
        "`log_prob_threshold`",
    )
    log_prob_threshold: float = Field(
        -1.0, description="Windows with a lower mean log probability count as failed"
    )
    compression_ratio_threshold: float = Field(
        2.4, description="Windows with a higher compression ratio are repetitive and count as failed"
    )
    no_repeat_ngram_size: int = Field(
        0, ge=0, description="Never repeat n-grams of this size within a window; 0: off"
    )
    repetition_penalty: float = Field(
        1.0, ge=1, description="Values above 1 make repeated tokens less likely"
    )
    filter_phrases: bool = Field(
        True,
        description="Remove phrases that models are known to invent "
        "(scripts/sessionscribe/stages/transcribe/hallucination_phrases.toml) where there is no speech",
    )


class Merge(Options):
    """From chunks to one transcript."""

    segment_gap_s: float = Field(
        1.0, gt=0, description="A pause of this length starts a new segment, in seconds"
    )


class Diarize(Options):
    """Who speaks when (pyannote.audio)."""

    model: Annotated[str, OffIsAWord] = Field(
        "auto",
        description="`auto` (`community-1` if available, otherwise `open`), `community-1`, `3.1`, `open` "
        "(needs no account), a folder with a pipeline, or a hub id; `off`: transcripts without speakers",
    )
    device: Device = Field("auto", description="`auto`: CUDA if available")
    num_speakers: Speakers | None = Field(None, description="Number of speakers, if known")
    min_speakers: Speakers | None = Field(None, description="Smallest possible number of speakers")
    max_speakers: Speakers | None = Field(None, description="Largest possible number of speakers")
    step: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Step between windows as a fraction of their length; empty: the pipeline's own",
    )
    threshold: float | None = Field(
        None,
        gt=0,
        le=2,
        description="Clustering threshold (higher: fewer speakers); empty: the pipeline's own",
    )
    chunk_s: float = Field(
        600.0, ge=10, description="Audio per embedding job, in seconds; does not change the result"
    )

    @model_validator(mode="after")
    def _bounds_fit(self) -> Diarize:
        _check_bounds(self.min_speakers, self.max_speakers)
        return self


class Name(Options):
    """Who is who."""

    voices: str = Field(
        "config/voices",
        description="Folder of voice samples: `Anna.wav`, `Anna.2.m4a`, or recordings in `Anna/`",
    )
    table: str = Field(
        "config/names.tsv",
        description="Table of names (`session`, `speaker`, `name`), which takes precedence over voices",
    )
    threshold: float | None = Field(
        None,
        gt=0,
        le=2,
        description="Largest cosine distance between a speaker and an enrolled voice; empty: the default "
        "of the pipeline (`open` 0.25, others 0.5)",
    )
    margin: float = Field(0.05, ge=0, description="How much farther away the second nearest person must be")


class Audit(Options):
    """What is worth a second look."""

    gap_s: float = Field(
        1.0, ge=0, description="Speech without words is listed if it is longer than this, in seconds"
    )
    max_repeats: int = Field(
        4,
        ge=1,
        description="Phrases repeated more often than this in a row (single words: twice as often) are "
        "listed",
    )
    low_confidence_threshold: float = Field(
        0.4,
        ge=0,
        le=1,
        description="Passages of five words with a lower mean probability are listed",
    )
    min_speaker_share: float = Field(
        0.02,
        ge=0,
        lt=1,
        description="Speakers with a smaller share of the speech are flagged as doubtful; 0: off",
    )


class Export(Options):
    """Finished files."""

    formats: tuple[Format, ...] = Field(
        ("json", "srt", "vtt", "txt", "tsv", "rttm"),
        min_length=1,
        description="File formats to write (docs/output.md lists all)",
    )
    max_line_chars: int = Field(
        42,
        ge=10,
        description="Maximum length of a subtitle line, in characters; full-width characters (CJK) count "
        "twice",
    )
    max_lines: int = Field(2, ge=1, description="Maximum number of lines in a subtitle")
    max_cue_s: float = Field(7.0, gt=0, description="Maximum duration of a subtitle, in seconds")
    min_cue_s: float = Field(
        0.8, ge=0, description="Minimum duration of a subtitle, if the following speech allows, in seconds"
    )
    max_chars_per_s: float = Field(
        20.0,
        ge=0,
        description="Reading speed: a subtitle stays on during a pause for as long as reading it takes; 0: "
        "no limit",
    )
    split_at: Literal["clauses", "sentences", "length"] = Field(
        "clauses",
        description="Where a new subtitle starts: after clauses and sentences, after sentences only, or only "
        "when the previous one is full (`length`)",
    )
    karaoke: bool = Field(False, description="`vtt`, `ass`: highlight each word as it is spoken")
    vtt_settings: str = Field(
        "", pattern=VTT_SETTINGS, description="`vtt`: settings of every cue, such as `line:85% align:start`"
    )
    audio: str = Field(
        "",
        description="`html`: the recording to play: a URL or a path relative to the page, with `{session}` "
        "for the session's name; empty: a file beside the page with the same name, else the converted audio",
    )
    pdf_fonts: tuple[str, ...] = Field(
        (),
        description="`pdf`: font files (TTF, OTF) for characters that DejaVu lacks, in order of preference",
    )
    pdf_page: Literal["a4", "letter"] = Field("a4", description="`pdf`: size of the page")
    names: dict[str, Annotated[str, Field(max_length=LONGEST_NAME)]] = Field(
        {}, description="Names to show instead of speaker labels: `SPEAKER_00: Anna`"
    )


class Publish(Options):
    """Finished sessions as versions that others can pull (DVC)."""

    remote: str = Field("", description="DVC remote to push to; empty: DVC's default")
    audio: bool = Field(
        False,
        description="Also publish the converted audio (55 MB per hour), so that others can transcribe it "
        "again",
    )


class Upload(Options):
    """Copies of finished files, beside the recordings or elsewhere."""

    to: str = Field(
        "", description="`beside` (the recordings), or a folder: a path, `remote:path` or `s3://bucket/path`"
    )
    audio: bool = Field(True, description="Also upload a listening copy (`.m4a`, 22 MB per hour)")


class Batch(Options):
    """Batches: `sessionscribe batch` (docs/batch.md)."""

    sources: tuple[str, ...] = Field(
        (), description="Where each batch looks for new recordings: folders, `remote:path`, `s3://`"
    )
    lock: str = Field(
        ".sessionscribe/batch-lock.json",
        description="File that recorders write while they record: a path, `s3://bucket/path` or "
        "`remote:path`; locks of single sessions are in a folder of the same name beside it",
    )
    lock_minutes: float = Field(
        30.0,
        gt=0,
        description="A lock that has not been renewed for this long is stale and is removed, in minutes",
    )
    lock_poll_s: float = Field(
        30.0, gt=0, description="How often a running batch checks the lock, in seconds"
    )
    lock_required: bool = Field(True, description="Do nothing if the lock cannot be read")
    order: Literal["recent", "oldest", "shortest", "manifest"] = Field(
        "recent", description="Which sessions come first if the manifest gives no priority"
    )
    age_boost_hours: float = Field(
        48.0, ge=0, description="Sessions that have waited longer than this come first, in hours"
    )
    attempts: int = Field(
        3,
        ge=1,
        description="A job that fails in this many batches in a row is skipped for a while and reported",
    )
    interval_hours: float = Field(
        2.0,
        gt=0,
        description="Hours between batches; a job that has failed n times is retried after 2ⁿ times as long",
    )
    left_out: str = Field(
        "",
        description="File with a list of files to skip for now, with everything that depends on them; set by "
        "batches",
    )
    upload: bool = Field(False, description="Upload the sessions that a batch has finished")
    publish: bool = Field(False, description="Publish the sessions that a batch has finished")
    metrics: str = Field(
        "",
        description="Folder for `sessionscribe.prom`, which Prometheus's node exporter reads; empty: no "
        "metrics",
    )


class WatchFolder(Options):
    """A folder whose recordings are added automatically."""

    path: str = Field(min_length=1, description="A folder of this machine, `remote:path` or `s3://`")
    settle_s: float = Field(
        30.0, ge=0, description="A file is added when it has not changed for this long, in seconds"
    )
    poll_s: float | None = Field(
        None, gt=0, description="How often the folder is listed, in seconds; empty: 10, on remotes 300"
    )


class WatchRule(Options):
    """Settings for new recordings whose path in their folder matches a pattern (as in `.gitignore`)."""

    match: str = Field(min_length=1)
    ignore: bool | None = None
    layout: Literal["recording", "multitrack", "live"] | None = None
    language: Annotated[str | None, NoIsALanguage] = Field(None, pattern=f"^({LANGUAGE})$")
    speakers: Annotated[Speakers | Literal["off"] | None, OffIsAWord] = None
    min_speakers: Speakers | None = None
    max_speakers: Speakers | None = None
    hotwords: str | None = None
    priority: int | None = None

    @model_validator(mode="after")
    def _bounds_fit(self) -> WatchRule:
        _check_bounds(self.min_speakers, self.max_speakers)
        return self


class Watch(Options):
    """Folders whose recordings are added automatically: `sessionscribe watch` (docs/batch.md)."""

    folders: tuple[WatchFolder, ...] = Field((), description="Folders to watch: `path`, `settle_s`, `poll_s`")
    rules: tuple[WatchRule, ...] = Field(
        (),
        description="Settings for new recordings in these folders and in `batch.sources`, by path: "
        "`match` (a pattern as in `.gitignore`), `layout`, `language`, `speakers`, `min_speakers`, "
        "`max_speakers`, `hotwords`, `priority`, `ignore`; for each setting, the first matching rule counts",
    )


Event = Literal["failed", "stuck_gpu", "high_cost", "no_runs", "session_complete"]


class Notify(Options):
    """Notifications about batches by mail, Slack and others (docs/batch.md); addresses are never in here."""

    urls_file: str = Field(
        "~/.config/sessionscribe/notify.txt",
        description="File with Apprise addresses, one per line; more can be in `SESSIONSCRIBE_NOTIFY`",
    )
    events: tuple[Event, ...] = Field(
        ("failed", "stuck_gpu", "high_cost", "no_runs", "session_complete"),
        description="Events to report",
    )
    digest: bool = Field(True, description="One message per batch; otherwise one per kind of event")
    interval_hours: float = Field(
        6.0, ge=0, description="Minimum time between messages of the same kind, in hours"
    )
    gpu_minutes: float = Field(
        30.0,
        gt=0,
        description="`stuck_gpu`: a GPU ran for longer than this, in minutes, or was not seen to stop",
    )
    cost_per_day: float = Field(
        2.0, ge=0, description="`high_cost`: machines cost more than this in a day, in any currency"
    )
    silent_hours: float = Field(
        6.0, gt=0, description="`no_runs`: no batch has succeeded for this long, in hours"
    )


class Serve(Options):
    """Pages in a browser: `sessionscribe serve` (docs/web.md); read when the server starts."""

    origins: tuple[Annotated[str, Field(pattern=r"^https?://[^/\s*]+$")], ...] = Field(
        (),
        description="Origins (`https://recorder.example.org`) whose pages may lock and unlock batches, "
        "with the token",
    )
    record: bool = Field(False, description="Offer a page that records with the browser's microphone")


class Config(Options):
    """The settings of sessionscribe."""

    manifest: str = Field(
        "config/sessions.tsv", description="Table of sessions, written by `sessionscribe add`"
    )
    sessions: tuple[str, ...] = Field((), description="Sessions to process; empty: all")
    ingest: Ingest = Ingest()
    convert: Convert = Convert()
    chunk: Chunk = Chunk()
    transcribe: Transcribe = Transcribe()
    merge: Merge = Merge()
    diarize: Diarize = Diarize()
    name: Name = Name()
    audit: Audit = Audit()
    export: Export = Export()
    upload: Upload = Upload()
    publish: Publish = Publish()
    batch: Batch = Batch()
    watch: Watch = Watch()
    notify: Notify = Notify()
    serve: Serve = Serve()
