"""The decoder of a session, and the key of its words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sessionscribe.config.settings import Config
from sessionscribe.core.fingerprint import fingerprint, step_key
from sessionscribe.engines import models
from sessionscribe.manifest.manifest import Row, Session
from sessionscribe.planning.steps import Options


@dataclass(frozen=True)
class Decoder:
    """The speech model and number format that a session is transcribed with."""

    model: str
    compute_type: str
    identity: str


def decoders(config: Config, identity: Callable[[str], str]) -> Iterator[Decoder]:
    """Yield the decoders that the settings allow, best first; several if something is ``auto``."""
    options = config.transcribe
    machine = models.machine_device()
    devices = (
        [options.device] if options.device != "auto" else [machine, "cpu" if machine == "cuda" else "cuda"]
    )
    seen = set()
    for device in devices:
        kind = models.AUTO_COMPUTE_TYPE[device] if options.compute_type == "auto" else options.compute_type
        names = [options.model]
        if options.model == "auto":
            names = models.auto_names(device, here=device == machine)
        for name in names:
            if (name, kind) not in seen:
                seen.add((name, kind))
                model = models.resolve(name, models.WHISPER, setting="transcribe.model")
                yield Decoder(model, kind, identity(model))


def unusable(session: Session) -> tuple[Row, ...]:
    """Return the rows that make a session unusable, if any; bad parts of a live session are only gaps."""
    rows = tuple(row for row in session.rows if not row.checksum or row.duration_s <= 0)
    if session.layout == "live":
        rows = tuple(row for row in rows if not row.checksum) or rows[: len(rows) == len(session.rows)]
    return rows or (session.rows[:1] if session.problem else ())


def decoding(session: Session, options: Options, decoder: Decoder) -> dict[str, Any]:
    """Return the ``transcribe`` settings of a session: those of its row over the general ones."""
    general = options["transcribe"]
    return {
        **general,
        "model": decoder.model,
        "compute_type": decoder.compute_type,
        "language": str(session.setting("language") or general["language"]),
        "hotwords": all_hotwords(general["hotwords"], str(session.setting("hotwords"))),
    }


def all_hotwords(general: str, own: str) -> str:
    """Return the hotwords of the settings and of a session, separated as ``prompts.terms_of`` expects."""
    return "; ".join(filter(None, (general, own)))


def words_folder(session: str, words: str) -> str:
    """Return the folder of a session's chunk transcripts."""
    return f"results/transcribe/{session}/{words}"


def words_key(session: Session, options: Options, decoder: Decoder) -> str:
    """Return the key of everything that determines a session's words; "" if it is unusable.

    The parts of a live session are in the names of the files instead.
    """
    if unusable(session):
        return ""
    live = session.layout == "live"
    rows = sorted(session.rows, key=lambda row: row.track)
    decoded = decoding(session, options, decoder) | {"model": decoder.identity}
    for speed_only in ("device", "batch_size"):
        del decoded[speed_only]
    channels = [session.channel(row) for row in rows]
    return fingerprint(
        [step_key(rule) for rule in ("plan_chunks", "detect_language", "transcribe_chunk")],
        None if live else [(row.track, row.checksum, row.length_s) for row in rows],
        [session.audio_stream(row) for row in (rows[:1] if live else rows)],
        *([channels] if any(channel is not None for channel in channels) else []),
        options["convert"],
        options["chunk"],
        decoded,
    )
