"""Conversion: any recording to 16 kHz mono FLAC with true times, and honest words about what is wrong."""

import contextlib
import os
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

import small_disks
from media import CODECS, PICTURES, Audio, Sound, checksum, cut_short, damage, tone, write_media, write_tone
from sessionscribe.artifacts.recording import Conversion
from sessionscribe.audio import flac
from sessionscribe.config.settings import Convert
from sessionscribe.core.errors import UserError
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.stages.convert.convert import convert_audio
from sessionscribe.stages.ingest import ingest


class Converted:
    """A conversion, its audio and what the log said."""

    def __init__(
        self, source: Path, folder: Path, *, duration_s: float | None = None, **options: object
    ) -> None:
        self.log: list[str] = []
        self.path, record = folder / "out" / "a.flac", folder / "out" / "a.json"
        fetched = ingest.fetch_recording(
            session="s",
            track="main",
            source=str(source),
            checksum=checksum(source),
            duration_s=ingest.probe(source).duration_s if duration_s is None else duration_s,
            output=folder / "out" / "ingest.json",
        )
        self.record = convert_audio(
            ingest=fetched,
            options=Convert.model_validate(options),
            audio=self.path,
            record=record,
            log=self.log.append,
        )
        assert Conversion.read(record) == self.record
        self.samples: Audio = flac.read_samples(self.path, 0, self.record.samples)


def loudest_hz(samples: Audio) -> float:
    """Return the strongest frequency."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)[spectrum.argmax()])


@pytest.mark.parametrize("suffix", sorted(CODECS))
def test_every_container_becomes_the_same_sound(tmp_path: Path, suffix: str) -> None:
    source = write_tone(tmp_path / f"a{suffix}", 3, rate=44_100, picture=suffix in PICTURES)
    made = Converted(source, tmp_path)
    info = soundfile.info(made.path)
    assert (info.samplerate, info.channels, info.subtype, info.frames) == (
        16_000,
        1,
        "PCM_16",
        made.record.samples,
    )
    assert made.record.samples == pytest.approx(3 * SAMPLE_RATE, abs=0.1 * SAMPLE_RATE)
    assert loudest_hz(made.samples) == pytest.approx(440, abs=2)
    assert np.abs(made.samples[SAMPLE_RATE:-SAMPLE_RATE]).max() == pytest.approx(0.3, abs=0.03)
    assert made.record.peak == pytest.approx(float(np.abs(made.samples).max()), abs=1e-4)
    assert made.record.warnings == []


@pytest.mark.parametrize(
    ("rate", "channels"),
    [(8_000, 1), (11_025, 2), (16_000, 3), (22_050, 6), (37_800, 2), (48_000, 11), (96_000, 8), (192_000, 5)],
)
def test_any_rate_and_channel_count(tmp_path: Path, rate: int, channels: int) -> None:
    clap = np.zeros((channels, 2 * rate), np.float32)
    clap[:, rate] = 0.9
    made = Converted(write_media(tmp_path / "a.wav", [Sound(clap, rate)]), tmp_path)
    assert made.record.samples == pytest.approx(2 * SAMPLE_RATE, abs=1)
    assert np.abs(made.samples).argmax() == pytest.approx(SAMPLE_RATE, abs=1)


@pytest.mark.parametrize(
    "codec",
    [
        "pcm_u8",
        "pcm_s8",
        "pcm_s16le",
        "pcm_s24le",
        "pcm_s32le",
        "pcm_s64le",
        "pcm_f32le",
        "pcm_f64le",
        "pcm_alaw",
    ],
)
def test_every_sample_format_keeps_its_level(tmp_path: Path, codec: str) -> None:
    made = Converted(write_tone(tmp_path / "a.nut", 1, codec=codec), tmp_path)
    assert made.record.peak == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(("codec", "channels"), [("aac", 8), ("wavpack", 12)])
def test_many_planar_channels(tmp_path: Path, codec: str, channels: int) -> None:
    samples = np.zeros((channels, 2 * 48_000), np.float32)
    samples[channels - 1] = tone(2, rate=48_000)
    source = write_media(tmp_path / "a.mka", [Sound(samples, 48_000, codec)])
    peaks = [Converted(source, tmp_path, channel=number).record.peak for number in range(channels)]
    assert sum(peak > 0.2 for peak in peaks) == 1


def test_mixing_is_the_mean_and_a_channel_can_be_chosen(tmp_path: Path) -> None:
    samples = np.concatenate([tone(2, frequency=300), tone(2, frequency=1200)])
    source = write_media(tmp_path / "a.wav", [Sound(samples)])
    mixed = Converted(source, tmp_path)
    assert np.allclose(mixed.samples, samples.mean(axis=0), atol=1e-4)
    right = Converted(source, tmp_path, channel=1)
    assert loudest_hz(right.samples) == pytest.approx(1200, abs=2)
    assert right.record.channel == "number 1 of 2"


def test_a_channel_that_is_not_there_is_refused(tmp_path: Path) -> None:
    source = write_tone(tmp_path / "a.wav", 1, channels=2)
    with pytest.raises(UserError, match=r"no audio channel number 2 \(it has 2, numbers 0 to 1\)"):
        Converted(source, tmp_path, channel=2)


@pytest.mark.parametrize("from_s", [0, 2])
def test_where_channels_cancel_out_one_is_taken_and_it_is_told(tmp_path: Path, from_s: int) -> None:
    samples = np.concatenate([tone(4), tone(4)])
    samples[1, from_s * SAMPLE_RATE :] *= -1
    made = Converted(write_media(tmp_path / "a.wav", [Sound(samples)]), tmp_path)
    for start in (0, 3 * SAMPLE_RATE):
        assert np.allclose(*(x[start:][:SAMPLE_RATE] for x in (made.samples, samples[0])), atol=1e-4)
    assert any("cancel" in warning for warning in made.record.warnings)


def test_channels_that_cancel_out_except_for_their_noise_are_not_mixed(tmp_path: Path) -> None:
    samples = tone(2) * np.float32([[1], [-0.9]])
    samples += 0.03 * np.random.default_rng(0).standard_normal(samples.shape).astype(np.float32)
    made = Converted(write_media(tmp_path / "a.wav", [Sound(samples, codec="pcm_f32le")]), tmp_path)
    assert np.allclose(made.samples, samples[0], atol=1e-4)


def _two_streams(path: Path, **second: object) -> Path:
    sounds = [Sound(tone(2, frequency=300)), Sound(tone(2, frequency=1200), **second)]
    return write_media(path, sounds, picture_s=2)


def test_the_default_stream_is_taken_and_said(tmp_path: Path) -> None:
    source = _two_streams(tmp_path / "a.mkv")
    made = Converted(source, tmp_path)
    assert loudest_hz(made.samples) == pytest.approx(300, abs=5)
    assert made.record.choice.startswith("audio stream 0 of 2")
    assert any("audio stream 0 of 2" in line for line in made.log)


def test_a_marked_stream_goes_before_the_first(tmp_path: Path) -> None:
    sounds = [Sound(tone(2, frequency=300), default=False), Sound(tone(2, frequency=1200), default=True)]
    made = Converted(write_media(tmp_path / "a.mkv", sounds, picture_s=2), tmp_path)
    assert made.record.choice == "audio stream 1 of 2, marked as default"
    assert loudest_hz(made.samples) == pytest.approx(1200, abs=5)


def test_a_stream_can_be_chosen(tmp_path: Path) -> None:
    made = Converted(_two_streams(tmp_path / "a.mkv", language="ger"), tmp_path, audio_stream=1)
    assert loudest_hz(made.samples) == pytest.approx(1200, abs=5)
    assert made.record.stream.language == "ger"
    assert made.record.choice == "audio stream 1 of 2, as set"


def test_a_stream_that_is_not_there_is_refused(tmp_path: Path) -> None:
    source = _two_streams(tmp_path / "a.mkv")
    with pytest.raises(UserError, match=r"no audio stream number 2 \(it has 2, numbers 0 to 1\)"):
        Converted(source, tmp_path, audio_stream=2)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_late_sound_keeps_the_times_of_the_picture(tmp_path: Path, suffix: str) -> None:
    source = write_media(tmp_path / f"a{suffix}", [Sound(tone(3), late_s=1.5)], picture_s=6)
    made = Converted(source, tmp_path)
    assert np.abs(made.samples[: round(1.35 * SAMPLE_RATE)]).max() == 0
    assert np.abs(made.samples[round(1.6 * SAMPLE_RATE) :][:SAMPLE_RATE]).max() > 0.2
    assert made.record.samples == pytest.approx(4.5 * SAMPLE_RATE, abs=0.1 * SAMPLE_RATE)


def test_lost_packets_become_silence(tmp_path: Path) -> None:
    source = write_media(tmp_path / "a.webm", [Sound(tone(6), lost=[(1, 1.5), (3, 4)])], pipe=True)
    made = Converted(source, tmp_path)
    assert made.record.samples == pytest.approx(6 * SAMPLE_RATE, abs=0.05 * SAMPLE_RATE)
    assert np.abs(made.samples[round(3.1 * SAMPLE_RATE) : round(3.9 * SAMPLE_RATE)]).max() == 0
    assert np.abs(made.samples[round(4.1 * SAMPLE_RATE) : round(4.9 * SAMPLE_RATE)]).max() > 0.2
    assert any(warning.startswith("2 holes filled with 1.5") for warning in made.record.warnings)


def test_samples_that_are_no_numbers_become_silence(tmp_path: Path) -> None:
    samples = tone(2, channels=2)
    samples[0, 1000:1100] = np.nan
    samples[1, 5000:5010] = np.inf
    samples[1, 5010] = -np.inf
    made = Converted(write_media(tmp_path / "a.wav", [Sound(samples, codec="pcm_f32le")]), tmp_path)
    assert made.record.nonfinite_samples == 111
    assert made.record.warnings == ["111 samples without a number replaced by silence"]
    assert made.record.peak <= 0.31


@pytest.mark.parametrize(
    ("offset", "hum", "level"), [(0.4, 0, 0.1), (-0.9, 0, 0.05), (0.3, 0, 1e-4), (0, 0.5, 0.01)]
)
def test_a_constant_offset_and_hum_are_filtered_out(
    tmp_path: Path, offset: float, hum: float, level: float
) -> None:
    sound = tone(12, level=level) + tone(12, level=hum, frequency=50) + np.float32(offset)
    made = Converted(write_media(tmp_path / "a.wav", [Sound(sound, codec="pcm_f32le")]), tmp_path)
    assert abs(made.samples.mean()) < 1e-3
    assert loudest_hz(made.samples) == pytest.approx(440, abs=2)
    spectrum = np.abs(np.fft.rfft(made.samples))
    assert spectrum[: 100 * 12].max() < 0.5 * spectrum[440 * 12]
    assert "mostly hum: everything below 200 Hz was filtered out" in made.record.warnings


@pytest.mark.parametrize("level", [3.0, 32_768.0, 3e38])
def test_samples_far_beyond_full_scale_are_brought_back(tmp_path: Path, level: float) -> None:
    sound = tone(2, level=level)
    made = Converted(write_media(tmp_path / "a.wav", [Sound(sound, codec="pcm_f32le")]), tmp_path)
    assert made.record.peak == pytest.approx(1, abs=1e-3)
    assert "scaled down" in made.record.warnings[0]
    if level < 1e6:
        assert np.allclose(made.samples, sound[0] / np.abs(sound).max(), atol=1e-3)


def test_a_damaged_packet_is_no_reason_to_scale_speech_down(tmp_path: Path) -> None:
    sound = tone(9)
    sound[0, :300] *= 400  # as a decoder makes of half a packet of MP3
    made = Converted(write_media(tmp_path / "a.wav", [Sound(sound, codec="pcm_f32le")]), tmp_path)
    assert np.allclose(made.samples[1000:], sound[0, 1000:], atol=1e-3)


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_f32le"])
def test_clipping_is_counted(tmp_path: Path, codec: str) -> None:
    samples = np.clip(tone(2, level=1.5), -1, 1) if codec == "pcm_s16le" else tone(2, level=1.5)
    made = Converted(write_media(tmp_path / "a.wav", [Sound(samples, codec=codec)]), tmp_path)
    assert made.record.clipped_samples == pytest.approx(2 * SAMPLE_RATE * 0.535, rel=0.02)
    assert made.record.warnings[0].startswith("clipped: 53")
    assert made.record.peak >= 0.999
    assert np.abs(np.diff(made.samples)).max() < 0.5, "wrapped around"


@pytest.mark.parametrize("suffix", [".flac", ".m4a", ".ogg", ".webm"])
def test_damaged_packets_are_skipped_and_told(tmp_path: Path, suffix: str) -> None:
    source = damage(write_tone(tmp_path / f"a{suffix}", 20, rate=48_000), start=0.4, stop=0.45)
    made = Converted(source, tmp_path)
    assert made.record.warnings, made.log
    assert made.record.samples == pytest.approx(20 * SAMPLE_RATE, rel=0.02)
    tail = made.samples[15 * SAMPLE_RATE : 16 * SAMPLE_RATE]
    assert loudest_hz(tail) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("suffix", [".flac", ".wav", ".mp3", ".mkv", ".webm"])
def test_a_truncated_recording_is_refused_until_it_is_accepted(tmp_path: Path, suffix: str) -> None:
    source = cut_short(write_tone(tmp_path / f"a{suffix}", 12), 0.5)
    with pytest.raises(UserError, match=r"is truncated: \S+ of 12\S+ s could be decoded.*--exact"):
        Converted(source, tmp_path)
    assert sorted(os.listdir(tmp_path / "out")) == ["ingest.json"]
    exact = ingest.probe(source, exact=True).duration_s
    accepted = Converted(source, tmp_path, duration_s=exact)
    assert accepted.record.samples == pytest.approx(exact * SAMPLE_RATE, abs=100)


def test_sound_that_ends_before_the_picture_is_no_truncation(tmp_path: Path) -> None:
    source = write_media(tmp_path / "a.mkv", [Sound(tone(3))], picture_s=9)
    made = Converted(source, tmp_path, duration_s=9)
    assert made.record.warnings == ["the sound ends 6.0 s before the recording does"]


def test_a_third_of_a_second(tmp_path: Path) -> None:
    assert Converted(write_tone(tmp_path / "a.wav", 0.3), tmp_path).record.samples == 4800


def test_silence_is_converted_and_told(tmp_path: Path) -> None:
    made = Converted(write_media(tmp_path / "a.wav", [Sound(tone(3, level=0))]), tmp_path)
    assert made.record.samples == 3 * SAMPLE_RATE
    assert made.record.warnings == ["silent from beginning to end"]


def test_nothing_to_decode_is_refused(tmp_path: Path) -> None:
    source = write_tone(tmp_path / "a.flac", 2)
    data = source.read_bytes()
    header = data.index(b"\xff\xf8")
    source.write_bytes(data[:header] + bytes(len(data) - header))
    with pytest.raises(UserError, match="nothing can be decoded"):
        Converted(source, tmp_path)
    assert not (tmp_path / "out" / "a.flac").exists()


def test_what_can_hardly_be_decoded_is_refused(tmp_path: Path) -> None:
    source = write_media(tmp_path / "a.wav", [Sound(tone(9), codec="aac")])  # packets of unknown lengths
    with pytest.raises(UserError, match=r"can hardly be decoded: \d+ of \d+ packets are damaged"):
        Converted(source, tmp_path, duration_s=9)


@pytest.mark.parametrize("suffix", [".mka", ".webm"])
def test_a_recording_that_is_noise_from_some_place_on_is_refused(tmp_path: Path, suffix: str) -> None:
    source = write_tone(tmp_path / f"a{suffix}", 30, codec="aac" if suffix == ".mka" else None)
    damage(source, start=0.3, stop=1)
    with pytest.raises(UserError, match=r"hardly be decoded|is truncated"):
        Converted(source, tmp_path)


def test_where_nothing_tells_whether_sound_is_missing_it_is_told(tmp_path: Path) -> None:
    source = damage(write_tone(tmp_path / "a.flac", 30), start=0.3, stop=1)
    (warning,) = Converted(source, tmp_path).record.warnings
    assert re.fullmatch(r"claims to last 30.0 s but contains [\d.]+ s", warning)


def test_the_same_recording_gives_the_same_bytes(tmp_path: Path) -> None:
    source = write_tone(tmp_path / "a.mp3", 5, rate=44_100, channels=2)
    (tmp_path / "other").mkdir()
    first, second = Converted(source, tmp_path), Converted(source, tmp_path / "other")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert b"Lavf" not in first.path.read_bytes(), "the encoder's version is no content"


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    source = write_media(
        tmp_path / "a.wav", [Sound(0.3 * rng.standard_normal((1, 60 * SAMPLE_RATE), np.float32))]
    )
    with small_disks.mounted(tmp_path / "full", "size=256k") as full:
        with pytest.raises(OSError, match=r"No space left on device: .*/full/out/.*flac"):
            Converted(source, full)
        assert os.listdir(full / "out") == ["ingest.json"]


def test_a_truncated_video_is_told_by_its_index(tmp_path: Path) -> None:
    sound, options = Sound(tone(20)), {"movflags": "faststart"}
    source = write_media(tmp_path / "a.mp4", [sound], picture_s=20, options=options)
    with pytest.raises(UserError, match=r"is truncated: \S+ of 20\S* s"):
        Converted(cut_short(source, 0.5), tmp_path)


def test_a_shorter_stream_that_was_chosen_is_no_truncation(tmp_path: Path) -> None:
    source = write_media(tmp_path / "a.mkv", [Sound(tone(20)), Sound(tone(4))], picture_s=20)
    made = Converted(source, tmp_path, audio_stream=1)
    assert made.record.samples == pytest.approx(4 * SAMPLE_RATE, abs=0.1 * SAMPLE_RATE)
    assert made.record.warnings == []


@pytest.mark.parametrize("suffix", sorted(CODECS))
def test_damage_anywhere_gives_audio_or_one_line(tmp_path: Path, suffix: str) -> None:
    source = write_tone(tmp_path / f"a{suffix}", 2, rate=44_100, channels=2, picture=suffix in PICTURES)
    whole = source.read_bytes()
    rng = np.random.default_rng(7)
    for attempt in range(12):
        data = bytearray(whole)
        reach = len(data) if attempt % 2 else min(2_000, len(data))
        for place in rng.integers(0, reach, 1 + attempt * 3):
            data[place] = rng.integers(0, 256)
        source.write_bytes(data)
        with contextlib.suppress(UserError):  # anything else, a crash above all, is a fault
            Converted(source, tmp_path)


def test_real_recordings_are_converted(shared: Path, tmp_path: Path) -> None:
    eight = Converted(shared / "data" / "misc" / "8_Channel_ID.m4a", tmp_path)
    assert eight.record.channel == "mean of 8"
    speech = Converted(shared / "data" / "misc" / "jfk.flac", tmp_path)
    assert speech.record.samples == 11 * SAMPLE_RATE


# Lengths, and what is noted of them.


def test_longer_and_shorter_than_noted_are_warnings(tmp_path: Path) -> None:
    source = write_tone(tmp_path / "a.wav", 9)
    made = Converted(source, tmp_path, duration_s=3)
    assert made.record.warnings == ["6.0 s longer than in the manifest (3.0 s)"]
    made = Converted(source, tmp_path, duration_s=30)
    assert made.record.warnings == ["21.0 s shorter than in the manifest (30.0 s)"]
    assert made.record.samples == 9 * SAMPLE_RATE


def test_recordings_that_follow_one_another_are_told(tmp_path: Path) -> None:
    source = write_tone(tmp_path / "a.m4a", 3)
    source.write_bytes(source.read_bytes() * 2)
    made = Converted(source, tmp_path)
    assert made.record.samples == pytest.approx(6 * SAMPLE_RATE, rel=0.02)
    assert made.record.warnings == ["2 recordings follow one another in the file; all were read"]


def test_more_than_a_file_can_hold_leaves_nothing(tmp_path: Path) -> None:
    source = write_media(tmp_path / "a.mkv", [Sound(tone(2), late_s=3 * 3600.0)], picture_s=1)
    with pytest.raises(UserError, match="claims to contain more than"):
        Converted(source, tmp_path, duration_s=2)
    assert not (tmp_path / "out" / "a.flac").exists()


# Levels.


@pytest.mark.parametrize("level", [5e-3, 1e-3, 1e-4, 1e-5])
def test_a_very_quiet_recording_is_amplified_before_it_is_rounded(tmp_path: Path, level: float) -> None:
    sound = tone(20, level=level)
    sound[0, 8_000:8_160] = 0.9  # a slammed door
    made = Converted(write_media(tmp_path / "a.wav", [Sound(sound, codec="pcm_f32le")]), tmp_path)
    (warning,) = made.record.warnings
    assert re.fullmatch(r"very quiet \(-\d+ dB of full scale\): amplified by \d+ dB", warning)
    later = made.samples[5 * SAMPLE_RATE :]
    assert 20 * np.log10(np.sqrt((later**2).mean())) == pytest.approx(-25, abs=0.6)
    assert loudest_hz(later[:SAMPLE_RATE]) == pytest.approx(440, abs=2)


def test_a_track_on_which_hardly_anybody_speaks_is_left_as_it_is(tmp_path: Path) -> None:
    sound = np.full((1, 300 * SAMPLE_RATE), 1e-5, np.float32)
    sound[0, : 3 * SAMPLE_RATE] = tone(3, level=0.1)
    made = Converted(write_media(tmp_path / "a.wav", [Sound(sound, codec="pcm_f32le")]), tmp_path)
    assert made.record.warnings == []
    assert made.record.peak == pytest.approx(0.1, abs=0.01)


# Parts of live sessions.


def live(source: Path, folder: Path, *, duration_s: float, header: Path | None = None) -> Conversion:
    """Fetch and convert a part of a live session, as the jobs do."""
    fetched = ingest.fetch_recording(
        session="s",
        track="p",
        source=str(source),
        checksum=checksum(source),
        duration_s=duration_s,
        output=folder / "ingest.json",
        live=True,
    )
    made = convert_audio(
        ingest=fetched,
        options=Convert(),
        audio=folder / "p.flac",
        record=folder / "p.json",
        live=True,
        header=(str(header), checksum(header)) if header else None,
        log=lambda _: None,
    )
    assert Conversion.read(folder / "p.json") == made
    assert soundfile.info(folder / "p.flac").frames == made.samples
    return made


BAD_PARTS = {
    "empty": (lambda _: b"", "is empty (0 bytes)"),
    "junk": (lambda _: b"junk" * 999, "is not an audio or video file, or is damaged at its beginning"),
    "begun": (lambda whole: whole[:30], "is not an audio or video file, or is damaged at its beginning"),
    "header": (lambda whole: whole[: whole.index(b"\x1f\x43\xb6\x75")], ""),  # of a stream: no gap
}


@pytest.mark.parametrize("kind", BAD_PARTS)
def test_a_live_part_that_is_no_good_is_a_gap_with_a_reason(tmp_path: Path, kind: str) -> None:
    source = write_tone(tmp_path / "chunk-1.webm", 2)
    content, why = BAD_PARTS[kind]
    source.write_bytes(content(source.read_bytes()))
    made = live(source, tmp_path, duration_s=0)
    assert (made.samples, made.missing, made.missing_s) == (1, why, 0)


def test_a_live_part_with_a_picture_only_or_that_changed_is_a_gap(tmp_path: Path) -> None:
    source = write_media(tmp_path / "chunk-1.mp4", [], picture_s=1)
    assert live(source, tmp_path, duration_s=0).missing == "has no audio stream (only video)"
    source = write_tone(tmp_path / "chunk-2.webm", 2)
    fetched = ingest.fetch_recording(
        session="s", track="p", source=str(source), checksum=64 * "0", duration_s=2.0,
        output=tmp_path / "ingest.json", live=True,
    )  # fmt: skip
    made = convert_audio(
        ingest=fetched,
        options=Convert(),
        live=True,
        audio=tmp_path / "p.flac",
        record=tmp_path / "p.json",
        log=lambda _: None,
    )
    assert made.missing.startswith("has changed since it was added")
    assert made.missing_s == 2


def test_of_a_live_part_that_was_cut_off_what_is_there_is_used(tmp_path: Path) -> None:
    source = cut_short(write_tone(tmp_path / "chunk-1.wav", 20), 0.5)
    made = live(source, tmp_path, duration_s=20)
    assert made.samples == pytest.approx(10 * SAMPLE_RATE, abs=50)
    assert made.missing.startswith("is truncated: 9.999 of 20.000 s")
    assert made.missing_s == pytest.approx(10, abs=0.01)


def test_a_file_that_cannot_be_read_is_no_gap(tmp_path: Path) -> None:
    source = write_tone(tmp_path / "chunk-1.webm", 2)
    before = checksum(source)
    source.unlink()
    with pytest.raises(UserError, match="does not exist"):
        ingest.fetch_recording(
            session="s", track="p", source=str(source), checksum=before, duration_s=2.0,
            output=tmp_path / "ingest.json", live=True,
        )  # fmt: skip


def test_a_slice_is_converted_with_its_header_and_says_when_it_begins(tmp_path: Path) -> None:
    options = {"cluster_time_limit": "2000"}
    data = write_media(tmp_path / "a.webm", [Sound(tone(6))], pipe=True, options=options).read_bytes()
    edges = [match.start() for match in re.finditer(b"\x1f\x43\xb6\x75", data)]
    first, third = tmp_path / "chunk-0.webm", tmp_path / "chunk-2.webm"
    first.write_bytes(data[: edges[1]])
    third.write_bytes(data[edges[2] : edges[3]])
    made = live(third, tmp_path, duration_s=2, header=first)
    assert made.missing == ""
    assert made.starts_s == pytest.approx(4, abs=0.1)
    assert made.samples == pytest.approx(2 * SAMPLE_RATE, rel=0.05)
