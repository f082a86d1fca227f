"""What a container file says about its length, whether it is truncated, and what follows its audio."""

from __future__ import annotations

import itertools
import math
import mmap
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from sessionscribe.audio.media import start_time
from sessionscribe.audio.samples import MOST_CHUNKS, PLACEHOLDER, repaired, samples
from sessionscribe.audio.source import Source, Splice, is_local

if TYPE_CHECKING:
    from av.audio.stream import AudioStream as Stream
    from av.container import InputContainer

SEARCH_BYTES = 1 << 24
"""How far behind the audio another recording is searched for: an index and tags may lie between."""
BEGINNINGS = (
    *(b"RIFF", b"RF64", b"FORM", b"caff", b"OggS", b"fLaC", b"ftyp", b"FLV\x01", b"ID3\x03", b"ID3\x04"),
    *(b"\x1a\x45\xdf\xa3", b"\x30\x26\xb2\x75", b"\xb7\xd8\x00\x20"),  # Matroska, WMA, WTV
)
"""Magic numbers of recordings; an MP4's comes after its first four bytes."""
RESTARTS = {b"fLaC": rb"fLaC[\0\x80]\0\0\x22", b"#!AM": rb"#!AMR(-WB)?\n"}
"""Patterns of further recordings in a file, by its first bytes, that FFmpeg skips as if they were damage."""
PROGRAMS, PROGRAM_MAP = b"G\x40\0", rb"(?s)G[\x40-\x5f].[\x10-\x1f]\0\x02([\xb0-\xbf].{181})"
"""Beginning of an MPEG transport stream's list of programs, and pattern of a program's list of streams."""
AUDIO_TYPES, PRIVATE = (0x03, 0x04, 0x0F, 0x11, 0x81, 0x87), 0x06
UNTIMED = ("aac", "ac3", "amr", "dts", "eac3", "loas", "mp3", "truehd")
"""Formats without timestamps: FFmpeg derives them from the first packet's sample rate."""
GUESSED = (*UNTIMED, "mpeg")
"""Formats without a duration: FFmpeg estimates it from the bit rate."""


def declared_duration(container: InputContainer, stream: Stream, path: Source) -> float | None:
    """Return the end of an audio stream on the container's clock in seconds, or None if it is not stored."""
    name = container.format.name
    with path.open("rb") as file:
        # FFmpeg also guesses if much follows what an MP3's header counts, such as a tag with a picture.
        counted = mp3_bytes(file) if name == "mp3" else None
        if name in GUESSED and (counted is None or 16 * path.stat().st_size > 17 * counted):
            return None
        if name == "ogg" and start_time(container) > 0:
            return None  # FFmpeg gives the time of the end
        if "mp4" in name and any(box == b"moof" for box, _, _ in boxes(file, path.stat().st_size)):
            return None  # the header of a fragmented MP4 does not count the fragments
    if name == "wav" and stream.bit_rate and (found := samples(path)) and found.promised:
        return 8 * found.promised / stream.bit_rate
    if stream.duration and stream.time_base is not None:
        start = float((stream.start_time or 0) * stream.time_base)
        late = max(0.0, start - start_time(container)) if stream.start_time is not None else 0.0
        return late + float(stream.duration * stream.time_base)
    tag = next((value for key, value in stream.metadata.items() if key.upper() == "DURATION"), "")
    seconds = _clock(tag)
    if seconds is None and container.duration and container.duration > 0:
        seconds = container.duration / 1e6
    return seconds


def _clock(text: str) -> float | None:
    """Return the seconds of a Matroska duration tag, `HH:MM:SS.fff`."""
    try:
        hours, minutes, seconds = (float(part) for part in text.split(":"))
    except ValueError:
        return None
    value = 3600 * hours + 60 * minutes + seconds
    return value if math.isfinite(value) and value > 0 else None


def content(source: Source) -> tuple[int, int] | None:
    """Return where uncompressed samples or an AVI begin and should end, in bytes; the same if not stored."""
    if found := samples(source):
        return found.start, found.start + (found.promised or 0)
    with source.open("rb") as file:
        head = file.read(1 << 16)
    start = head.find(b"movi")
    length = int.from_bytes(head[start - 4 : start], "little")
    return (start, start + length) if head[:4] == b"RIFF" and start > 0 and 0 < length < PLACEHOLDER else None


def is_cut_off(source: Source) -> bool | None:
    """Return whether a file is truncated according to its own sizes, or None if its format has none."""
    size = source.stat().st_size
    if found := content(source):
        return found[1] > size
    with source.open("rb") as file:
        head = file.read(12)
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            return any(stop > size for _, _, stop in boxes(file, size))
        if head[:4] == b"\x1a\x45\xdf\xa3":
            return _segment_is_cut_off(file, size)
        if head[:3] == b"FLV":
            return not _ends_with_a_tag(file, size)
        promised = mp3_bytes(file)
        return None if promised is None else promised > size


def boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and end of each top-level MP4 box; the last one may end beyond the file."""
    position = 0
    for _ in range(MOST_CHUNKS):
        if position + 8 > size:
            return
        file.seek(position)
        head = file.read(16)
        length = int.from_bytes(head[:4])
        if length == 1:
            length = int.from_bytes(head[8:16])
        elif length == 0:
            length = size - position
        if length < 8:
            return
        yield head[4:8], position, position + length
        position += length


def vint(data: bytes, position: int) -> tuple[int | None, int]:
    """Return the Matroska length at a position (None: unknown), and the position after it."""
    first = data[position] if position < len(data) else 0
    width = 9 - first.bit_length()
    if not first or position + width > len(data):
        return None, len(data)
    value = int.from_bytes(data[position : position + width]) & ((1 << 7 * width) - 1)
    return None if value == (1 << 7 * width) - 1 else value, position + width


def _segment_is_cut_off(file: BinaryIO, size: int) -> bool | None:
    file.seek(0)
    head = file.read(4096)
    length, start = vint(head, 4)
    at = start + (length or 0)
    if head[at : at + 4] != b"\x18\x53\x80\x67":
        return None
    length, start = vint(head, at + 4)
    return None if length is None else start + length > size


def _ends_with_a_tag(file: BinaryIO, size: int) -> bool:
    """Return whether an FLV ends with a complete tag, which is followed by its length."""
    file.seek(max(0, size - 4))
    length = int.from_bytes(file.read(4))
    if not 11 <= length <= size - 13:
        return False
    file.seek(size - 4 - length)
    head = file.read(4)
    return head[0] in (8, 9, 18) and int.from_bytes(head[1:]) == length - 11


def mp3_bytes(file: BinaryIO) -> int | None:
    """Return the length of an MP3 in bytes, according to its Xing or Info frame, or None without one."""
    file.seek(0)
    head = file.read(10)
    tag = 0
    if head[:3] == b"ID3" and len(head) == 10:
        tag = 10 + sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    file.seek(tag)
    first = file.read(4096)
    place = next((at for mark in (b"Xing", b"Info") if (at := first.find(mark)) > 0), 0)
    flags = int.from_bytes(first[place + 4 : place + 8]) if place else 0
    if not flags & 2:
        return None
    at = place + 8 + 4 * (flags & 1)
    return tag + int.from_bytes(first[at : at + 4])


def recordings(source: Source) -> list[Source]:
    """Return the recordings in a file, each in a form that FFmpeg reads completely; usually there is one.

    Raises:
        OSError: the file cannot be read.
    """
    size = source.stat().st_size
    with source.open("rb") as file:
        edges = sorted({0, *_restarts(source, file, size), size})
    return (
        [Splice(source, (edge,)) for edge in itertools.pairwise(edges)]
        if len(edges) > 2
        else [repaired(source)]
    )


def _restarts(source: Source, file: BinaryIO, size: int) -> Iterator[int]:
    """Yield where recordings begin in a file that FFmpeg would skip or misread."""
    head = file.read(8)
    if head[4:] == b"ftyp":
        yield from (start for name, start, _ in boxes(file, size) if name == b"ftyp")
    elif is_local(source) and (head[:4] in RESTARTS or b"G" in head):
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if mark := RESTARTS.get(head[:4]):
                yield from (match.start() for match in re.finditer(mark, content))
            else:
                yield from _program_changes(content)


def _program_changes(content: mmap.mmap) -> Iterator[int]:
    """Yield where the audio of an MPEG transport stream continues in streams of other numbers or codecs."""
    before: dict[bytes, set[bytes]] = {}
    for match in re.finditer(PROGRAM_MAP, content):
        table, streams = match[1], list[bytes]()
        end = 2 + (int.from_bytes(table[:2]) & 0xFFF) - 4
        position = 11 + (int.from_bytes(table[9:11]) & 0xFFF)
        while position < min(end, len(table)):
            streams.append(table[position : position + 3])
            position += 5 + (int.from_bytes(table[position + 3 : position + 5]) & 0xFFF)
        audio = {stream for stream in streams if stream[0] in AUDIO_TYPES}
        audio = audio or {stream for stream in streams if stream[0] == PRIVATE}
        program = table[2:4]
        if audio and audio.isdisjoint(before.get(program, audio)):
            start = match.start()
            yield max(start - 2000, content.rfind(PROGRAMS, max(0, start - 2000), start))
        before[program] = audio or before.get(program, audio)


def following(source: Source, end: int) -> Iterator[Source]:
    """Yield possible further recordings in a file, found by their magic numbers.

    Args:
        source: the file.
        end: where the audio of the first recording ends, in bytes.
    """
    size = source.stat().st_size
    with source.open("rb") as file:
        own = file.read(4)
        if not 0 < end < size:
            return
        file.seek(end)
        rest = file.read(SEARCH_BYTES)
    marks = {*BEGINNINGS, *([own] if own.isascii() and own.isalnum() else [])}
    for match in re.finditer(b"|".join(map(re.escape, sorted(marks))), rest):
        start = end + match.start() - 4 * (match[0] == b"ftyp")
        yield Splice(source, ((start, size),))
