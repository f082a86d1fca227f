"""Read slices of a stream with the header of the stream's first part.

A browser's MediaRecorder writes the container's header into the first part only.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import BinaryIO

from sessionscribe.audio.containers import SEARCH_BYTES, boxes, vint
from sessionscribe.audio.media import CLUSTER
from sessionscribe.audio.samples import EXTENSIBLE, HEADER_BYTES, PCM, samples
from sessionscribe.audio.source import Source, Splice

TRACKS = b"\x16\x54\xae\x6b"
SIMPLE_BLOCK, BLOCK_GROUP = 0xA3, 0xA0


def header_of(source: Source) -> bytes:
    """Return the header of a recording, before its audio; empty if there is none."""
    size = source.stat().st_size
    if found := samples(source):
        return found.head
    with source.open("rb") as file:
        head = file.read(SEARCH_BYTES >> 1)
        if head[:4] == b"\x1a\x45\xdf\xa3":
            head = head.partition(CLUSTER)[0]
            return _with_unknown_length(head) if TRACKS in head else b""
        if head[:4] == b"OggS":
            return head[: _ogg_header(head)]
        if head[:4] == b"fLaC":
            return head[: _flac_header(head)]
        if head[4:8] == b"ftyp":
            every = list(boxes(file, size))
            stop = next(
                (start for name, start, _ in every if name in (b"moof", b"mdat", b"styp", b"sidx")), size
            )
            return head[:stop] if any(name == b"moov" and end <= stop for name, _, end in every) else b""
    return b""


def is_header(source: Source, header: bytes) -> bool:
    """Return whether a part only contains the stream's header (`header_of`), without audio."""
    return 0 < source.stat().st_size <= len(header)


def _with_unknown_length(head: bytes) -> bytes:
    """Return the header of a Matroska file with the length of the segment set to unknown."""
    length, start = vint(head, 4)
    at = start + (length or 0) + 4
    _, body = vint(head, at)
    width = body - at
    return head[:at] + ((1 << 7 * width + 1) - 1).to_bytes(width) + head[body:]


def _ogg_header(data: bytes) -> int:
    """Return the position of the first Ogg page with audio: those before it have timestamp 0 or none."""
    position = 0
    while data[position : position + 4] == b"OggS":
        if data[position + 6 : position + 14] not in (bytes(8), b"\xff" * 8):
            return position
        lacing = data[position + 27 : position + 27 + data[position + 26]]
        position += 27 + len(lacing) + sum(lacing)
    return position


def _flac_header(data: bytes) -> int:
    position, last = 4, False
    while not last and position + 4 <= len(data):
        last = bool(data[position] & 0x80)
        position += 4 + int.from_bytes(data[position + 1 : position + 4])
    return position


def with_header(part: Source, header: bytes) -> tuple[Splice, bool]:
    """Return a slice with the stream's header, and whether its timestamps are the stream's.

    A slice may begin anywhere; what comes before the first decodable position is skipped. The rest of a
    Matroska cluster that began in an earlier slice is decoded: its blocks lack the cluster's time, which is
    derived from the next cluster, if there is one.
    """
    size = part.stat().st_size
    with part.open("rb") as file:
        head = file.read(SEARCH_BYTES)
        if header[:4] == b"\x1a\x45\xdf\xa3":
            start = head.find(CLUSTER)
            first = _first_block(head[: start if start >= 0 else len(head)])
            if first is None:
                return Splice(part, (header, (max(start, 0), size))), True
            time = None if start < 0 else _cluster_time(head, first, start)
            cluster = CLUSTER + b"\x01" + b"\xff" * 7 + b"\xe7\x88" + (time or 0).to_bytes(8)
            return Splice(part, (header + cluster, (first, size))), time is not None
        if header[4:8] == b"ftyp":
            start = max(0, head.find(b"moof") - 4)
            return Splice(part, (header, *_relocated(file, start, size, len(header)))), True
    start = _first_sample(head, header) if header[:4] == b"RIFF" else 0
    return Splice(part, (header, (start, size))), header[:4] in (b"OggS", b"fLaC")


def _first_sample(data: bytes, header: bytes) -> int:
    """Return where the first whole sample begins in a slice of a WAV: a sample's last byte changes least."""
    import numpy as np  # noqa: PLC0415 -- heavy

    tag, channels, align = struct.unpack_from("<HH8xH", header, 20)
    width = align // max(1, channels)
    integers = tag == 1 or (tag == EXTENSIBLE and header[44:46] == PCM)
    if not integers or width < 2 or len(data) < 2 * align:
        return 0
    samples = np.frombuffer(data, np.int8, len(data) // width * width).reshape(-1, width)
    change = np.abs(samples[channels:] - samples[:-channels], dtype=np.int16).mean(axis=0)
    change[change == 0] = math.inf  # unused bits
    return int(change.argmin()) + 1 if 2 * change.min() < change[-1] < math.inf else 0


def _first_block(data: bytes) -> int | None:
    """Return the position of the first complete blocks in a piece of a Matroska cluster, or None."""
    for first in range(min(len(data), 1 << 20)):
        position, found = first, 0
        while position < len(data) and data[position] in (SIMPLE_BLOCK, BLOCK_GROUP) and found < 3:
            length, start = vint(data, position + 1)
            if not length:
                break
            position, found = start + length, found + 1
        if found == 3 or (found and position == len(data)):
            return first
    return None


def _blocks(data: bytes, position: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the track and the time (relative to the cluster, usually in ms) of each Matroska block."""
    while position < stop:
        name = data[position]
        length, start = vint(data, position + 1)
        if length is None:
            return
        position = start + length
        if name == BLOCK_GROUP:  # the block is its first element
            _, start = vint(data, start + 1)
        if name in (SIMPLE_BLOCK, BLOCK_GROUP):
            track, at = vint(data, start)
            yield track or 0, int.from_bytes(data[at : at + 2], signed=True)


def _cluster_time(data: bytes, first: int, cluster: int) -> int | None:
    """Return the time of the cluster whose blocks begin at ``first``, derived from the next ``cluster``."""
    _, at = vint(data, cluster + len(CLUSTER))
    length, start = vint(data, at + 1)
    following = dict(reversed(list(_blocks(data, start + (length or 0), len(data)))))
    blocks = [(track, time) for track, time in _blocks(data, first, cluster) if track in following]
    if data[at : at + 1] != b"\xe7" or not length or not blocks:
        return None
    last, _ = blocks[-1]
    times = [time for track, time in blocks if track == last]
    step = times[-1] - times[-2] if len(times) > 1 else 0
    return max(0, int.from_bytes(data[start : start + length]) + following[last] - step - times[-1])


def _relocated(file: BinaryIO, start: int, size: int, shift: int) -> Iterator[bytes | tuple[int, int]]:
    """Yield the pieces of a fragmented MP4, whose base offsets are changed by the new header."""
    done = position = start
    while position + 8 <= size:
        file.seek(position)
        head = file.read(8)
        length = int.from_bytes(head[:4])
        if length < 8:
            break
        if head[4:] == b"moof" and length <= HEADER_BYTES:
            moof = bytearray(head + file.read(length - 8))
            at = moof.find(b"tfhd")
            while at > 0:
                if moof[at + 7] & 1:
                    moof[at + 12 : at + 20] = (shift + position - start).to_bytes(8)
                at = moof.find(b"tfhd", at + 4)
            yield from ((done, position), bytes(moof))
            done = position + length
        position += length
    yield done, size
