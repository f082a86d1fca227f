"""Find the transcripts that a user means: a session, a file, a folder, or a folder of chunk transcripts."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from sessionscribe.artifacts.chunk_transcript import ChunkTranscript
from sessionscribe.artifacts.plan import ChunkPlan, Timeline, TimelineTrack
from sessionscribe.artifacts.transcript import Corrections
from sessionscribe.config.settings import Merge
from sessionscribe.core import seal
from sessionscribe.core.errors import UserError
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.formats import references
from sessionscribe.formats.utterances import PlainTranscript, joined
from sessionscribe.stages.merge.merge import merge_transcript

RESULTS = Path("results")


def read(name: str) -> dict[str, PlainTranscript]:
    """Return the transcripts by session.

    Args:
        name: a file of any known format; a folder of exports (of one session or of several); a fingerprint
            folder of ``results/transcribe``; or the name of a finished session of this project.

    Raises:
        UserError: there is no such thing, or it is broken.
    """
    path = Path(name)
    if path.is_dir():
        return _of_folder(path)
    if path.is_file() or path.suffix or len(path.parts) != 1:
        return joined(references.read_file(path))
    # The last step first. The export is what somebody has who pulled nothing else: it may be of an earlier
    # transcript, where JSON is not asked for any more.
    places = (RESULTS / "correct", RESULTS / "diarize", RESULTS / "export" / name)
    for found in (folder / f"{name}.json" for folder in places):
        if found.is_file():
            return joined(references.read_file(found))
    hint = f"Give a file or folder, or finish the session: sessionscribe run --session {name}"
    raise UserError("is not a file, a folder or a finished session", where=name, hint=hint)


def reference(path: Path) -> Path:
    """Return the reference that a user means: the path, or a session's corrected transcript by its name.

    Raises:
        UserError: nobody corrected the session: its transcript is only what the machine made.
    """
    if path.exists() or path.suffix or len(path.parts) != 1:
        return path
    corrected = RESULTS / "correct" / f"{path}.json"
    if not corrected.is_file():
        return path
    report = Corrections.read(RESULTS / "correct" / f"{path}.corrections.json")
    if all(found.state == "open" for found in report.corrections):
        what = "has no corrections: its transcript is what the machine made, and no reference"
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
        said = _merged(folder, chunks)
        return {said.session: said}
    return references.read([folder])


def _chunks(folder: Path) -> list[ChunkTranscript]:
    """Return the chunk transcripts in a folder; those of an earlier version too, as far as they are alike.

    Raises:
        UserError: one is broken.
    """
    found = []
    for path in sorted(folder.glob("[!.]*.json")):
        try:
            content = json.loads(seal.unsealed(path.read_bytes()))
            if isinstance(content, dict) and "core" in content:
                known = {name: content[name] for name in ChunkTranscript.model_fields if name in content}
                if known.get("schema_version") not in ChunkTranscript.OLDER:
                    known["schema_version"] = ChunkTranscript.VERSION
                found.append(ChunkTranscript.model_validate(known))
        except ValueError as error:
            what = f"cannot be read ({str(error).splitlines()[0]})"
            raise UserError(what, where=path, hint="Compare with a finished export instead") from error
    return found


def _merged(folder: Path, chunks: list[ChunkTranscript]) -> PlainTranscript:
    """Return the chunks of a fingerprint folder as one transcript, merged as the workflow does by default.

    The plan follows from the chunks themselves, since the settings may have changed since; those of merging
    are left aside, so that two folders are compared by what was heard.
    """
    session = chunks[0].session
    plans = []
    for track in sorted({chunk.track for chunk in chunks}):
        cores = sorted((c.core for c in chunks if c.track == track), key=lambda core: core.start)
        expected = 0
        for number, core in enumerate(cores):
            if core.start != expected or core.index != number:
                raise UserError(
                    f"chunk {number} of track {track} is missing",
                    where=folder,
                    hint=f"Finish it with its settings: sessionscribe run --session {session}",
                )
            expected = core.stop
        plans.append(ChunkPlan(session=session, track=track, samples=expected, cores=cores, speech=[]))
    with TemporaryDirectory() as scratch:
        output = Path(scratch) / f"{session}.json"
        merge_transcript(
            timeline=_timeline(folder, plans), plans=plans, chunks=chunks, options=Merge(), output=output
        )
        return references.read_file(output)[0]


def _timeline(folder: Path, plans: list[ChunkPlan]) -> Timeline:
    """Return where the tracks lie: as the project says, at the start of the session where it does not."""
    session = plans[0].session
    known = folder.resolve().parents[2] / "chunk" / f"{session}.timeline.json"
    offsets = {}
    if known.is_file():
        offsets = {track.track: track.offset for track in Timeline.read(known).tracks}
    elif len(plans) > 1:
        what = f"its tracks cannot be put in order without {known.name}"
        raise UserError(
            what, where=folder, hint=f"Make it: sessionscribe run --session {session} --stage chunk"
        )
    tracks = [
        TimelineTrack(track=plan.track, offset=offsets.get(plan.track, 0), samples=plan.samples)
        for plan in plans
    ]
    return Timeline(
        session=session,
        layout="recording",
        samples=max((track.offset + track.samples for track in tracks), default=SAMPLE_RATE),
        tracks=tracks,
        gaps=[],
    )
