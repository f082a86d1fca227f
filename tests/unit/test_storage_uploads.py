"""Results back: what goes where, once; listening copies; nothing deleted that is not ours."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

import media
from sessionscribe.artifacts.plan import Timeline, TimelineTrack
from sessionscribe.audio.playback import write_m4a
from sessionscribe.core import files
from sessionscribe.core.units import SAMPLE_RATE


def timeline(*tracks: tuple[str, int, int], samples: int) -> Timeline:
    placed = [TimelineTrack(track=name, offset=offset, samples=length) for name, offset, length in tracks]
    return Timeline(session="s", layout="multitrack", samples=samples, tracks=placed, gaps=[])


def decode(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        parts = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    return np.concatenate(parts)


def test_a_listening_copy_has_every_track_at_its_time(tmp_path: Path) -> None:
    rate = SAMPLE_RATE
    media.write_tone(tmp_path / "a.flac", 3.0)
    media.write_tone(tmp_path / "b.flac", 2.0)
    plan = timeline(("a", 0, 3 * rate), ("b", 70 * rate, 2 * rate), samples=72 * rate)
    write_m4a(plan, tmp_path, tmp_path / "s.m4a")
    heard = decode(tmp_path / "s.m4a")
    assert abs(len(heard) - 72 * rate) <= 4096
    loud = [float(np.abs(heard[second * rate : (second + 1) * rate]).mean()) > 0.01 for second in range(71)]
    assert [second for second, is_loud in enumerate(loud) if is_loud] == [0, 1, 2, 70]
    first = files.sha256(tmp_path / "s.m4a")
    write_m4a(plan, tmp_path, tmp_path / "s.m4a")
    assert files.sha256(tmp_path / "s.m4a") == first  # sent once
