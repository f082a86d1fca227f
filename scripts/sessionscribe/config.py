"""All settings: their types, defaults and meaning, in one place.

The schema (``config/config.schema.json``), the table in ``docs/configuration.md`` and the default file
``config/config.yaml`` are written from these models by ``python -m sessionscribe.config``.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from sessionscribe.errors import UserError

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
Decoding = Literal["sequential", "batched"]
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
# What WebVTT allows after a cue's times, but for regions (they would have to be defined).
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


class Options(BaseModel):
    """Base of all settings: unknown keys are errors, and so are numbers without an end."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Cache(Options):
    """Copies of remote recordings on this machine."""

    folder: str = Field(
        "", description="Where they lie; empty: a folder of this user's caches, which all projects share"
    )
    max_gb: float = Field(
        20.0,
        ge=0,
        description="They never take more than this, in GB (10⁹ bytes); what does not fit is streamed",
    )
    max_days: float = Field(14.0, ge=0, description="A copy that nobody used for longer is removed, in days")
    keep: bool = Field(
        False, description="Keep the copies of a session that is complete until their room is needed"
    )


class Ingest(Options):
    """Recordings that lie elsewhere."""

    mode: Literal["copy", "stream"] = Field(
        "copy",
        description="Remote recordings are read from a copy in the cache, or (`stream`) part by part where "
        "they lie, so that nothing of them is stored here",
    )
    s3_remote: str = Field(
        "",
        description="The rclone remote that stands for `s3://`; empty: what AWS's own environment variables "
        "and files say",
    )
    cache: Cache = Cache()


class Convert(Options):
    """From any recording to 16 kHz mono FLAC."""

    audio_stream: int | Literal["auto"] = Field(
        "auto",
        description="Which audio stream of the recording: its number from 0, or `auto` (the default stream)",
    )
    channel: int | Literal["mix"] = Field(
        "mix", description="Which channel: its number from 0, or `mix` (the mean of all channels)"
    )


class Vad(Options):
    """Voice activity detection (Silero)."""

    threshold: float = Field(0.5, gt=0, lt=1, description="Speech probability from which a frame is speech")
    min_speech_s: float = Field(0.1, ge=0, description="Shorter speech is ignored, in seconds")
    min_silence_s: float = Field(
        0.3, ge=0, description="Shorter pauses do not end a stretch of speech, in seconds"
    )
    pad_s: float = Field(0.2, ge=0, description="Kept on either side of speech, in seconds")


class Chunk(Options):
    """Where recordings are cut."""

    target_s: float = Field(600.0, ge=5, description="Wanted length of a chunk, in seconds")
    search_s: float = Field(60.0, ge=0, description="How far from the wanted place a cut may lie, in seconds")
    context_s: float = Field(
        2.0, ge=0, description="Audio that sequential decoding hears beyond a forced cut, in seconds"
    )
    min_silence_s: float = Field(
        0.5, gt=0, description="A pause must be this long to be a clean cut, in seconds"
    )
    vad: Vad = Vad()

    @model_validator(mode="after")
    def _cuts_stay_apart(self) -> Chunk:
        if self.search_s > 0.4 * self.target_s:
            raise ValueError("search_s must not be more than 0.4 of target_s, or cuts could cross")
        return self


class Guards(Options):
    """Text that was invented where nobody speaks is taken out, and kept with the reason."""

    margin_s: float | None = Field(
        0.5,
        ge=0,
        description="Words of a segment of low confidence with no speech this near, in seconds, are "
        "taken out; empty: never",
    )
    max_repeats: int = Field(
        4,
        ge=0,
        description="Words that follow themselves more often (single words: twice as often), of low "
        "confidence or faster than anybody speaks, are taken out but for the first time; 0: never",
    )
    phrases: bool = Field(
        True,
        description="Take out the phrases that models are known to invent "
        "(scripts/sessionscribe/phantoms.toml) where nothing speaks for them",
    )


class Transcribe(Options):
    """From chunks to words (faster-whisper)."""

    model: str = Field(
        "auto",
        description="`auto` (`large-v3-turbo` on CUDA, `small` on a CPU; `base` where only that is here), a "
        "name (`tiny` … `large-v3`, `large-v3-turbo`, `distil-large-v3`), a folder with a CTranslate2 model, "
        "or a hub id",
    )
    device: Device = Field("auto", description="`auto` takes CUDA where there is some")
    compute_type: ComputeType = Field(
        "auto", description="`auto` (`float16` on CUDA, `int8` on a CPU) or a CTranslate2 type"
    )
    language: str = Field(
        "auto",
        pattern=f"^({LANGUAGE})$",
        description="A code such as `en`; `auto`: detected once per session; "
        "`mixed`: for every window of speech",
    )
    decoding: Decoding = Field(
        "batched",
        description="`batched`: in windows that end in pauses, several at once on a GPU; `sequential`: the "
        "engine moves through speech by itself. docs/accuracy.md compares them",
    )
    batch_size: int = Field(8, ge=1, description="Windows decoded at once (batched; on a CPU at most 4)")
    share_batches: bool = Field(
        False,
        description="Batched, on a GPU: windows of chunks that are decoded at the same time share batches; "
        "faster with short chunks, but times (by 20 ms) and last digits then depend on what ran beside them",
    )
    redecode_s: float = Field(
        1.0,
        ge=0,
        description="Speech this long without a word, and what has low confidence, is decoded again in "
        "smaller windows, and the better version stays; in seconds, 0: never",
    )
    low_confidence_log_prob: float = Field(
        -0.5,
        description="Below it (mean log probability) a window is decoded again; words that the two versions "
        "do not share are then taken for invented",
    )
    window_s: float = Field(
        30.0, ge=2, le=30, description="Longest window of speech decoded as one, in seconds"
    )
    beam_size: int = Field(5, ge=1, description="Beams of the search")
    temperatures: tuple[float, ...] = Field(
        (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
        min_length=1,
        description="Tried in turn until a window passes (sequential; batched takes the first)",
    )
    hotwords: str = Field(
        "",
        description="Names and terms to expect, with commas or spaces between them, as many as fit in 223 "
        "tokens; a session's row of the manifest adds its own",
    )
    initial_prompt: str = Field(
        "", description="Text that every window is told to follow, for spelling and style"
    )
    no_speech_threshold: float = Field(
        0.6, description="Above it, and unsure of the words, a window is silence"
    )
    log_prob_threshold: float = Field(
        -1.0, description="Below it (mean log probability) a window is tried again"
    )
    compression_ratio_threshold: float = Field(
        2.4, description="Above it a window repeats itself and is tried again"
    )
    hallucination_silence_s: float = Field(
        2.0, ge=0, description="Sequential: skip text in silence longer than this; 0: off"
    )
    no_repeat_ngram_size: int = Field(0, ge=0, description="Refuse to repeat n words within a window; 0: off")
    repetition_penalty: float = Field(1.0, ge=1, description="Above 1: repeated tokens become less likely")
    guards: Guards = Guards()


class Merge(Options):
    """From chunks to one transcript."""

    match_s: float = Field(0.8, gt=0, description="Two versions of a word may lie this far apart, in seconds")
    segment_gap_s: float = Field(1.0, gt=0, description="A pause this long begins a new segment, in seconds")


class Diarize(Options):
    """Who speaks when (pyannote.audio)."""

    model: str = Field(
        "auto",
        description="`auto` (`community-1`; `open` where only that is here), `community-1`, `3.1`, `open` "
        "(needs no account), a folder with a pipeline, or a hub id; `off`: transcripts without speakers, for "
        "which only the speech model is needed",
    )
    device: Device = Field("auto", description="`auto` takes CUDA where there is some")
    num_speakers: int | None = Field(None, ge=1, description="Number of speakers where it is known")
    min_speakers: int | None = Field(None, ge=1, description="Fewest speakers")
    max_speakers: int | None = Field(None, ge=1, description="Most speakers")
    step: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Step between windows as a share of their length; empty: the pipeline's own",
    )
    threshold: float | None = Field(
        None,
        gt=0,
        le=2,
        description="Voices nearer than this are one speaker's (higher: fewer speakers); empty: as the "
        "pipeline has it",
    )
    chunk_s: float = Field(
        600.0, ge=10, description="Audio that one job listens to, in seconds; changes no turn"
    )

    @field_validator("model", mode="before")
    @classmethod
    def _off_is_a_word(cls, value: object) -> object:
        return "off" if value is False else value  # YAML reads a bare `off` as false

    @model_validator(mode="after")
    def _bounds_fit(self) -> Diarize:
        if self.min_speakers and self.max_speakers and self.min_speakers > self.max_speakers:
            raise ValueError("min_speakers must not be above max_speakers")
        return self


class Name(Options):
    """Who is who."""

    voices: str = Field(
        "config/voices",
        description="The folder of enrolment clips: `Anna.wav`, `Anna.2.m4a`, or recordings in `Anna/`",
    )
    table: str = Field(
        "config/names.tsv",
        description="The table of names (`session`, `speaker`, `name`), which decides over voices",
    )
    threshold: float | None = Field(
        None,
        gt=0,
        le=2,
        description="A voice farther from a person's than this (cosine distance) is not that person's; "
        "empty: as the pipeline's embeddings need it (`open` 0.25, others 0.5)",
    )
    margin: float = Field(
        0.05, ge=0, description="The second nearest person must be at least this much farther"
    )


class Audit(Options):
    """What is worth a second look."""

    gap_s: float = Field(
        1.0, ge=0, description="Speech longer than this without a word is listed, in seconds"
    )
    max_repeats: int = Field(
        4,
        ge=1,
        description="Words that follow themselves more often (single words: twice as often) are listed",
    )
    unsure_below: float = Field(
        0.4, ge=0, le=1, description="Words of a lower probability, averaged over five of them, are listed"
    )
    phantom_share: float = Field(
        0.02,
        ge=0,
        lt=1,
        description="A speaker with less of the speech may be none: he is flagged; 0: nobody",
    )


class Export(Options):
    """Finished files."""

    formats: tuple[Format, ...] = Field(
        ("json", "srt", "vtt", "txt", "tsv", "rttm"),
        min_length=1,
        description="Which files to make; all that there are: docs/output.md",
    )
    max_line_chars: int = Field(
        42,
        ge=10,
        description="Longest line of a subtitle, in characters; full-width ones (CJK) count two",
    )
    max_lines: int = Field(2, ge=1, description="Most lines of a subtitle")
    max_cue_s: float = Field(7.0, gt=0, description="Longest time a subtitle stays, in seconds")
    min_cue_s: float = Field(
        0.8, ge=0, description="Shortest time a subtitle stays where the speech after it allows, in seconds"
    )
    max_chars_per_s: float = Field(
        20.0,
        ge=0,
        description="Reading speed: a subtitle stays on into a pause until it could be read; 0: no limit",
    )
    split_at: Literal["clauses", "sentences", "length"] = Field(
        "clauses",
        description="Where subtitles end early: with clauses and sentences, with sentences only, or "
        "nowhere (`length`: when they are full)",
    )
    karaoke: bool = Field(False, description="`vtt`, `ass`: a time for every word, so that words light up")
    vtt_settings: str = Field(
        "", pattern=VTT_SETTINGS, description="`vtt`: settings of every cue, such as `line:85% align:start`"
    )
    audio: str = Field(
        "",
        description="`html`: the recording that plays: a path from the page or a URL, `{session}` in it "
        "is the session's name; empty: a file beside the page that is named as it is",
    )
    pdf_fonts: tuple[str, ...] = Field(
        (), description="`pdf`: font files (TTF, OTF) for letters that DejaVu lacks, tried in turn"
    )
    pdf_page: Literal["a4", "letter"] = Field("a4", description="`pdf`: size of the page")
    names: dict[str, str] = Field(
        {}, description="Names to show in place of speaker labels: `SPEAKER_00: Anna`"
    )


class Publish(Options):
    """Finished sessions as versions that others can pull (DVC)."""

    remote: str = Field("", description="The DVC remote to send to; empty: DVC's default")
    audio: bool = Field(
        False,
        description="Publish the converted audio too (55 MB an hour): others can transcribe anew with it",
    )


class Upload(Options):
    """Finished files back to where the recordings are, or elsewhere."""

    to: str = Field(
        "", description="`beside` (the recordings) or a folder: a path, `remote:path`, `s3://bucket/path`"
    )
    audio: bool = Field(
        True, description="Upload a listening copy (`.m4a`, 22 MB an hour) along with the exports"
    )


class Config(Options):
    """The settings of sessionscribe."""

    manifest: str = Field(
        "config/sessions.tsv", description="The table of sessions, kept by `sessionscribe add`"
    )
    sessions: tuple[str, ...] = Field((), description="Work on these sessions only; empty: on all")
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


def validate(values: Mapping[str, Any]) -> Config:
    """Return the settings in ``values`` (what YAML gives), defaults filled in.

    Raises:
        UserError: an unknown key (the nearest right one is named) or a value of the wrong kind.
    """
    try:
        return Config.model_validate(dict(values))
    except ValidationError as error:
        problem = error.errors()[0]
        place = [str(part) for part in problem["loc"]]
        where = f"configuration: {'.'.join(place)}"
        if problem["type"] == "extra_forbidden":
            raise UserError("there is no such setting", where=where, hint=_nearest(place)) from None
        reason = problem["msg"].removeprefix("Value error, ")
        given = "" if isinstance(problem["input"], dict) else f" (it is {problem['input']!r})"
        raise UserError(
            f"{reason}{given}", where=where, hint="docs/configuration.md lists all settings"
        ) from None


def _nearest(place: list[str]) -> str:
    model: Any = Config
    for part in place[:-1]:
        model = model.model_fields[part].annotation
    near = difflib.get_close_matches(place[-1], model.model_fields, n=1, cutoff=0)
    return f"Did you mean `{'.'.join([*place[:-1], *near])}`?"


def load(paths: list[Path], over: Mapping[str, Any] | None = None) -> Config:
    """Return the settings of the YAML files in ``paths``, later ones over earlier ones, ``over`` over all."""
    import yaml  # noqa: PLC0415 -- the Snakefile gets its configuration from Snakemake

    values: dict[str, Any] = {}
    for path in paths:
        try:
            layer = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except FileNotFoundError as error:
            hint = "Check its name (--configfile, or `configfile` in the profile)"
            raise UserError("does not exist", where=path, hint=hint) from error
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            what = f"cannot be read ({' '.join(str(error).split())})"
            raise UserError(what, where=path, hint="Correct the file") from error
        if not isinstance(layer, dict):
            raise UserError("holds no settings (`key: value`)", where=path, hint="Correct the file")
        values = _overlay(values, layer)
    return validate(_overlay(values, over or {}))


def _overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``below`` with the keys of ``above`` over it, section by section (as Snakemake does)."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = _overlay(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result
