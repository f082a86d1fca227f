"""Probing and checking recordings: what can be read, how long it is, and what is said of what cannot."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from media import CODECS, PICTURES, Sound, checksum, cut_short, damage, tone, write_media, write_tone
from sessionscribe.artifacts.recording import Ingest
from sessionscribe.core.errors import UserError
from sessionscribe.stages.ingest.ingest import fetch_recording, probe


@pytest.mark.parametrize("suffix", sorted(CODECS))
def test_every_container_is_read_and_measured(tmp_path: Path, suffix: str) -> None:
    path = write_tone(tmp_path / f"a{suffix}", 3, rate=44_100, channels=2, picture=suffix in PICTURES)
    found = probe(path)
    assert [stream.channels for stream in found.streams] == [2]
    assert found.streams[0].codec
    assert found.duration_s == pytest.approx(3, abs=0.1)
    assert probe(path, exact=True).duration_s == pytest.approx(3, abs=0.1)


def test_importing_is_cheap() -> None:
    modules = ("audio.flac", "stages.chunk.chunk", "stages.convert.convert", "stages.ingest.ingest")
    code = f"import sys, {', '.join(f'sessionscribe.{module}' for module in modules)}\n"
    code += "sys.exit(bool({'av', 'numpy', 'soundfile', 'faster_whisper', 'torch'} & set(sys.modules)))"
    scripts = Path(__file__).resolve().parents[2] / "scripts"
    assert (
        subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(scripts)}, check=False).returncode
        == 0
    )


def test_a_browsers_recording_without_duration_is_counted(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.webm", [Sound(tone(5))], pipe=True)
    assert probe(path).duration_s == pytest.approx(5, abs=0.05)
    assert probe(path, exact=True).duration_s == pytest.approx(5, abs=0.05)


def test_a_hole_counts_as_time(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.webm", [Sound(tone(5), lost=[(2, 3)])], pipe=True)
    assert probe(path).duration_s == pytest.approx(5, abs=0.05)
    assert probe(path, exact=True).duration_s == pytest.approx(5, abs=0.05)


def test_a_fragmented_mp4_is_counted(tmp_path: Path) -> None:
    options = {"movflags": "frag_keyframe+empty_moov"}
    path = write_media(tmp_path / "a.mp4", [Sound(tone(10))], picture_s=10, options=options)
    assert probe(path).duration_s == pytest.approx(10, abs=0.1)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_late_sound_counts_from_the_start_of_the_picture(tmp_path: Path, suffix: str) -> None:
    path = write_media(tmp_path / f"a{suffix}", [Sound(tone(5), late_s=1.5)], picture_s=8)
    assert probe(path).duration_s == pytest.approx(6.5, abs=0.1)
    assert probe(path, exact=True).duration_s == pytest.approx(6.5, abs=0.1)


@pytest.mark.parametrize(
    "suffix", [".flac", ".wav", ".aiff", ".w64", ".caf", ".avi", ".mp3", ".mkv", ".webm"]
)
def test_a_truncated_file_still_says_how_long_it_was(tmp_path: Path, suffix: str) -> None:
    codec = "pcm_s16le" if suffix in (".w64", ".caf", ".avi") else None
    path = cut_short(write_tone(tmp_path / f"a{suffix}", 10, codec=codec), 0.5)
    assert probe(path).duration_s == pytest.approx(10, abs=0.1)
    assert probe(path, exact=True).duration_s == pytest.approx(5, abs=0.8)


def test_streams_say_their_language_and_number(tmp_path: Path) -> None:
    sounds = [Sound(tone(2), language="ger"), Sound(tone(2, channels=2))]
    found = probe(write_media(tmp_path / "a.mkv", sounds, picture_s=2))
    assert [(s.index, s.channels, s.language) for s in found.streams] == [(0, 1, "ger"), (1, 2, None)]


def test_a_third_of_a_second_is_enough(tmp_path: Path) -> None:
    assert probe(write_tone(tmp_path / "a.wav", 0.3)).duration_s == pytest.approx(0.3)


def _text(folder: Path) -> Path:
    (folder / "notes.mp3").write_text("Not a song, just words.\n" * 40)
    return folder / "notes.mp3"


def _empty(folder: Path) -> Path:
    (folder / "a.wav").touch()
    return folder / "a.wav"


def _playlist(folder: Path) -> Path:
    write_tone(folder / "a.ts", 2)
    (folder / "a.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\na.ts\n#EXT-X-ENDLIST\n")
    return folder / "a.m3u8"


def _zeros(folder: Path) -> Path:
    (folder / "a.wav").write_bytes(bytes(50_000))
    return folder / "a.wav"


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda folder: folder / "none.wav", "does not exist"),
        (lambda folder: folder, "is a folder"),
        (_empty, "is empty"),
        (_text, "is not an audio or video file"),
        (_zeros, "contains zeros instead of a recording"),
        (_playlist, "is not an audio or video file"),
        (
            lambda folder: cut_short(write_tone(folder / "a.mp4", 9, picture=True), 0.5),
            "index (moov) is missing",
        ),
        (lambda folder: write_media(folder / "a.mp4", [], picture_s=2), "has no audio stream (only video)"),
        (lambda _: Path("/dev/zero"), "is not a regular file"),
        (lambda folder: folder / os.fsdecode(b"\xff.wav"), "not valid UTF-8"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(tmp_path: Path, make, what: str) -> None:
    path = make(tmp_path)
    with pytest.raises(UserError) as caught:
        probe(path)
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "a.wav", 1)
    path.chmod(0)
    if root := os.geteuid() == 0:  # permissions do not bind root: be nobody for a moment
        os.seteuid(65_534)
    try:
        with pytest.raises(UserError, match="permission denied"):
            probe(path)
    finally:
        if root:
            os.seteuid(0)


HOSTILE = [
    "two words.wav",
    'it\'s "quoted".wav',
    "$(touch gone).wav",
    "`touch gone`.wav",
    "line\nbreak.wav",
    "-rf.wav",
    "trñ00 – 日本.wav",
    "concat:a|b.wav",
    "http:%2F%2Fexample.wav",
    "%03d.wav",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_only_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    plain = write_tone(tmp_path / "plain.wav", 1)
    plain.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert probe(Path(name)).duration_s == 1
    assert sorted(os.listdir(tmp_path)) == [name]


def test_a_hostile_name_is_shown_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        probe(tmp_path / "line\nbreak\x1b[31m.wav")
    assert str(caught.value).isprintable()


def _fetch(path: Path, output: Path, **changes: object) -> Ingest:
    settings = {"session": "s", "track": "main", "source": str(path), "checksum": checksum(path)}
    return fetch_recording(**{**settings, "duration_s": 2.5, "output": output, **changes})


def test_fetching_writes_the_record_and_keeps_the_manifests_duration(tmp_path: Path) -> None:
    path, output = write_tone(tmp_path / "a.flac", 2), tmp_path / "results" / "a.json"
    ingest = _fetch(path, output)
    assert ingest == Ingest.read(output)
    assert (ingest.duration_s, ingest.size, ingest.container) == (2.5, path.stat().st_size, "flac")


def test_fetching_refuses_a_changed_file_and_leaves_the_record(tmp_path: Path) -> None:
    path, output = write_tone(tmp_path / "a.flac", 2), tmp_path / "a.json"
    before = checksum(path)
    output.write_text("old")
    damage(path, start=0.9, stop=1)
    with pytest.raises(UserError, match=r"has changed since it was added.*sessionscribe add"):
        _fetch(path, output, checksum=before)
    assert output.read_text() == "old"


def test_real_recordings_are_read(shared: Path) -> None:
    for path in [*(shared / "data").rglob("*.wav"), *(shared / "data").rglob("*.m*")]:
        if path.suffix in (".wav", ".mp3", ".m4a"):
            assert probe(path).duration_s == pytest.approx(probe(path, exact=True).duration_s, abs=0.05)
