"""Results back: what goes where, once; listening copies; nothing deleted that is not ours."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import av
import numpy as np
import pytest

import media
from sessionscribe.artifacts.plan import Timeline, TimelineTrack
from sessionscribe.audio.playback import write_m4a
from sessionscribe.core import files
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.sharing.upload import Sent, _delete, stale_entries


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


def sent(place: str, session: str = "talk", content: bytes = b"ours") -> Sent:
    return Sent(session, "talk.wav", "0" * 64, "1", place, len(content), sha256(content).hexdigest())


def test_only_what_this_session_sent_to_these_very_folders_is_stale() -> None:
    places = {"far:out/talk/talk.srt", "/srv/talk/talk.srt"}
    known = {
        "far:out/talk/talk.srt": False,  # made still
        "far:out/talk/talk.vtt": True,
        "/srv/talk/talk.vtt": True,
        "far:out/talk.vtt": False,
        "far:out/talk/more/talk.vtt": False,
        "far:out/talk2/talk.vtt": False,
        "near:out/talk/talk.vtt": False,
        "/srv/other/talk.vtt": False,
        "/srv/talk/../other/talk.vtt": False,
    }
    found = stale_entries([*map(sent, known), sent("/srv/talk/a.srt", "duo")], "talk", places)
    assert [entry.place for entry in found] == [place for place, stale in known.items() if stale]


@pytest.mark.parametrize("remote", [True, False])
def test_what_somebody_put_in_a_files_place_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], remote: bool
) -> None:
    monkeypatch.setenv("RCLONE_CONFIG_FAR_TYPE", "alias")
    monkeypatch.setenv("RCLONE_CONFIG_FAR_REMOTE", str(tmp_path))
    names = ("ours.srt", "theirs.srt", "gone.srt")
    places = [f"far:{name}" if remote else str(tmp_path / name) for name in names]
    (tmp_path / "ours.srt").write_bytes(b"ours")
    (tmp_path / "theirs.srt").write_bytes(b"their")
    assert [_delete(sent(place)) for place in places] == [True, False, True]
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.srt"]
    assert f"{places[1]}: was changed after it had been sent, so it stays" in capsys.readouterr().err
