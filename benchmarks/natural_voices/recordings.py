"""Write a conversation in the layouts of real recordings: a video, a file per speaker, numbered parts."""

from __future__ import annotations

from pathlib import Path

import av

from .conversation import Conversation
from .media import OPUS, SAMPLE_RATE, WEBM, Audio, audio_frames, filter_frames, write_audio
from .signals import noise_floor

WAVES = {"size": "320x180", "rate": "2", "mode": "cline", "colors": "0x5f96f0"}


def write_video(path: Path, audio: Audio, bit_rate: int) -> None:
    """Write an MP4 file with AAC sound and its moving waveform (H.264, or MPEG-4 where that is missing)."""
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    options = {"crf": "33", "preset": "slow", "threads": "1"} if codec == "libx264" else {"qscale": "12"}
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        video = container.add_stream(codec, rate=int(WAVES["rate"]), options=options)
        sound = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        assert isinstance(video, av.VideoStream)
        assert isinstance(sound, av.AudioStream)
        video.width, video.height = map(int, WAVES["size"].split("x"))
        video.pix_fmt, sound.bit_rate = "yuv420p", bit_rate
        pictures = filter_frames(audio, "buffersink", showwaves=WAVES, format={"pix_fmts": "yuv420p"})
        packets = [packet for frame in (*audio_frames(audio), None) for packet in sound.encode(frame)]
        packets += [packet for picture in (*pictures, None) for packet in video.encode(picture)]
        container.mux(sorted(packets, key=lambda packet: (packet.dts or 0) * packet.time_base))


def write_tracks(folder: Path, conversation: Conversation) -> None:
    """Write an Opus file per speaker, named after the speaker, with a faint noise floor."""
    for index, (name, stem) in enumerate(sorted(conversation.stems.items())):
        write_audio(folder / f"{name}.ogg", stem + noise_floor(len(stem), -66.0, 77 + index), OPUS)


def write_chunks(folder: Path, audio: Audio, chunk_s: float) -> None:
    """Write WebM files of ``chunk_s`` seconds, each with its own header."""
    step = round(chunk_s * SAMPLE_RATE)
    for index, start in enumerate(range(0, len(audio), step)):
        write_audio(folder / f"chunk-{index:03d}.webm", audio[start : start + step], WEBM)
