"""The steps of the stages transcribe and merge."""

from __future__ import annotations

from functools import lru_cache

from sessionscribe.core.fingerprint import step_key
from sessionscribe.planning.steps import Folder, Inputs, Listed, Options, SessionSteps, Step
from sessionscribe.planning.steps.decoder import Decoder, decoding, words_folder
from sessionscribe.planning.steps.prepare import Track, plans


@lru_cache(maxsize=64)
def chunk_names(*tracks: tuple[str, int]) -> tuple[str, ...]:
    """Return the names of chunk files for tracks, given by name and number of chunks."""
    return tuple(f"{track}.{index:04d}.json" for track, chunks in tracks for index in range(chunks))


def transcribe_chunks(steps: SessionSteps, tracks: list[Track], decoder: Decoder, words: str) -> Folder:
    """Add the steps that detect the language and transcribe every chunk; ``words`` is their key."""
    session = steps.session
    folder = words_folder(session.name, words)
    # The first parts of a live session decide, so later ones change nothing that is already transcribed.
    voters = [t for t in tracks if t.row.duration_s > 0][:10] if session.layout == "live" else tracks
    by_name = {track.row.track: track for track in tracks}

    def options() -> Options:
        return decoding(session, steps.options, decoder)

    def inputs(name: str) -> Inputs:
        track = by_name[name.partition(".")[0]]
        return {
            "audio": track.audio,
            "plan": track.plan.outputs[0],
            "language": f"{folder}/language.json",
        }

    def told(name: str) -> Options:
        track, index, _ = name.split(".")
        return {"track": track, "index": int(index), "options": options()}

    language = Folder(
        "detect_language",
        session.name,
        folder,
        words,
        names=("language.json",),
        pattern="language.json",
        inputs=lambda _: {"plans": plans(voters), "audio": [track.audio for track in voters]},
        options=lambda _: {"options": options()},
        model=decoder.model,
    )
    chunks = Folder(
        "transcribe_chunk",
        session.name,
        folder,
        words,
        names=chunk_names(*((track.row.track, track.chunks) for track in tracks)),
        pattern="{track}.{index}.json",
        inputs=inputs,
        options=told,
        model=decoder.model,
        audio_s=sum(track.row.duration_s for track in tracks),
    )
    steps.works += [language, chunks]
    return chunks


def merge_transcript(steps: SessionSteps, timeline: Step, tracks: list[Track], chunks: Folder) -> Step:
    """Add the step that merges all chunks into one transcript."""
    options = steps.options["merge"]
    key = step_key("merge_transcript", chunks.key, timeline.key, options)
    inputs = {"timeline": timeline, "plans": [track.plan for track in tracks], "chunks": [Listed(chunks)]}
    outputs = (f"results/merge/{steps.session.name}.json",)
    told = {"chunks": chunks.path, "options": options}
    return steps.add("merge_transcript", inputs, outputs, key, told)
