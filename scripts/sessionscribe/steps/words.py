"""The steps of transcribe and merge: from tracks to the words of a session."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sessionscribe.fingerprint import step_key
from sessionscribe.steps.decoder import Decoder, decoding, words_folder
from sessionscribe.steps.prepare import Track, plans
from sessionscribe.steps.work import Folder, Ledger, Step


@lru_cache(maxsize=64)
def chunk_names(track: str, chunks: int) -> tuple[str, ...]:
    """Return the names of the files that a track's chunks have in a fingerprint folder."""
    return tuple(f"{track}.{index:04d}.json" for index in range(chunks))


def transcribe_chunks(ledger: Ledger, tracks: list[Track], decoder: Decoder, words: str) -> Folder:
    """Note the steps that detect the language and transcribe every chunk; ``words`` is their key."""
    session = ledger.session
    options = decoding(session, ledger.options, decoder)
    folder = words_folder(session.name, words)
    # A live session's first parts decide: later ones must not change what is already transcribed.
    voters = tracks[:10] if session.shape == "live" else tracks

    def tell_language(_: str) -> dict[str, Any]:
        return {
            "plans": plans(voters),
            "audio": [track.audio for track in voters],
            "options": options,
        }

    def tell_chunk(name: str) -> dict[str, Any]:
        track, index, _ = name.split(".")
        return {
            "track": track,
            "index": int(index),
            "language": [f"{folder}/language.json"],
            "options": options,
        }

    names = tuple(name for track in tracks for name in chunk_names(track.row.track, track.chunks))
    model = decoder.model
    ledger.add_folder("detect_language", folder, words, ("language.json",), tell_language, model=model)
    return ledger.add_folder("transcribe_chunk", folder, words, names, tell_chunk, model=model)


def merge_transcript(ledger: Ledger, timeline: Step, tracks: list[Track], chunks: Folder) -> Step:
    """Note the step that makes one transcript of all chunks."""
    options = ledger.options["merge"]

    def tell() -> dict[str, Any]:
        return {"options": options, "plans": plans(tracks), "chunks": chunks.outputs()}

    key = step_key("merge_transcript", chunks.key, timeline.key, options)
    output = f"results/merge/{ledger.session.name}.json"
    needs: tuple[Step | Folder, ...] = (timeline, *(track.plan for track in tracks), chunks)
    return ledger.add("merge_transcript", "", (output,), key, tell, needs=needs)
