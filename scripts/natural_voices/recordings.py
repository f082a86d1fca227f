"""Write a conversation as people record one: a video, a file per speaker, numbered parts."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from .media import OPUS, SAMPLE_RATE, WEBM, Audio, audio_frames, write_audio
from .signals import noise_floor
from .truth import Conversation

Picture = NDArray[np.uint8]

WIDTH, HEIGHT = 320, 180
BACKGROUND = (24, 26, 38)
COLOURS = ((235, 110, 90), (95, 190, 140), (95, 150, 240), (230, 190, 80))
FONT = {  # capital letters, five columns by seven rows
    "A": "01110 10001 10001 11111 10001 10001 10001",
    "B": "11110 10001 10001 11110 10001 10001 11110",
    "C": "01110 10001 10000 10000 10000 10001 01110",
    "D": "11110 10001 10001 10001 10001 10001 11110",
    "E": "11111 10000 10000 11110 10000 10000 11111",
}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON, one item a line, by way of a temporary file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for key, value in content.items():
        if isinstance(value, list):
            rows = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in value)
            lines.append(f" {json.dumps(key)}: [\n  {rows}\n ]")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}")
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    os.replace(temporary, path)


def _disc(picture: Picture, centre: tuple[int, int], radius: float, colour: NDArray[np.float64]) -> None:
    """Draw a filled disc with a soft edge, in place; `centre` is (x, y) in pixels."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    distance = np.hypot(columns - centre[0], rows - centre[1])
    cover = np.clip(radius - distance + 0.5, 0, 1)[..., None]
    picture[:] = (picture * (1 - cover) + colour * cover).astype(np.uint8)


def _letter(picture: Picture, centre: tuple[int, int], letter: str, size: int = 3) -> None:
    """Draw a capital letter of `FONT`, in place."""
    bits = np.array([[c == "1" for c in row] for row in FONT.get(letter, FONT["A"]).split()])
    mask = np.kron(bits, np.ones((size, size), dtype=bool)).astype(bool)
    top, left = centre[1] - mask.shape[0] // 2, centre[0] - mask.shape[1] // 2
    picture[top : top + mask.shape[0], left : left + mask.shape[1]][mask] = 250


def draw_frame(conversation: Conversation, time_s: float) -> Picture:
    """The picture at one moment, RGB (height, width, 3): a disc per speaker that swells, and a waveform."""
    picture: Picture = np.empty((HEIGHT, WIDTH, 3), dtype=np.uint8)
    picture[:] = BACKGROUND
    at = round(time_s * SAMPLE_RATE)
    names = conversation.speakers
    for index, name in enumerate(names):
        near = conversation.stems[name][max(0, at - 1600) : at + 1600]
        level = float(np.sqrt(np.mean(np.square(near)))) if near.size else 0.0
        swell = min(1.0, (level / 0.08) ** 0.7)
        colour = np.array(COLOURS[index % len(COLOURS)]) * (0.45 + 0.55 * min(1.0, 3 * swell))
        centre = (WIDTH * (2 * index + 1) // (2 * len(names)), 70)
        _disc(picture, centre, 24 + 18 * swell, colour)
        _letter(picture, centre, name[:1].upper())
    window = conversation.waveform[max(0, at - SAMPLE_RATE) : at + SAMPLE_RATE]
    columns = np.array_split(window, WIDTH // 4)
    for index, column in enumerate(columns):
        height = round(min(1.0, float(np.abs(column).max(initial=0)) / 0.5) * 20)
        picture[150 - height : 151 + height, 4 * index : 4 * index + 2] = (150, 155, 175)
    picture[176:, : round(WIDTH * time_s / conversation.duration_s)] = (200, 205, 220)
    return picture


def write_video(path: Path, conversation: Conversation, fps: int, audio_bit_rate: int) -> None:
    """An MP4 file with a moving picture (H.264, or MPEG-4 where that is missing) and AAC sound."""
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    options = {"crf": "33", "preset": "slow", "threads": "1"} if codec == "libx264" else {"qscale": "12"}
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        video = container.add_stream(codec, rate=fps, options=options)
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        assert isinstance(video, av.VideoStream)
        assert isinstance(audio, av.AudioStream)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.gop_size = 10 * fps
        audio.bit_rate = audio_bit_rate
        sound = audio_frames(conversation.waveform, SAMPLE_RATE)
        for index in range(round(conversation.duration_s * fps)):
            frame = av.VideoFrame.from_ndarray(draw_frame(conversation, index / fps), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(video.encode(frame))
            while sound and sound[0].pts < (index + 1) * SAMPLE_RATE / fps:
                container.mux(audio.encode(sound.pop(0)))
        for rest in sound:
            container.mux(audio.encode(rest))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def write_tracks(folder: Path, conversation: Conversation) -> list[Path]:
    """One Opus file per speaker, named after the speaker: that speaker alone over a faint noise floor."""
    paths = []
    for index, (name, stem) in enumerate(sorted(conversation.stems.items())):
        paths.append(folder / f"{name}.ogg")
        write_audio(paths[-1], stem + noise_floor(len(stem), -66.0, 77 + index), OPUS)
    return paths


def write_chunks(folder: Path, audio: Audio, chunk_s: float) -> list[Path]:
    """Consecutive WebM files of `chunk_s` seconds, each complete in itself, as from a restarted recorder."""
    step = round(chunk_s * SAMPLE_RATE)
    paths = []
    for index, start in enumerate(range(0, len(audio), step)):
        paths.append(folder / f"chunk-{index:03d}.webm")
        write_audio(paths[-1], audio[start : start + step], WEBM)
    return paths
