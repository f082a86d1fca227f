"""Find the transcripts of a session, a file, a folder of exports, or a folder of chunk transcripts."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path

from sessionscribe.artifacts.chunk_transcript import ChunkTranscript, Segment
from sessionscribe.artifacts.plan import Timeline
from sessionscribe.artifacts.transcript import Corrections
from sessionscribe.core import seal
from sessionscribe.core.errors import UserError
from sessionscribe.core.units import seconds
from sessionscribe.formats import references
from sessionscribe.formats.utterances import PlainTranscript, PlainWord, Utterance, joined

RESULTS = Path("results")


def read(name: str) -> dict[str, PlainTranscript]:
    """Return the transcripts by session.

    Args:
        name: a file of any known format; a folder of exports (of one session or of several); a fingerprint
            folder of ``results/transcribe``; or the name of a finished session of this project.

    Raises:
        UserError: there is none of these, or it is invalid.
    """
    path = Path(name)
    if path.is_dir():
        return _of_folder(path)
    if path.is_file() or path.suffix or len(path.parts) != 1:
        return joined(references.read_file(path))
    # The last step first; then the export, which may be all that was pulled, but also outdated.
    places = (RESULTS / "correct", RESULTS / "diarize", RESULTS / "export" / name)
    for found in (folder / f"{name}.json" for folder in places):
        if found.is_file():
            return joined(references.read_file(found))
    hint = f"Give a file or folder, or finish the session: sessionscribe run --session {name}"
    raise UserError("is not a file, a folder or a finished session", where=name, hint=hint)


def reference(path: Path) -> Path:
    """Return the path of a reference: the path itself, or the corrected transcript of a session's name.

    Raises:
        UserError: the session has no corrections.
    """
    if path.exists() or path.suffix or len(path.parts) != 1:
        return path
    corrected = RESULTS / "correct" / f"{path}.json"
    if not corrected.is_file():
        return path
    report = Corrections.read(RESULTS / "correct" / f"{path}.corrections.json")
    if all(found.state == "open" for found in report.corrections):
        what = "has no corrections, so its transcript is no reference"
        raise UserError(what, where=path, hint=f"Correct it first: sessionscribe correct {path} FILE")
    return corrected


def _of_folder(folder: Path) -> dict[str, PlainTranscript]:
    own = folder / f"{folder.name}.json"
    if own.is_file():
        return joined(references.read_file(own))
    exports = [
        found for child in sorted(folder.iterdir()) if (found := child / f"{child.name}.json").is_file()
    ]
    if exports:
        return joined(said for path in exports for said in references.read_file(path))
    if chunks := _chunks(folder):
        said = _one_after_the_other(folder, chunks)
        return {said.session: said}
    return references.read([folder])


def _chunks(folder: Path) -> list[ChunkTranscript]:
    """Return the chunk transcripts in a folder, including those of earlier versions.

    Raises:
        UserError: one is invalid.
    """
    found = []
    for path in sorted(folder.glob("[!.]*.json")):
        try:
            content = seal.read_json(path.read_bytes())
            if isinstance(content, dict) and "core" in content:
                known = {name: content[name] for name in ChunkTranscript.model_fields if name in content}
                if known.get("schema_version") not in range(ChunkTranscript.version()):
                    known["schema_version"] = ChunkTranscript.version()
                found.append(ChunkTranscript.model_validate(known))
        except (ValueError, RecursionError) as error:
            what = f"cannot be read ({str(error).splitlines()[0]})"
            raise UserError(what, where=path, hint="Compare with a finished export instead") from error
    return found


def _one_after_the_other(folder: Path, chunks: list[ChunkTranscript]) -> PlainTranscript:
    """Return the chunks of a fingerprint folder as one transcript.

    Raises:
        UserError: a chunk is missing, or the positions of the tracks are unknown.
    """
    session = chunks[0].session
    tracks = sorted({chunk.track for chunk in chunks})
    offset_s = _offsets(folder, session, tracks)
    said = []
    for track in tracks:
        own = sorted((chunk for chunk in chunks if chunk.track == track), key=lambda c: c.core.index)
        for number, chunk in enumerate(own):
            if chunk.core.index != number:
                what = f"chunk {number} of track {track} is missing"
                hint = f"Finish it with its settings: sessionscribe run --session {session}"
                raise UserError(what, where=folder, hint=hint)
            said += [_utterance(segment, offset_s[track]) for segment in chunk.segments]
    said.sort(key=attrgetter("start"))
    return PlainTranscript(session, tuple(said), language=chunks[0].language)


def _utterance(segment: Segment, offset_s: float) -> Utterance:
    """Return a segment of a track on the session's clock."""
    words = tuple(
        PlainWord(word.text, word.start + offset_s, word.end + offset_s, space=word.space)
        for word in segment.words
    )
    return Utterance(segment.text.strip(), segment.start + offset_s, segment.end + offset_s, words=words)


def _offsets(folder: Path, session: str, tracks: list[str]) -> dict[str, float]:
    """Return the starts of the tracks in seconds: from the timeline, or 0 if there is only one track."""
    known = folder.resolve().parents[2] / "chunk" / f"{session}.timeline.json"
    if known.is_file():
        return {track.track: seconds(track.offset) for track in Timeline.read(known).tracks}
    if len(tracks) > 1:
        what = f"its tracks cannot be put in order without {known.name}"
        hint = f"Make it: sessionscribe run --session {session} --stage chunk"
        raise UserError(what, where=folder, hint=hint)
    return {tracks[0]: 0.0}
