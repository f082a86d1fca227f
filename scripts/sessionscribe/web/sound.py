"""The audio of a session: a listening copy and the peaks of its waveform, both cached."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from starlette.exceptions import HTTPException

from sessionscribe.artifacts.plan import Timeline
from sessionscribe.audio import playback
from sessionscribe.core.files import atomic_path

CACHE = Path(".sessionscribe/listen")
_making = threading.Lock()


def audio(session: str, root: Path) -> Path:
    """Return the file to play: the converted track, or a mix of all tracks."""
    timeline, tracks = _sources(session, root)
    if len(tracks) == 1 and timeline.tracks[0].offset == 0:
        return tracks[0]
    return _cached(session, root, tracks, ".m4a", partial(playback.write_m4a, timeline, tracks[0].parent))


def peaks(session: str, root: Path) -> bytes:
    """Return the peaks of the waveform, one byte each."""
    timeline, tracks = _sources(session, root)

    def write(file: Path) -> None:
        with atomic_path(file) as temporary:
            temporary.write_bytes(bytes(playback.peaks(timeline, tracks[0].parent)))

    return _cached(session, root, tracks, ".peaks", write).read_bytes()


def _sources(session: str, root: Path) -> tuple[Timeline, list[Path]]:
    """Return the timeline of a session and its tracks' files; code 404 if one is missing."""
    path = root / f"results/chunk/{session}.timeline.json"
    if path.is_file():
        timeline = Timeline.read(path)
        tracks = [root / f"results/convert/{session}/{track.track}.flac" for track in timeline.tracks]
        if tracks and all(track.is_file() for track in tracks):
            return timeline, tracks
    raise HTTPException(404, "The converted audio is not here.")


def _cached(session: str, root: Path, tracks: list[Path], ending: str, write: Callable[[Path], None]) -> Path:
    """Return a cached file, which is written first if the audio is new; delete files of earlier audio."""
    stats = [(track.name, track.stat().st_size, track.stat().st_mtime_ns) for track in tracks]
    key = hashlib.sha256(repr(stats).encode()).hexdigest()[:12]
    folder = root / CACHE / session
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"*{ending}"):
        if not old.name.startswith(key):
            old.unlink(missing_ok=True)
    file = folder / f"{key}{ending}"
    with _making:
        if not file.is_file():
            write(file)
    return file
