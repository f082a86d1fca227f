"""Headers that promise too little, too much or nothing: all that is in a file is read, and counted."""

import os
import re
import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media import Sound, cut_short, tone, write_media
from sessionscribe.audio import containers, stream_parts
from sessionscribe.audio.reader import Limits, Reader
from sessionscribe.audio.samples import W64_DATA
from sessionscribe.audio.source import Source
from sessionscribe.audio.stream_parts import CLUSTER
from sessionscribe.core.errors import UserError
from sessionscribe.stages.ingest.ingest import probe

SECONDS = 4.0


def heard(source: Source) -> float:
    """Return how many seconds of a source are decoded."""
    return sum(block.shape[1] / rate for rate, block in Reader(source, 0).blocks())


def written(folder: Path, name: str, seconds: float = SECONDS, **settings: Any) -> bytes:
    """Return a recording of a tone, as FFmpeg writes it."""
    sound = Sound(tone(seconds, rate=settings.get("rate", 16_000)), **{"codec": None, **settings})
    path = folder / f"made{Path(name).suffix}"
    options = {"fflags": "+bitexact"} if path.suffix == ".wav" else {}
    return write_media(path, [sound], options=options).read_bytes()


def patched(data: bytes, *changes: tuple[int, bytes]) -> bytes:
    """Return a file with bytes of it overwritten."""
    made = bytearray(data)
    for at, new in changes:
        made[at : at + len(new)] = new
    return bytes(made)


def wav(folder: Path, *, size: int | None = None, rate: int | None = None) -> bytes:
    data = written(folder, "a.wav")
    changes = (
        []
        if size is None
        else [(4, struct.pack("<I", min(size + 36, 2**32 - 1))), (40, struct.pack("<I", size))]
    )
    return patched(data, *changes, *([] if rate is None else [(28, struct.pack("<I", rate))]))


def rf64(folder: Path, size: int, form: bytes = b"RF64") -> bytes:
    data = written(folder, "a.wav")
    wide = b"ds64" + struct.pack("<IQQQI", 28, min(size + 72, 2**64 - 1), size, size // 2, 0)
    return form + b"\xff" * 4 + b"WAVE" + wide + data[12:40] + b"\xff" * 4 + data[44:]


def w64(folder: Path, size: int) -> bytes:
    data = written(folder, "a.w64", codec="pcm_s16le")
    return patched(data, (data.index(W64_DATA) + 16, struct.pack("<Q", size)))


def aiff(folder: Path, frames: int, size: int) -> bytes:
    data = written(folder, "a.aif", codec="pcm_s16be")
    at = data.index(b"SSND")
    return patched(
        data,
        (4, struct.pack(">I", size)),
        (data.index(b"COMM") + 10, struct.pack(">I", frames)),
        (at + 4, struct.pack(">I", size)),
    )


def caf(folder: Path, size: int, codec: str = "pcm_s16le") -> bytes:
    data = written(folder, "a.caf", codec=codec)
    return patched(data, (data.index(b"data") + 4, struct.pack(">Q", size)))


def eight_bits(folder: Path) -> bytes:
    """Return a WAV whose header stops where samples look like a chunk's name."""
    data = written(folder, "a.wav", codec="pcm_u8")
    name = next(match.start() for match in re.finditer(rb"[ -~]{9}", data) if match.start() > 400)
    return patched(data, (40, struct.pack("<I", name - 44)))


def tag_with_picture() -> bytes:
    """Return an APE tag that is larger than the sound before it."""
    picture = np.random.default_rng(1).bytes(30_000)
    item = struct.pack("<II", len(picture), 2) + b"Cover Art (Front)\0" + picture
    return item + b"APETAGEX" + struct.pack("<IIII", 2000, len(item) + 32, 1, 0) + bytes(8)


def au(folder: Path, size: int) -> bytes:
    return patched(written(folder, "a.au", codec="pcm_s16be"), (8, struct.pack(">I", size)))


def mp3(folder: Path, *, frames: int | None = None) -> bytes:
    data = written(folder, "a.mp3")
    at = data.index(b"Info") if b"Info" in data else data.index(b"Xing")
    return data if frames is None else patched(data, (at + 8, struct.pack(">I", frames)))


def flac(folder: Path, samples: int) -> bytes:
    data = written(folder, "a.flac")
    return patched(data, (18, (int.from_bytes(data[18:26]) >> 36 << 36 | samples).to_bytes(8)))


def adpcm(folder: Path, *, rate: int | None = None, fact: int | None = None) -> bytes:
    data = written(folder, "a.wav", codec="adpcm_ima_wav")
    changes = [] if rate is None else [(28, struct.pack("<I", rate))]
    return patched(
        data, *changes, *([] if fact is None else [(data.index(b"fact") + 8, struct.pack("<I", fact))])
    )


def matroska(folder: Path, milliseconds: float, tag: bytes) -> bytes:
    data = written(folder, "a.mka", codec="libopus")
    return patched(
        data,
        (data.index(b"\x44\x89\x88") + 3, struct.pack(">d", milliseconds)),
        (data.index(b"00:00:04."), tag),
    )


def flv(folder: Path, seconds: float) -> bytes:
    sound = Sound(tone(SECONDS, rate=44_100), 44_100, "aac")
    data = write_media(folder / "made.flv", [sound], container="flv").read_bytes()
    return patched(data, (data.index(b"duration") + 9, struct.pack(">d", seconds)))


def m4a(folder: Path, box: bytes, length: int) -> bytes:
    data = written(folder, "a.m4a")
    return patched(data, (data.index(box) + 20, struct.pack(">I", length)))


def avi(folder: Path, frames: int) -> bytes:
    data = write_media(
        folder / "made.avi", [Sound(tone(SECONDS), codec="libmp3lame")], container="avi"
    ).read_bytes()
    return patched(data, (data.index(b"strh") + 40, struct.pack("<I", frames)))


def wave(form: bytes, samples: bytes, before: bytes = b"", order: str = "<") -> bytes:
    """Return a WAV with this format and these samples; `before` lies between them."""
    body = b"fmt " + struct.pack(f"{order}I", len(form)) + form + before
    body += b"data" + struct.pack(f"{order}I", len(samples)) + samples
    return (b"RIFF" if order == "<" else b"RIFX") + struct.pack(f"{order}I", 4 + len(body)) + b"WAVE" + body


def wide(order: str = "<") -> bytes:
    """Return the tone in 32 bits a sample."""
    return (tone(SECONDS)[0] * (2**31 - 1)).astype(f"{order}i4").tobytes()


def windows_24_in_32() -> bytes:
    valid = struct.pack("<HHI", 22, 24, 4) + bytes.fromhex("0100000000001000800000aa00389b71")
    return wave(struct.pack("<HHIIHH", 0xFFFE, 1, 16_000, 64_000, 4, 32) + valid, wide())


Make = Callable[[Path], bytes]
BYTES = round(2 * SECONDS * 16_000)
LIARS: dict[str, Make] = {
    # Placeholders, and headers that nobody finished.
    "zero.wav": lambda f: wav(f, size=0),
    "pipe.wav": lambda f: wav(f, size=0xFFFF_FFFF),
    "two-gigabytes.wav": lambda f: wav(f, size=0x7FFF_FFFF),
    "sox.wav": lambda f: wav(f, size=0x7FFF_F000),
    "begun.wav": lambda f: wav(f, size=3200),
    "eight-bits-begun.wav": eight_bits,
    "24-in-32.wav": lambda _: windows_24_in_32(),
    "no-bits.wav": lambda _: wave(struct.pack("<HHIIHH", 1, 1, 16_000, 64_000, 4, 0), wide()),
    "no-padding.wav": lambda f: wave(wav(f)[20:36], wav(f)[44:], before=b"LIST\5\0\0\0INFO?"),
    "rifx.wav": lambda _: wave(struct.pack(">HHIIHH", 1, 1, 16_000, 64_000, 4, 32), wide(">"), order=">"),
    "rf64-begun.wav": lambda f: rf64(f, 0),
    "rf64-small.wav": lambda f: rf64(f, 3200),
    "rf64-nobody-knows.wav": lambda f: rf64(f, 2**64 - 1),
    "bw64-begun.wav": lambda f: rf64(f, 0, b"BW64"),
    "junk-first.wav": lambda f: b"--part\r\n\r\n" + wav(f),
    "junk-first-pipe.wav": lambda f: bytes(700) + wav(f, size=0xFFFF_FFFF),
    "begun.w64": lambda f: w64(f, 24),
    "zero.w64": lambda f: w64(f, 0),
    "small.w64": lambda f: w64(f, 24 + 3200),
    "zero.aif": lambda f: aiff(f, 0, 0),
    "small.aif": lambda f: aiff(f, 1600, 3208),
    "pipe.aif": lambda f: aiff(f, 0xFFFF_FFFF, 0xFFFF_FFFF),
    "small.caf": lambda f: caf(f, 3204),
    "ima4.caf": lambda f: caf(f, 1028, "adpcm_ima_qt"),
    "pipe.caf": lambda f: caf(f, 2**64 - 1),
    "zero.au": lambda f: au(f, 0),
    "small.au": lambda f: au(f, 3200),
    # Wrong rates, counts and tags.
    "slow.wav": lambda f: wav(f, rate=16_000),
    "fast.wav": lambda f: wav(f, rate=64_000),
    "stopped.wav": lambda f: wav(f, rate=1),
    "adpcm-fast.wav": lambda f: adpcm(f, rate=32_000),
    "adpcm-slow.wav": lambda f: adpcm(f, rate=1000),
    "adpcm-fact.wav": lambda f: adpcm(f, fact=100),
    "few-frames.mp3": lambda f: mp3(f, frames=20),
    "many-frames.mp3": lambda f: mp3(f, frames=10**6),
    "few-samples.flac": lambda f: flac(f, 1600),
    "many-samples.flac": lambda f: flac(f, 10**8),
    "long.mka": lambda f: matroska(f, 1e6, b"01:00:04."),
    "short.mka": lambda f: matroska(f, 500.0, b"00:00:01."),
    "long.flv": lambda f: flv(f, 1000.0),
    "short.flv": lambda f: flv(f, 0.5),
    "long.m4a": lambda f: m4a(f, b"mdhd", 10**8),
    "short.m4a": lambda f: m4a(f, b"mdhd", 16_000),
    "short.avi": lambda f: avi(f, 10),
    "long.avi": lambda f: avi(f, 10**6),
    # What lies behind the sound and is none.
    "zeros.mp3": lambda f: mp3(f) + bytes(200_000),
    "zeros.wav": lambda f: wav(f) + bytes(200_000),
    "zeros.flac": lambda f: written(f, "a.flac") + bytes(200_000),
    "tag.wav": lambda f: wav(f) + b"id3 " + struct.pack("<I", 4) + b"ID3\x04",
    "tag-with-picture.mp3": lambda f: mp3(f) + tag_with_picture(),
    "tag.mp3": lambda f: mp3(f) + b"TAG" + bytes(125),
}


@pytest.mark.parametrize("name", LIARS)
def test_a_recording_is_as_long_as_what_is_in_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(LIARS[name](tmp_path))
    assert probe(path).duration_s == pytest.approx(SECONDS, abs=0.15)
    found = np.concatenate([block[0] for _, block in Reader(path, 0).blocks()])
    assert len(found) / 16_000 == pytest.approx(SECONDS, abs=0.15) or Path(name).suffix in (".mka", ".flv")
    crossings = np.count_nonzero(np.diff(np.signbit(found))) / 2
    assert crossings == pytest.approx(440 * SECONDS, rel=0.1), "another sound than the one that was written"


CONTAINERS: dict[str, dict[str, object]] = {
    ".wav": {},
    ".w64": {"codec": "pcm_s16le"},
    ".aif": {"codec": "pcm_s16be"},
    ".caf": {"codec": "pcm_s16le"},
    ".flac": {},
    ".m4a": {},
    ".mov": {},
    ".mp3": {},
    ".aac": {},
    ".ogg": {},
    ".webm": {},
    ".mkv": {},
    ".ts": {},
    ".amr": {"codec": "libopencore_amrnb", "rate": 8000},
    ".wma": {"codec": "wmav2", "options": {"b": "32000"}},
    ".tta": {"codec": "tta"},
    ".wv": {"codec": "wavpack"},
}


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_recordings_that_follow_one_another_in_a_file_are_all_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    parts = [written(tmp_path, path.name, seconds, **CONTAINERS[suffix]) for seconds in (2, 3)]
    path.write_bytes(b"".join(parts))
    assert probe(path).duration_s == pytest.approx(5, abs=0.3)
    assert heard(path) == pytest.approx(5, abs=0.3)


def test_adpcm_and_flac_in_ogg_follow_one_another_too(tmp_path: Path) -> None:
    for name, codec in (("a.wav", "adpcm_ima_wav"), ("a.oga", "flac")):
        part = write_media(
            tmp_path / name, [Sound(tone(2), codec=codec)], container=name[2:].replace("oga", "ogg")
        )
        part.write_bytes(part.read_bytes() * 3)
        assert probe(part).duration_s == pytest.approx(6, abs=0.2)


def test_another_codec_or_container_may_follow(tmp_path: Path) -> None:
    parts = {
        ".wav": written(tmp_path, "a.wav", 1),
        ".ogg": written(tmp_path, "a.ogg", 2),
        ".flac": written(tmp_path, "a.flac", 3),
        ".m4a": written(tmp_path, "a.m4a", 4),
        ".webm": written(tmp_path, "a.webm", 2),
    }
    flac_in_ogg = write_media(tmp_path / "b.ogg", [Sound(tone(2), codec="flac")]).read_bytes()
    for name, content, seconds in (
        ("a.wav", parts[".wav"] + parts[".ogg"] + parts[".flac"], 6),
        ("a.m4a", parts[".m4a"] + parts[".webm"] + parts[".wav"], 7),
        ("a.ogg", parts[".ogg"] + flac_in_ogg, 4),
    ):
        (tmp_path / name).write_bytes(content)
        assert probe(tmp_path / name).duration_s == pytest.approx(seconds, abs=0.2)


FRAGMENTED = {"movflags": "frag_keyframe+empty_moov", "frag_duration": "1000000"}


@pytest.mark.parametrize(
    ("suffix", "first", "second"),
    [
        (".mp4", {"options": FRAGMENTED}, {"options": FRAGMENTED}),
        (".ts", {}, {"options": {"mpegts_start_pid": "0x200"}}),
        (".ts", {}, {"options": {"mpegts_start_pid": "0x200", "mpegts_pmt_start_pid": "0x300"}}),
        (".ts", {}, {"codec": "libmp3lame"}),
    ],
)
def test_fragments_and_other_streams_may_follow(
    tmp_path: Path, suffix: str, first: dict[str, Any], second: dict[str, Any]
) -> None:
    parts = []
    for kind in (first, second, first):
        sound = Sound(tone(2), codec=kind.get("codec"))
        path = write_media(tmp_path / f"a{suffix}", [sound], options=kind.get("options"))
        parts.append(path.read_bytes())
    path.write_bytes(b"".join(parts))
    assert probe(path).duration_s == pytest.approx(6, abs=0.5)
    assert heard(path) == pytest.approx(6, abs=0.5)


def test_sound_between_silences_is_read(tmp_path: Path) -> None:
    path, data = tmp_path / "a.wav", wav(tmp_path, size=3200)
    path.write_bytes(data[:44] + bytes(100_000) + data[44:] + bytes(100_000))
    assert probe(path).duration_s == pytest.approx(SECONDS + 6.25, abs=0.1)


@pytest.mark.parametrize("suffix", [".aac", ".flac", ".mp3"])
def test_what_follows_may_have_another_rate_and_other_channels(tmp_path: Path, suffix: str) -> None:
    first = written(tmp_path, f"a{suffix}", 3)
    second = write_media(tmp_path / f"b{suffix}", [Sound(tone(3, rate=48_000, channels=2), 48_000)])
    path = tmp_path / f"c{suffix}"
    path.write_bytes(first + second.read_bytes())
    assert probe(path).duration_s == pytest.approx(6, abs=0.3)
    assert heard(path) == pytest.approx(6, abs=0.3)


def test_an_encrypted_recording_and_one_of_an_unknown_codec_are_refused(tmp_path: Path) -> None:
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "11" * 16, "encryption_kid": "22" * 16}
    with pytest.raises(UserError, match="is encrypted"):
        probe(write_media(tmp_path / "a.mp4", [Sound(tone(2))], options=key))
    (tmp_path / "b.wav").write_bytes(wave(struct.pack("<HHIIHH", 0x999, 1, 16_000, 1, 1, 0), bytes(9999)))
    with pytest.raises(UserError, match="codec that FFmpeg cannot decode"):
        probe(tmp_path / "b.wav")


def test_a_second_chunk_of_samples_is_read(tmp_path: Path) -> None:
    data = wav(tmp_path)
    (tmp_path / "b.wav").write_bytes(data + data[36:])
    assert probe(tmp_path / "b.wav").duration_s == pytest.approx(2 * SECONDS, abs=0.01)


@pytest.mark.parametrize(
    ("name", "whole"),
    [("a.wav", True), ("a.m4a", True), ("a.mkv", True), ("a.mp3", True), ("a.aif", True), ("a.caf", True)],
)
def test_a_file_says_itself_whether_its_end_is_missing(tmp_path: Path, name: str, whole: bool) -> None:
    codec = {"a.aif": "pcm_s16be", "a.caf": "pcm_s16le"}.get(name)
    data = written(tmp_path, name, codec=codec)
    path = tmp_path / name
    path.write_bytes(data)
    assert containers.is_cut_off(path) is not whole
    assert containers.is_cut_off(cut_short(path, 0.6)) is whole


def test_of_plain_samples_it_is_known_how_much_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(tmp_path, rate=1))
    assert probe(cut_short(path, 0.5)).duration_s == pytest.approx(SECONDS, abs=0.01)


# Slices of a recorder's stream.

STREAM_S = 9.0


def stream(folder: Path, suffix: str, **options: str) -> bytes:
    path = folder / f"stream{suffix}"
    return write_media(path, [Sound(tone(STREAM_S))], pipe=suffix == ".webm", options=options).read_bytes()


def edges_at(data: bytes, mark: bytes, before: int = 0, first: int = 1) -> list[int]:
    return [match.start() - before for match in re.finditer(re.escape(mark), data)][first:]


FRAGMENTS = {"frag_duration": "3000000"}
STREAMS: dict[str, tuple[str, Callable[[bytes], list[int]], dict[str, str]]] = {
    "webm": (".webm", lambda d: edges_at(d, CLUSTER), {"cluster_time_limit": "3000"}),
    "mp4": (".mp4", lambda d: edges_at(d, b"moof", 4), {"movflags": "frag_keyframe+empty_moov", **FRAGMENTS}),
    "cmaf": (
        ".mp4",
        lambda d: edges_at(d, b"moof", 4),
        {"movflags": "frag_keyframe+empty_moov+default_base_moof", **FRAGMENTS},
    ),
    "ogg": (".ogg", lambda d: edges_at(d, b"OggS", first=5)[::3], {}),
    "flac": (".flac", lambda d: edges_at(d, b"\xff\xf8", first=10)[::10], {}),
    "wav": (".wav", lambda d: [len(d) // 3 | 1, len(d) * 2 // 3 | 1], {}),
}


@pytest.mark.parametrize("name", STREAMS)
def test_slices_of_a_stream_are_read_with_its_header(tmp_path: Path, name: str) -> None:
    suffix, edges, options = STREAMS[name]
    data = stream(tmp_path, suffix, **options)
    cuts = [0, *edges(data), len(data)]
    assert len(cuts) > 3
    parts = []
    for number, (start, stop) in enumerate(pairwise(cuts)):
        parts.append(tmp_path / f"{number}{suffix}")
        parts[-1].write_bytes(data[start:stop])
    header = stream_parts.header_of(parts[0])
    assert header
    total, positions, crossings = heard(parts[0]), [0.0], 0
    for part in parts[1:]:
        source, own = stream_parts.with_header(part, header)
        reader, found = Reader(source, 0), 0.0
        for rate, block in reader.blocks():
            found += block.shape[1] / rate
            crossings += np.count_nonzero(np.diff(np.signbit(block[0])))
        if own and reader.start_s:  # of a last page alone nobody knows when it begins
            positions.append(reader.start_s)
            assert reader.start_s == pytest.approx(total, abs=0.1)
        total += found
        assert found > 0
    assert total == pytest.approx(STREAM_S, abs=0.15)
    assert crossings / 2 == pytest.approx(440 * (total - heard(parts[0])), rel=0.1)
    assert positions == sorted(positions)


def test_a_slice_may_begin_with_a_single_block_before_a_cluster(tmp_path: Path) -> None:
    """As Chrome writes them: the cluster begins with a block of the other track."""
    options = {"cluster_time_limit": "2000"}
    path = write_media(tmp_path / "a.webm", [Sound(tone(6))], picture_s=6, options=options)
    data, header = path.read_bytes(), stream_parts.header_of(path)
    fourth = edges_at(data, CLUSTER)[2]
    block = [match.start() for match in re.finditer(rb"(?s)\xa3.\x81", data[:fourth])][-1]
    time_s = int.from_bytes(data[fourth:].partition(b"\xe7\x82")[2][:2]) / 1000
    path.write_bytes(data[block:])
    source, has_times = stream_parts.with_header(path, header)
    reader = Reader(source, 0)
    list(reader.blocks())
    assert has_times
    assert reader.start_s == pytest.approx(time_s, abs=0.25)


@pytest.mark.parametrize("number", [3, 4, 8])
def test_a_slice_may_begin_anywhere_in_a_cluster(tmp_path: Path, number: int) -> None:
    """Browsers do so. Where another cluster follows in the slice, its times are the stream's."""
    data = stream(tmp_path, ".webm", cluster_time_limit="2000")
    path, header, total = tmp_path / "a.webm", b"", 0.0
    for start, stop in pairwise(len(data) * edge // number for edge in range(number + 1)):
        path.write_bytes(data[start:stop])
        source, has_times = (path, True) if not start else stream_parts.with_header(path, header)
        reader = Reader(source, 0)
        found = sum(block.shape[1] / rate for rate, block in reader.blocks())
        header = header or stream_parts.header_of(path)
        assert has_times is (CLUSTER in data[start:stop])
        if has_times:
            assert reader.start_s == pytest.approx(total, abs=0.04 * number)
        assert not reader.clock.gaps
        total += found
    assert total == pytest.approx(STREAM_S, abs=0.04 * number)


# Bombs.


def test_a_script_is_no_recording(tmp_path: Path) -> None:
    for name in ("a.sbg", "a.mp3"):
        (tmp_path / name).write_text("# SBaGen\nall: 200+10/50\noff: -\nNOW all\n+23:00:00 off\n" * 3)
        with pytest.raises(UserError, match="not an audio or video file"):
            probe(tmp_path / name)


@pytest.mark.parametrize("rate", [1, 2, 100, 999])
def test_a_rate_that_holds_no_speech_is_refused(tmp_path: Path, rate: int) -> None:
    data = patched(wav(tmp_path), (24, struct.pack("<II", rate, 2 * rate)))
    (tmp_path / "b.wav").write_bytes(data)
    with pytest.raises(UserError, match=f"has a sample rate of {rate} Hz"):
        probe(tmp_path / "b.wav")


def test_more_sound_than_a_file_can_hold_is_refused_until_it_is_allowed(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mkv", [Sound(tone(2), late_s=3 * 3600.0)], picture_s=1)
    with pytest.raises(
        UserError, match=r"claims to contain more than 3\.0 h of audio in 0\.0\d+ MB.*max_hours_per_mb"
    ):
        probe(path)
    with pytest.raises(UserError, match="claims to contain"):
        for _ in Reader(path, 0).blocks():
            pass
    assert probe(path, limits=Limits(max_hours_per_mb=10_000)).duration_s == pytest.approx(10_802, abs=1)


def test_a_hole_of_hours_is_a_broken_clock_unless_it_is_allowed(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mkv", [Sound(tone(2), late_s=3 * 3600.0)], picture_s=1)
    reader = Reader(path, 0, limits=Limits(10_000, max_gap_h=1))
    assert reader.count() == pytest.approx(2, abs=0.15)
    assert reader.clock.jumps == 1


def test_forty_minutes_of_silence_are_no_bomb(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.flac", [Sound(np.zeros((1, 40 * 60 * 16_000), np.float32))])
    assert os.path.getsize(path) < 500_000
    assert probe(path).duration_s == 2400
