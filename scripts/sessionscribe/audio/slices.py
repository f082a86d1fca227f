"""A converted track in slices: of a long recording only what a job hears has to travel.

On another machine a track may be a folder of the track's name with some of its slices, short FLAC files on a
fixed grid, each named by the samples it holds and by the length of the track. What is heard by two jobs
travels once, and the samples are those of the whole file.
"""

from __future__ import annotations

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


def slice_names(windows: Iterable[tuple[int, int]], total: int) -> list[str]:
    """Return the names of the slices of a track of ``total`` samples that cover windows ``[start, stop)``."""
    wanted = {
        first
        for start, stop in windows
        for first in range(start - start % SLICE, min(stop, total), SLICE)
        if start < stop
    }
    return [f"{first:011d}-{min(first + SLICE, total):011d}-of-{total:011d}.flac" for first in sorted(wanted)]


def cut_slices(track: Path, names: Iterable[str], folder: Path) -> None:
    """Write slices of a track into a folder; their times are the track's, so that equal ones look equal."""
    import soundfile  # noqa: PLC0415 -- heavy

    folder.mkdir(parents=True, exist_ok=True)
    when = track.stat().st_mtime_ns
    with soundfile.SoundFile(track) as file:
        for name in names:
            first, last, _ = _numbers(name)
            file.seek(first)
            samples = file.read(last - first, dtype="int16")
            if len(samples) != last - first:
                hint = "Delete the file and run again: it is made again from the recording"
                raise UserError(f"is cut short after {first + len(samples)} samples", where=track, hint=hint)
            soundfile.write(folder / name, samples, SAMPLE_RATE, subtype="PCM_16")
            os.utime(folder / name, ns=(when, when))


def _numbers(name: str) -> tuple[int, int, int]:
    match = NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{name} is no slice")
    first, last, total = map(int, match.groups())
    return first, last, total


class SlicedTrack:
    """A folder of slices, read as ``soundfile.SoundFile`` reads the whole file.

    Raises:
        UserError: the folder has no slices, or (when read) not the ones that are wanted.
    """

    samplerate, channels = SAMPLE_RATE, 1

    def __init__(self, folder: Path) -> None:
        self._folder, self._at = folder, 0
        self._names = {
            _numbers(path.name)[0]: path.name for path in folder.iterdir() if NAME.fullmatch(path.name)
        }
        if not self._names:
            raise UserError("has no slices of the track", where=folder, hint="Run again: they are sent anew")
        self.frames = max(_numbers(name)[2] for name in self._names.values())

    def __enter__(self) -> SlicedTrack:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Nothing stays open."""

    def seek(self, sample: int) -> int:
        """Go to a sample."""
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
                what = f"lacks the slice at {first / SAMPLE_RATE:g} s, which nobody had asked for"
                raise UserError(what, where=self._folder, hint="Please report it")
            last = min(stop, first + SLICE)
            with soundfile.SoundFile(self._folder / self._names[first]) as file:
                file.seek(self._at - first)
                part = file.read(last - self._at, dtype=dtype)
            if len(part) != last - self._at:
                raise UserError("is cut short", where=self._folder / self._names[first], hint="Run again")
            parts.append(part)
            self._at = last
        return np.concatenate(parts) if parts else np.zeros(0, dtype)
