"""Find the samples in uncompressed files (WAV, RF64, W64, AIFF, CAF, AU) despite wrong headers.

Headers are written before the samples: a recorder that was killed leaves a length that is too small, one that
writes to a pipe leaves a placeholder, and a truncated copy has less than its header says. FFmpeg stops where
the header says.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import BinaryIO, Literal

from sessionscribe.audio.source import Source, Splice, is_local

PLACEHOLDER = 0x7FFF_0000
"""32-bit lengths from here on are placeholders (2 GiB and 4 GiB less a header, -1)."""
LONGEST = 1 << 56
HEADER_BYTES = 1 << 20
"""Largest header."""
MOST_CHUNKS = 1 << 20
"""Largest number of chunks; files with more are made to waste time."""
WAVE = re.compile(rb"(?:RIFF|RF64|BW64).{4}WAVE", re.DOTALL)
JUNK_BYTES = 4096
"""Largest amount of junk before the header of a WAV."""
W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
W64_FORMAT = b"fmt " + W64_DATA[4:]
OPEN_END = b"\xff" * 4
EXTENSIBLE, PCM = 0xFFFE, b"\1\0"
AU_ENCODINGS = {(1, 16): 3, (1, 24): 4, (1, 32): 5, (3, 32): 6, (3, 64): 7, (6, 8): 27, (7, 8): 1}
"""AU's numbers of sample formats, by WAV's number and bits per sample."""


@dataclass(frozen=True)
class Samples:
    """The position of the samples in a file, in bytes.

    Attributes:
        start: the first sample.
        promised: their length according to the header, or None without one.
        hidden: whether FFmpeg does not read all of them with the file's own header.
        head: a header with which it does.
        more: further ranges of samples.
    """

    start: int
    promised: int | None
    hidden: bool
    head: bytes
    more: tuple[tuple[int, int], ...] = ()


def repaired(source: Source) -> Source:
    """Return a recording that FFmpeg reads completely: with a new header if its own hides some samples."""
    found, size = samples(source), source.stat().st_size
    if found and found.more:
        first = (found.start, found.start + (found.promised or 0))
        return Splice(source, (found.head, first, *found.more))
    if found and found.hidden:
        return Splice(source, (found.head, (found.start, size)))
    if not found and is_local(source):
        with source.open("rb") as file:
            wave = WAVE.search(file.read(JUNK_BYTES))
        if wave and wave.start():
            return repaired(Splice(source, ((wave.start(), size),)))
    return source


def samples(source: Source) -> Samples | None:
    """Return the position of the samples in a WAV, RF64, W64, AIFF, CAF or AU, or None for other files."""
    with source.open("rb") as file:
        head = file.read(16)
        size = source.stat().st_size
        if WAVE.match(head) or (head[:4] == b"RIFX" and head[8:12] == b"WAVE"):
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
    file: BinaryIO,
    position: int,
    order: Literal["little", "big"],
    *,
    name: int = 4,
    length: int = 4,
    pad: int = 2,
) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and length of each chunk.

    Args:
        file: the file.
        position: start of the first chunk.
        order: byte order of lengths.
        name: bytes of a name.
        length: bytes of a length.
        pad: chunks are padded to a multiple of this.
    """
    for _ in range(MOST_CHUNKS):
        file.seek(position)
        head = file.read(name + length)
        if len(head) < name + length or not _is_name(head[:4]):
            return
        start, size = position + len(head), int.from_bytes(head[name:], order)
        if name > 4:
            size -= len(head)
        yield head[:name], start, size
        position = start + max(0, size)
        if pad == 2 and size % 2:
            file.seek(position)
            head = file.read(5)
            position += head[:4] != b"data" and _is_name(head[1:])  # many programs forget the padding
        elif pad > 2:
            position += -size % pad


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)


def _wav(file: BinaryIO, size: int) -> Samples | None:
    form, long = b"", 0
    file.seek(0)
    first = file.read(4)
    order: Literal["little", "big"] = "big" if first == b"RIFX" else "little"
    wide = first in (b"RF64", b"BW64")
    every = partial(_chunks, file, order=order)
    chunks = every(12)
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
            head = au_header(form) if order == "big" else wav_header(_corrected_format(form))
            # FFmpeg does not read RIFX, expects padding, and relies on the header.
            hidden = bool(start % 2) or (order == "big" and bool(head)) or _corrected_format(form) != form
            stop = start + (promised or 0)
            hidden = hidden or (wide if promised is None else _has_more_samples(file, stop, size, every))
            more = tuple((at, min(at + long, size)) for other, at, long in chunks if other == b"data")
            return Samples(start, promised, hidden, head, more)
    return None


def _corrected_format(form: bytes) -> bytes:
    """Return a WAV's format chunk, corrected so that FFmpeg uses the right sample width.

    FFmpeg decodes 24 valid bits in 32, as Windows records them, as noise, and nothing if the width is 0.
    """
    tag, channels, align, bits = map(int, struct.unpack_from("<HH8xHH", form.ljust(16, b"\0")))
    if tag == EXTENSIBLE and form[24:26] == PCM and bits != int.from_bytes(form[18:20], "little"):
        return form[:18] + form[14:16] + form[20:]
    if tag == 1 and not bits and channels and align:
        return form[:14] + (8 * align // channels).to_bytes(2, "little") + form[16:]
    return form


def wav_header(form: bytes) -> bytes:
    """Return the header of a WAV of this format and of unknown length."""
    length = len(form).to_bytes(4, "little")
    return b"RIFF" + OPEN_END + b"WAVEfmt " + length + form + b"data" + OPEN_END


def au_header(form: bytes) -> bytes:
    """Return an AU header for the big-endian samples of a RIFX, or nothing for an unknown format."""
    tag, channels, rate, bits = struct.unpack_from(">HHI6xH", form.ljust(16, b"\0"))
    encoding = AU_ENCODINGS.get((tag, bits))
    return struct.pack(">4sI4sIII", b".snd", 24, OPEN_END, encoding, rate, channels) if encoding else b""


def _has_more_samples(
    file: BinaryIO, position: int, size: int, chunks: Callable[[int], Iterator[tuple[bytes, int, int]]]
) -> bool:
    """Return whether more samples follow those that the header counts, not a chunk, a tag or padding."""
    if position + 256 > size:
        return False
    # Samples may look like a name, but hardly like a name and a length that fits.
    if any(start + length <= size for at in (0, 1) for _, start, length in islice(chunks(position + at), 1)):
        return False
    file.seek(position)
    if file.read(11).startswith((b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN")):
        return False
    return any(block.strip(b"\0") for block in iter(lambda: file.read(1 << 16), b""))


def _w64(file: BinaryIO, size: int) -> Samples | None:
    form = b""
    chunks = partial(_chunks, file, order="little", name=16, length=8, pad=8)
    for name, start, length in chunks(40):
        if name == W64_FORMAT:
            file.seek(start)
            form = file.read(min(max(length, 16), 1024))
        elif name == W64_DATA:
            promised = length if 0 < length < LONGEST else None
            stop = start + (promised or 0)
            hidden = promised is None or _has_more_samples(file, stop + -promised % 8, size, chunks)
            return Samples(start, promised, hidden, wav_header(form))
    return None


def _aiff(file: BinaryIO, size: int) -> Samples | None:
    common = 0
    chunks = partial(_chunks, file, order="big")
    for name, start, length in chunks(12):
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
        channels, bits = struct.unpack_from(">H4xH", head, common)
        if common and (frame := channels * -(-bits // 8)):
            head[common + 2 : common + 6] = (available // frame & 0xFFFF_FFFF).to_bytes(4)
        hidden = promised is None or _has_more_samples(file, start + 8 + promised, size, chunks)
        return Samples(start + 8, promised, hidden, bytes(head))
    return None


def _caf(file: BinaryIO, size: int) -> Samples | None:
    chunks = partial(_chunks, file, order="big", length=8, pad=1)
    for name, start, length in chunks(8):
        if name == b"data" and start < HEADER_BYTES:
            promised = length - 4 if 4 < length < LONGEST else None
            file.seek(0)
            head = file.read(start - 8) + 2 * OPEN_END
            hidden = promised is not None and _has_more_samples(file, start + 4 + promised, size, chunks)
            return Samples(start, promised, hidden, head)
    return None


def _au(file: BinaryIO, size: int) -> Samples | None:
    file.seek(4)
    start, length = struct.unpack(">II", file.read(8).ljust(8, b"\0"))
    if not 24 <= start <= min(size, HEADER_BYTES):
        return None
    file.seek(0)
    head = file.read(start)
    promised = length if 0 < length < PLACEHOLDER else None
    return Samples(start, promised, not length, head[:8] + OPEN_END + head[12:])
