"""Slices of a converted track, so that only the part of a long recording that a job reads is sent.

On another machine, a track may be a folder with some of its slices: FLAC files of 10 s, named by their range
of samples and the length of the track. A slice that two jobs read is sent once.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sessionscribe.core.errors import UserError
from sessionscribe.core.units import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SLICE = 10 * SAMPLE_RATE
NAME = re.compile(r"(\d{11})-(\d{11})-of-(\d{11})\.flac")
HINT = "Delete the file and run again: it is made again from the recording"


def slice_names(windows: Iterable[tuple[int, int]], total: int) -> list[str]:
    """Return the names of the slices of a track (``total`` samples) that cover windows ``[start, stop)``."""
    wanted = {
        first
        for start, stop in windows
        for first in range(start - start % SLICE, min(stop, total), SLICE)
        if start < stop
    }
    return [f"{first:011d}-{min(first + SLICE, total):011d}-of-{total:011d}.flac" for first in sorted(wanted)]


def cut_slices(track: Path, names: Iterable[str], folder: Path) -> None:
    """Write slices of a track into a folder, with the track's modification time: rsync compares it."""
    import soundfile  # noqa: PLC0415 -- heavy

    folder.mkdir(parents=True, exist_ok=True)
    when = track.stat().st_mtime_ns
    with soundfile.SoundFile(track) as file:
        for name in names:
            first, last, _ = _numbers(name)
            file.seek(first)
            samples = read_exactly(file, last - first, track, dtype="int16")
            (folder / name).write_bytes(encoded(samples))
            os.utime(folder / name, ns=(when, when))


def encoded(samples: NDArray[Any]) -> bytes:
    """Return samples as 16 kHz FLAC; on a full disk, soundfile itself may write a part without an error."""
    import soundfile  # noqa: PLC0415 -- heavy

    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE, subtype="PCM_16", format="FLAC")
    return file.getvalue()


def read_exactly(file: Any, count: int, path: Path, dtype: str = "float32") -> NDArray[Any]:
    """Return the next ``count`` samples ``[n]`` of an open track or slice.

    Raises:
        UserError: it has fewer.
    """
    samples: NDArray[Any] = file.read(count, dtype=dtype)
    if len(samples) != count:
        raise UserError("is truncated", where=path, hint=HINT)
    return samples


def _numbers(name: str) -> tuple[int, int, int]:
    match = NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{name} is not a slice")
    first, last, total = map(int, match.groups())
    return first, last, total


class SlicedTrack:
    """A folder of slices with the interface of ``soundfile.SoundFile``.

    Raises:
        UserError: the folder has no slices or, while reading, a slice is missing.
    """

    samplerate, channels = SAMPLE_RATE, 1

    def __init__(self, folder: Path) -> None:
        self._folder, self._at = folder, 0
        self._names = {
            _numbers(path.name)[0]: path.name for path in folder.iterdir() if NAME.fullmatch(path.name)
        }
        if not self._names:
            raise UserError("has no slices of the track", where=folder, hint="Run again: they are sent again")
        self.frames = max(_numbers(name)[2] for name in self._names.values())

    def __enter__(self) -> SlicedTrack:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Do nothing: no file stays open."""

    def seek(self, sample: int) -> int:
        """Set the position of the next read, in samples."""
        self._at = sample
        return sample

    def read(self, count: int, dtype: str = "float32") -> NDArray[Any]:
        """Return the next ``count`` samples ``[n]``, fewer at the end of the track."""
        import numpy as np  # noqa: PLC0415 -- heavy
        import soundfile  # noqa: PLC0415 -- heavy

        parts: list[NDArray[np.float32]] = []
        stop = min(self._at + count, self.frames)
        while self._at < stop:
            first = self._at - self._at % SLICE
            if first not in self._names:
                what = f"has no slice at {first / SAMPLE_RATE:g} s: it was not sent"
                raise UserError(what, where=self._folder, hint="Please report this")
            last, path = min(stop, first + SLICE), self._folder / self._names[first]
            with soundfile.SoundFile(path) as file:
                file.seek(self._at - first)
                parts.append(read_exactly(file, last - self._at, path, dtype))
            self._at = last
        return np.concatenate(parts) if parts else np.zeros(0, dtype)
