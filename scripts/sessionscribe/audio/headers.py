"""What the header of a recording promises, and what the file really holds.

A header is written before the sound: a recorder that was killed leaves a length that is too small, one that
writes to a pipe leaves a placeholder, and a copy that was cut off promises more than there is. Formats of
plain samples are the ones where that hides sound, since FFmpeg stops where their header says.
"""

from __future__ import annotations

import io
import itertools
import mmap
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from sessionscribe.core.files import SizedFile

PLACEHOLDER = 0x7FFF_0000
"""From here on a length of 32 bits is no length (2 GiB and 4 GiB less a header, -1)."""
LONGEST = 1 << 56
HEADER_BYTES = 1 << 20
"""A longer header is none."""
MOST_CHUNKS = 1 << 20
"""Files of more chunks are made to waste time."""
CLUSTER, TRACKS = b"\x1f\x43\xb6\x75", b"\x16\x54\xae\x6b"
SIMPLE_BLOCK, BLOCK_GROUP = 0xA3, 0xA0
SEARCH_BYTES = 1 << 24
"""How far behind the sound of a recording another one may begin: an index and tags lie between."""
BEGINNINGS = (
    b"RIFF",
    b"RF64",
    b"FORM",
    b"caff",
    b"OggS",
    b"fLaC",
    b"ftyp",
    b"FLV\x01",
    b"\x1a\x45\xdf\xa3",
    b"ID3\x03",
    b"ID3\x04",
)
"""How recordings begin; of an MP4 what comes after four bytes."""
W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
W64_FORMAT = b"fmt " + W64_DATA[4:]
OPEN_END = b"\xff" * 4
EXTENSIBLE, PCM = 0xFFFE, b"\1\0"
AU_ENCODINGS = {(1, 16): 3, (1, 24): 4, (1, 32): 5, (3, 32): 6, (3, 64): 7, (6, 8): 27, (7, 8): 1}
"""Numbers of sample formats, by their number in a WAV and their bits."""
RESTARTS = {b"fLaC": rb"fLaC[\0\x80]\0\0\x22", b"#!AM": rb"#!AMR(-WB)?\n"}
"""Where FFmpeg reads over the beginning of another recording as if it were damage, by how a file begins."""


class Source(Protocol):
    """What a recording is read from: a path, or what opens as one does (a recording on a remote)."""

    def open(self, mode: Literal["rb"], /) -> io.BufferedReader:
        """Open it for reading, from its first byte on."""
        ...

    def stat(self) -> os.stat_result:
        """Return its size and kind."""
        ...


@dataclass(frozen=True)
class Splice:
    """A recording that is put together from stretches of another one, ``(start, stop)``, and bytes."""

    source: Source
    parts: tuple[bytes | tuple[int, int], ...]

    def __str__(self) -> str:
        return str(self.source)

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return sum(len(part) if isinstance(part, bytes) else part[1] - part[0] for part in self.parts)

    def open(self, mode: Literal["rb"] = "rb") -> io.BufferedReader:
        """Open it for reading."""
        return io.BufferedReader(_SpliceFile(self.source.open(mode), self))

    def stat(self) -> os.stat_result:
        """Return its kind and size."""
        status = list(self.source.stat()[:10])
        status[6] = self.size
        return os.stat_result(status)


class _SpliceFile(SizedFile):
    def __init__(self, file: BinaryIO, splice: Splice) -> None:
        super().__init__(str(splice), splice.size)
        self._file, self._parts = file, splice.parts

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        offset = self._position
        for part in self._parts:
            length = len(part) if isinstance(part, bytes) else part[1] - part[0]
            if offset >= length:
                offset -= length
                continue
            wanted = min(len(buffer), length - offset)
            if isinstance(part, bytes):
                content = part[offset : offset + wanted]
            else:
                self._file.seek(part[0] + offset)
                content = self._file.read(wanted)
            buffer[: len(content)] = content
            self._position += len(content)
            return len(content)
        return 0

    def close(self) -> None:
        self._file.close()
        super().close()


@dataclass(frozen=True)
class Samples:
    """Where a file of plain samples has them, in bytes.

    ``promised`` is how many there are by the header, None where it says nothing. With ``head`` for a header
    all of them are read; FFmpeg leaves some out by the file's own where they are ``hidden``.
    """

    start: int
    stop: int
    promised: int | None
    hidden: bool
    head: bytes
    more: tuple[tuple[int, int], ...] = ()


def mended(source: Source) -> Source:
    """Return a recording such that all of its sound is read: with another header where its own hides some."""
    found = samples(source)
    if found and found.more:
        first = (found.start, found.start + (found.promised or 0))
        return Splice(source, (found.head, first, *found.more))
    return Splice(source, (found.head, (found.start, found.stop))) if found and found.hidden else source


def recordings(source: Source) -> list[Source]:
    """Return what is in a file as FFmpeg can read it; usually that is one recording.

    Raises:
        OSError: it cannot be read.
    """
    with source.open("rb") as file:
        mark = RESTARTS.get(file.read(4))
        if mark is None or not is_local(source):
            return [mended(source)]
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            edges = [*(match.start() for match in re.finditer(mark, content)), len(content)]
    return [Splice(source, (edge,)) for edge in itertools.pairwise(edges)] if len(edges) > 2 else [source]


def is_local(source: Source) -> bool:
    """Return whether all of a recording can be read at no great cost."""
    return isinstance(source, Path) or hasattr(source, "path")


def samples(source: Source) -> Samples | None:
    """Return where a WAV, RF64, W64, AIFF, CAF or AU has its samples; None for any other file."""
    with source.open("rb") as file:
        head = file.read(16)
        size = source.stat().st_size
        if head[:4] in (b"RIFF", b"RF64", b"BW64", b"RIFX") and head[8:12] == b"WAVE":
            return _wav(file, size)
        if head[:8] == b"riff\x2e\x91\xcf\x11":
            return _w64(file, size)
        if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
            return _aiff(file, size)
        if head[:4] == b"caff":
            return _caf(file, size)
        if head[:4] == b".snd":
            return _au(file, size)
    return None


def _chunks(
    file: BinaryIO, position: int, size: int, order: Literal["little", "big"]
) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, the beginning and the length of each chunk of an IFF file, while they are some."""
    for _ in range(MOST_CHUNKS):
        if position + 8 > size:
            return
        file.seek(position)
        head = file.read(8)
        name, length = head[:4], int.from_bytes(head[4:], order)
        if not _is_name(name):
            return
        yield name, position + 8, length
        position += 8 + length
        if length % 2:
            file.seek(position)
            head = file.read(5)
            position += head[:4] != b"data" and _is_name(head[1:])  # many programs forget the padding


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)


def _wav(file: BinaryIO, size: int) -> Samples | None:
    form, long = b"", 0
    file.seek(0)
    first = file.read(4)
    order: Literal["little", "big"] = "big" if first == b"RIFX" else "little"
    wide = first in (b"RF64", b"BW64")
    chunks = _chunks(file, 12, size, order)
    for name, start, length in chunks:
        if name == b"ds64":
            file.seek(start + 8)
            long = int.from_bytes(file.read(8), "little")
        elif name == b"fmt ":
            file.seek(start)
            form = file.read(min(length, 1024))
        elif name == b"data":
            promised: int | None = long if wide and length in (0, 0xFFFF_FFFF) else length
            if not promised or promised >= (LONGEST if wide else PLACEHOLDER):
                promised = None
            head = as_au(form) if order == "big" else as_wav(_readable(form))
            # FFmpeg takes no RIFX for one, expects padding, and believes what it can.
            hidden = bool(start % 2) or (order == "big" and bool(head)) or _readable(form) != form
            hidden = hidden or (wide if promised is None else _goes_on(file, start, promised, size))
            more = tuple((at, min(at + long, size)) for other, at, long in chunks if other == b"data")
            return Samples(start, size, promised, hidden, head, more)
    return None


def _readable(form: bytes) -> bytes:
    """Return the format of a WAV of plain samples such that FFmpeg takes each for as wide as it is.

    Of 24 valid bits in 32, as Windows records them, it makes noise; of samples of no width nothing.
    """
    tag, channels, align, bits = struct.unpack_from("<HH8xHH", form.ljust(16, b"\0"))
    if tag == EXTENSIBLE and form[24:26] == PCM and bits != int.from_bytes(form[18:20], "little"):
        return form[:18] + form[14:16] + form[20:]
    if tag == 1 and not bits and channels and align:
        return form[:14] + (8 * align // channels).to_bytes(2, "little") + form[16:]
    return form


def as_wav(form: bytes) -> bytes:
    """Return the header of a WAV of this format and any length, up to its samples."""
    length = len(form).to_bytes(4, "little")
    return b"RIFF" + OPEN_END + b"WAVEfmt " + length + form + b"data" + OPEN_END


def as_au(form: bytes) -> bytes:
    """Return the header of an AU for the samples of a RIFX, a WAV with its highest byte first; may be empty."""
    tag, channels, rate, bits = struct.unpack_from(">HHI6xH", form.ljust(16, b"\0"))
    encoding = AU_ENCODINGS.get((tag, bits))
    return struct.pack(">4sI4sIII", b".snd", 24, OPEN_END, encoding, rate, channels) if encoding else b""


def _goes_on(file: BinaryIO, start: int, length: int, size: int) -> bool:
    """Return whether sound follows the samples that the header promises: no chunk, no tag, no padding."""
    position = start + length
    if position + 256 > size:
        return False
    file.seek(position)
    rest = file.read(1 << 16)
    if _is_name(rest[:4]) or _is_name(rest[1:5]) or rest.startswith((b"ID3", b"TAG", b"APETAGEX")):
        return False
    file.seek(max(position, size - (1 << 16)))
    return bool(rest.strip(b"\0")) or bool(file.read().strip(b"\0"))


def _w64(file: BinaryIO, size: int) -> Samples | None:
    position, form = 40, b""
    for _ in range(MOST_CHUNKS):
        if position + 24 > size:
            return None
        file.seek(position)
        head = file.read(24)
        length = int.from_bytes(head[16:], "little") - 24
        if head[:16] == W64_FORMAT:
            form = file.read(min(max(length, 16), 1024))
        elif head[:16] == W64_DATA:
            start = position + 24
            promised = length if 0 < length < LONGEST else None
            hidden = promised is None or _goes_on(file, start, promised + -promised % 8, size)
            return Samples(start, size, promised, hidden, as_wav(form))
        if length < 0:
            return None
        position += 24 + length + -length % 8
    return None


def _aiff(file: BinaryIO, size: int) -> Samples | None:
    common = 0
    for name, start, length in _chunks(file, 12, size, "big"):
        if name == b"COMM":
            common = start
        if name != b"SSND" or start > HEADER_BYTES:
            continue
        promised = length - 8 if 8 < length < PLACEHOLDER else None
        file.seek(0)
        head = bytearray(file.read(start + 8))
        available = size - start - 8
        head[4:8] = (size - 8 & 0xFFFF_FFFF).to_bytes(4)
        head[start - 4 : start] = (available + 8 & 0xFFFF_FFFF).to_bytes(4)
        frame = int.from_bytes(head[common : common + 2]) * -(
            -int.from_bytes(head[common + 6 : common + 8]) // 8
        )
        if common and frame:
            head[common + 2 : common + 6] = (available // frame & 0xFFFF_FFFF).to_bytes(4)
        hidden = promised is None or _goes_on(file, start + 8, promised, size)
        return Samples(start + 8, size, promised, hidden, bytes(head))
    return None


def _caf(file: BinaryIO, size: int) -> Samples | None:
    position = 8
    for _ in range(MOST_CHUNKS):
        if position + 12 > size:
            return None
        file.seek(position)
        head = file.read(12)
        length = int.from_bytes(head[4:])
        if head[:4] == b"data" and position < HEADER_BYTES:
            promised = length - 4 if 4 < length < LONGEST else None
            file.seek(0)
            start = file.read(position + 4) + b"\xff" * 8
            hidden = promised is not None and _goes_on(file, position + 16, promised, size)
            return Samples(position + 12, size, promised, hidden, start)
        if not _is_name(head[:4]):
            return None
        position += 12 + length
    return None


def _au(file: BinaryIO, size: int) -> Samples | None:
    file.seek(0)
    head = file.read(24)
    start, length = int.from_bytes(head[4:8]), int.from_bytes(head[8:12])
    if not 24 <= start <= min(size, HEADER_BYTES):
        return None
    head += file.read(start - 24)
    return Samples(
        start,
        size,
        length if 0 < length < PLACEHOLDER else None,
        length == 0,
        head[:8] + OPEN_END + head[12:],
    )


def is_cut_off(source: Source) -> bool | None:
    """Return whether the file ends before its own structure does; None where it has none that tells."""
    size = source.stat().st_size
    if found := samples(source):
        return found.promised is not None and found.start + found.promised > size
    with source.open("rb") as file:
        head = file.read(12)
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            return any(stop > size for _, _, stop in boxes(file, size))
        if head[:4] == b"\x1a\x45\xdf\xa3":
            return _segment_is_cut_off(file, size)
        if head[:4] == b"RIFF":
            length = int.from_bytes(head[4:8], "little")
            return 8 + length > size if 0 < length < PLACEHOLDER else None
        if head[:3] == b"FLV":
            return not _ends_with_a_tag(file, size)
        promised = mp3_bytes(file)
        return None if promised is None else promised > size


def boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, the beginning and the end of each box of an MP4; the last may end behind the file."""
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
    """Return a Matroska length, None for an unknown one, and where what it is of begins."""
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
    """Return whether an FLV ends with a whole tag, whose length follows it."""
    file.seek(max(0, size - 4))
    length = int.from_bytes(file.read(4))
    if not 11 <= length <= size - 13:
        return False
    file.seek(size - 4 - length)
    head = file.read(4)
    return head[0] in (8, 9, 18) and int.from_bytes(head[1:]) == length - 11


def mp3_bytes(file: BinaryIO) -> int | None:
    """Return how long an MP3 is by its first frame (Xing or Info), in bytes; None if it does not say."""
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


def following(source: Source, end: int) -> Iterator[Source]:
    """Yield what may be another recording behind the sound of a recording, by how it begins.

    Args:
        source: the recording.
        end: where its sound ends, in bytes.
    """
    size = source.stat().st_size
    with source.open("rb") as file:
        own = file.read(4)
        if not 0 < end < size:
            return
        file.seek(end)
        rest = file.read(SEARCH_BYTES)
    marks = {*BEGINNINGS, *([own] if own[0] else [])}
    for match in re.finditer(b"|".join(map(re.escape, sorted(marks))), rest):
        start = end + match.start() - 4 * (match[0] == b"ftyp")
        yield Splice(source, ((start, size),))


def header_of(source: Source) -> bytes:
    """Return what a recorder writes before the sound; slices of its stream need it. May be empty."""
    size = source.stat().st_size
    if found := samples(source):
        return found.head
    with source.open("rb") as file:
        head = file.read(SEARCH_BYTES >> 1)
        if head[:4] == b"\x1a\x45\xdf\xa3":
            head = head.partition(CLUSTER)[0]
            return _endless(head) if TRACKS in head else b""
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
    """Return whether a recorder's part holds the header of its stream (`header_of`), and no sound yet."""
    return 0 < source.stat().st_size <= len(header)


def _endless(head: bytes) -> bytes:
    """Return the beginning of a Matroska file with a segment of unknown length."""
    length, start = vint(head, 4)
    at = start + (length or 0) + 4
    _, body = vint(head, at)
    width = body - at
    return head[:at] + ((1 << 7 * width + 1) - 1).to_bytes(width) + head[body:]


def _ogg_header(data: bytes) -> int:
    """Return where the first Ogg page with sound begins: the pages before it are stamped 0 or not at all."""
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


def headed(part: Source, header: bytes) -> tuple[Splice, bool]:
    """Return a slice of a recorder's stream with the stream's header, and whether its times are the stream's.

    A slice may begin anywhere. What comes before the first place where a player can begin is left out, but of
    a Matroska cluster that began in an earlier slice the blocks are taken. Their times are the stream's if
    another cluster follows, which says when these end.
    """
    size = part.stat().st_size
    with part.open("rb") as file:
        head = file.read(SEARCH_BYTES)
        if header[:4] == b"\x1a\x45\xdf\xa3":
            start = head.find(CLUSTER)
            first = _first_block(head[: start if start >= 0 else len(head)])
            if first is None:
                return Splice(part, (header, (max(start, 0), size))), True
            time = None if start < 0 else _time_before(head, first, start)
            begin = b"\xe7\x88" + (time or 0).to_bytes(8)
            return Splice(
                part, (header + CLUSTER + b"\x01" + b"\xff" * 7 + begin, (first, size))
            ), time is not None
        if header[4:8] == b"ftyp":
            start = max(0, head.find(b"moof") - 4)
            return Splice(part, (header, *_rebased(file, start, size, len(header)))), True
    return Splice(part, (header, (0, size))), header[:4] in (b"OggS", b"fLaC")


def _first_block(data: bytes) -> int | None:
    """Return where within a Matroska cluster a row of whole blocks begins; None if there is none."""
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
    """Yield the track and the time (in the cluster, usually in ms) of each Matroska block from a place on."""
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


def _time_before(data: bytes, first: int, cluster: int) -> int | None:
    """Return the time of the cluster whose blocks begin at ``first``, from the time of the one behind it."""
    _, at = vint(data, cluster + len(CLUSTER))
    length, start = vint(data, at + 1)
    following = next(_blocks(data, start + (length or 0), len(data)), None)
    times = [time for track, time in _blocks(data, first, cluster) if following and track == following[0]]
    if data[at : at + 1] != b"\xe7" or not length or not following or not times:
        return None
    step = times[-1] - times[-2] if len(times) > 1 else 0
    return max(0, int.from_bytes(data[start : start + length]) + following[1] - step - times[-1])


def _rebased(file: BinaryIO, start: int, size: int, shift: int) -> Iterator[bytes | tuple[int, int]]:
    """Yield the stretches of a fragmented MP4, in whose headers offsets count from its new beginning."""
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
