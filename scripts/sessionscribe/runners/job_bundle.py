"""The files that a job reads on another machine: inputs, folders of models, slices of tracks.

A job is a request to a worker (docs/warm.md). It reads its inputs and the models that its params name; of
converted tracks, it reads what ``audio_read`` returns, or all. Files keep their paths relative to the
project, so the job runs unchanged; those outside the project get another path, also in the request.
"""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from sessionscribe.artifacts.plan import ChunkPlan, Timeline
from sessionscribe.audio.flac import open_audio
from sessionscribe.audio.slices import cut_slices, slice_names
from sessionscribe.audio.sliding_window import REACH_S, EmbeddingChunk
from sessionscribe.config.settings import Transcribe
from sessionscribe.core.files import sha256, write_many
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.planning.steps import STAGE_OF
from sessionscribe.runners.request import notes_for, paths_of
from sessionscribe.stages.transcribe.transcribe import voting_windows
from sessionscribe.stages.transcribe.windows import chunk_windows, span_of

TRACK = re.compile(r"results/convert/[^/]+/[^/]+\.flac")
DIARIZATION_STAGES = frozenset({"diarize", "name"})
"""Stages whose models are diarization pipelines."""
MODEL_SETTINGS = frozenset({"model", "speech", "diarization"})
OVERHEAD_S = 900.0
"""Time that a job may take in addition, to load its models or wait for a GPU."""
LARGEST = 64 << 20
"""Maximum size of a file in a reply, in bytes."""
Request = dict[str, Any]
Windows = list[tuple[int, int]]


@dataclass(frozen=True)
class InputFile:
    """A file that a job needs: ``root/name`` on this machine, ``name`` (relative) on the other one."""

    root: Path
    name: str
    sha256: str
    size: int

    @property
    def path(self) -> Path:
        """Its path on this machine."""
        return self.root / self.name


@dataclass
class JobBundle:
    """A job's request for another machine, and the files that it reads.

    ``audio_s`` is the length of the audio that the job processes, in seconds.
    """

    request: Request
    pieces: list[InputFile] = field(default_factory=list)
    audio_s: float = 0.0

    def limit_s(self, per_audio_second: float) -> float:
        """Return the time limit of the job in seconds, from its audio or else from its rule's ``runtime``."""
        if self.audio_s:
            return OVERHEAD_S + per_audio_second * self.audio_s
        # It fetches models, or clusters the voices of a long session.
        minutes = next((value for name, value in self.request["resources"] if name == "runtime"), 0)
        return max(OVERHEAD_S, 60.0 * minutes)


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, which is read again only if its size or time changes."""
    about = path.stat()
    return _checksum(path, about.st_size, about.st_mtime_ns)


@cache
def _checksum(path: Path, *_about: int) -> str:
    return sha256(path)


class InputResolver:
    """Finds the files that jobs read. Not thread-safe.

    Args:
        project: the folder that paths in requests are relative to.
        staging: a folder for slices until they are sent, and for links to files outside the project.
    """

    def __init__(self, project: Path, staging: Path) -> None:
        self.project, self.staging = project, staging
        self._slices: dict[tuple[str, int], dict[str, InputFile]] = {}

    def pack(self, request: Request) -> JobBundle:
        """Return the files that a job reads, and its request for the other machine with `files` and
        `returns`.

        Raises:
            UserError: a file is damaged.
            OSError: a file cannot be read.
        """
        bundle = JobBundle(request)
        windows = audio_read(request, self.project)
        renamed: dict[str, str] = {}
        for path in files_read(request, self.project):
            if TRACK.fullmatch(path):
                parts = windows[path] if path in windows else [(0, self._length(path))]
                bundle.pieces += self._sliced(path, parts)
                bundle.audio_s += sum(stop - start for start, stop in parts) / SAMPLE_RATE
            else:
                bundle.pieces += self._whole(path, renamed)
        bundle.request = {
            **_replaced(request, renamed),
            "files": {piece.name: piece.sha256 for piece in bundle.pieces},
            # They are put in place in this order: the record, by which a job counts as done, comes last.
            "returns": [*paths_of(request["log"]), *notes_for(request), *paths_of(request["output"])],
        }
        return bundle

    def file(self, root: Path, name: str) -> InputFile:
        """Return the file ``root/name``."""
        return InputFile(root, name, checksum(root / name), (root / name).stat().st_size)

    def provide(self, pieces: Iterable[InputFile]) -> None:
        """Cut the slices among ``pieces`` that do not exist (any more)."""
        for piece in pieces:
            if piece.root == self.staging and not piece.path.exists():
                track, _, name = piece.name.rpartition("/")
                cut_slices(self.project / track, [name], self.staging / track)

    def discard(self, pieces: Iterable[InputFile]) -> None:
        """Remove the slices among ``pieces`` after they are sent."""
        for piece in pieces:
            if piece.root == self.staging:
                piece.path.unlink(missing_ok=True)

    def _whole(self, path: str, renamed: dict[str, str]) -> Iterator[InputFile]:
        root, name, here = self.project, path, self.project / path
        if Path(path).is_absolute() or ".." in Path(path).parts:
            here = Path(os.path.normpath(here))
            place = hashlib.sha256(str(here.parent).encode()).hexdigest()[:12]
            # It keeps its own name, since transcripts contain the name of the model's folder.
            root, name = self.staging / "links", f"outside/{place}/{here.name}"
            renamed[path] = name
            link = root / name
            link.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                link.symlink_to(here)
        files = sorted(file for file in here.rglob("*") if file.is_file()) if here.is_dir() else [here]
        for file in files:
            inside = Path(name, file.relative_to(here)).as_posix()
            yield InputFile(root, inside, checksum(file), file.stat().st_size)

    def _length(self, path: str) -> int:
        with open_audio(self.project / path) as file:
            return file.frames

    def _sliced(self, path: str, windows: Windows) -> Iterator[InputFile]:
        track = self.project / path
        known = self._slices.setdefault((path, track.stat().st_mtime_ns), {})
        names = slice_names(windows, self._length(path))
        missing = [name for name in names if name not in known]
        cut_slices(track, missing, self.staging / path)
        for name in missing:
            file = self.staging / path / name
            known[name] = InputFile(self.staging, f"{path}/{name}", sha256(file), file.stat().st_size)
        return (known[name] for name in names)


def contents_of(reply: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the intact files in an untrusted reply."""
    found = {}
    for name, text in reply["contents"].items():
        with suppress(TypeError, ValueError, zlib.error):
            packed = zlib.decompressobj()
            data = packed.decompress(b64decode(text), LARGEST)
            if packed.eof:
                found[name] = data
    return intact(found, reply["made"])


def intact(contents: Mapping[str, bytes], made: Mapping[str, str]) -> dict[str, bytes]:
    """Return those files whose content has the SHA-256 in ``made``."""
    return {
        name: data for name, data in contents.items() if hashlib.sha256(data).hexdigest() == made.get(name)
    }


def put_in_place(project: Path, request: Request, contents: Mapping[str, bytes]) -> None:
    """Put the files that a job made in place, and remove notes of an earlier attempt."""
    write_many(project, {name: contents[name] for name in request["returns"] if name in contents})
    for note in notes_for(request):
        if note not in contents:
            (project / note).unlink(missing_ok=True)


def files_read(request: Request, project: Path) -> list[str]:
    """Return the paths that a job reads: its inputs, and the folders of models in its params."""
    inputs = (path for _, value in request["input"] for path in _list(value))
    models = (text for text in _models(request, MODEL_SETTINGS) if (project / text).is_dir())
    return list(dict.fromkeys([*inputs, *models]))


def hub_models(request: Request, project: Path) -> list[tuple[str, str]]:
    """Return kind (a parameter of ``check_models``) and id of a job's models that are not folders here."""
    kind = "diarization" if STAGE_OF.get(request["rule"]) in DIARIZATION_STAGES else "speech"
    found = _models(request, {"model"})
    return [(kind, name) for name in found if name.count("/") == 1 and not (project / name).is_dir()]


def audio_read(request: Request, project: Path) -> dict[str, Windows]:
    """Return the samples ``[start, stop)`` that a job reads of converted tracks, for rules in ``AUDIO_READ``.

    Raises:
        UserError: the plan or timeline is damaged.
    """
    settings = next((value for name, value in request["params"] if name == "settings"), None)
    inputs = {name: value for name, value in request["input"] if name}
    find = AUDIO_READ.get(request["rule"])
    found = find(inputs, settings, project) if find and isinstance(settings, dict) else {}
    return {path: windows for path, windows in found.items() if TRACK.fullmatch(path)}


def _audio_of_chunk(inputs: dict[str, Any], settings: dict[str, Any], project: Path) -> dict[str, Windows]:
    plan, index = ChunkPlan.read(project / inputs["plan"]), settings["index"]
    found = span_of(chunk_windows(plan, index, Transcribe(**settings["options"])), plan.cores[index])
    return {inputs["audio"]: [(found.start, found.stop)]}


def _audio_of_language(inputs: dict[str, Any], settings: dict[str, Any], project: Path) -> dict[str, Windows]:
    plans, tracks = _list(inputs["plans"]), _list(inputs["audio"])
    found: dict[str, Windows] = {track: [] for track in tracks}
    if settings["options"]["language"] == "auto":
        read = [ChunkPlan.read(project / plan) for plan in plans]
        for _, track, start, stop in voting_windows(read, [Path(track) for track in tracks]):
            found[track.as_posix()].append((start, stop))
    return found


def _audio_of_embeddings(
    inputs: dict[str, Any], settings: dict[str, Any], project: Path
) -> dict[str, Windows]:
    timeline = Timeline.read(project / inputs["timeline"])
    stretch = EmbeddingChunk(**settings["stretch"] | {"tracks": tuple(settings["stretch"]["tracks"])})
    start, stop = stretch.within(timeline)
    end = timeline.samples if stop is None else stop + round(REACH_S * SAMPLE_RATE)
    files = dict(zip(stretch.tracks, _list(inputs["audio"]), strict=True))
    found: dict[str, Windows] = {path: [] for path in files.values()}
    for track in timeline.tracks:
        first, last = max(start, track.offset), min(end, track.offset + track.samples)
        if track.track in files and first < last:
            found[files[track.track]].append((first - track.offset, last - track.offset))
    return found


AUDIO_READ: Mapping[str, Callable[[dict[str, Any], dict[str, Any], Path], dict[str, Windows]]] = {
    "transcribe_chunk": _audio_of_chunk,
    "detect_language": _audio_of_language,
    "embed_chunk": _audio_of_embeddings,
}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _models(request: Request, keys: Set[str]) -> Iterator[str]:
    """Yield the values (folders or hub ids) of these keys, at any depth of a job's params."""
    ahead = [value for _, value in request["params"]]
    for value in ahead:  # which grows meanwhile
        if isinstance(value, dict):
            found = (inner for key, inner in value.items() if key in keys)
            yield from (name for inner in found for name in _list(inner) if isinstance(name, str))
            ahead += value.values()


def _replaced(value: Any, renamed: Mapping[str, str]) -> Any:
    """Return a plain value in which all strings in ``renamed`` are replaced."""
    if isinstance(value, str):
        return renamed.get(value, value)
    if isinstance(value, list):
        return [_replaced(part, renamed) for part in value]
    if isinstance(value, dict):
        return {name: _replaced(part, renamed) for name, part in value.items()}
    return value
