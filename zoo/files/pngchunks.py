"""PNG files chunk by chunk: checksums, order, and as many pixels as the header says. No torch in here.

Pillow looks at no checksum of the pixels and fills with zeros what a broken stream leaves out: background, in a label map.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import IO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PIECE = 1 << 18
"""Bytes that are looked at at once."""
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Bits a channel by colour type: grey, colours, palette, grey with alpha, colours with alpha."""
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row, and steps, of the seven passes of an interlaced picture."""
_ONCE = (b"IHDR", b"PLTE", b"IEND")
_CRITICAL = (*_ONCE, b"IDAT")


@dataclass(frozen=True)
class Header:
    """What IHDR says. kind: the colour type."""

    width: int
    height: int
    depth: int
    kind: int
    interlaced: bool

    @property
    def size(self) -> int:
        """Bytes of the pixels before they are compressed, with the filter byte of each row."""
        bits = self.depth * _CHANNELS[self.kind]
        total = 0
        for left, top, across, down in _PASSES if self.interlaced else ((0, 0, 1, 1),):
            columns, rows = -(-(self.width - left) // across), -(-(self.height - top) // down)
            if columns > 0 and rows > 0:
                total += rows * (1 + (columns * bits + 7) // 8)
        return total


def read_header(file: IO[bytes]) -> Header:
    """IHDR of a file that stands at its beginning. Raises ValueError for one that no PNG has."""
    start = file.read(33)
    if len(start) < 33 or start[8:16] != b"\0\0\0\rIHDR":
        raise ValueError("the header is cut off")
    if zlib.crc32(start[12:29]) != int.from_bytes(start[29:], "big"):
        raise ValueError("the checksum of IHDR is wrong")
    width, height, depth, kind, packing, filters, interlaced = struct.unpack(">IIBBBBB", start[16:29])
    legal = 0 < width < 1 << 31 and 0 < height < 1 << 31 and depth in _DEPTHS.get(kind, ())
    if not legal or packing or filters or interlaced > 1:
        raise ValueError(f"the header is none of a PNG: {width} x {height}, {depth} bits, colour type {kind}")
    return Header(width, height, depth, kind, interlaced == 1)


def check_chunks(file: IO[bytes], header: Header) -> int:
    """Look at all chunks of a file that stands behind its IHDR, up to IEND; what lies behind that is nobody's.

    Returns the number of pictures (animated PNGs hold several). Raises ValueError for a wrong checksum, a chunk that is cut off,
    missing, doubled or out of place, and for more or fewer pixels than the header says; zlib.error for a broken stream.
    """
    pixels = _Pixels(header.size)
    seen = {b"IHDR"}
    frames, animated, last = 0, False, b"IHDR"
    while last != b"IEND":
        head = file.read(8)
        if len(head) < 8:
            raise ValueError("the end is missing" if pixels.begun else "the pixels are missing")
        length, name = int.from_bytes(head[:4], "big"), head[4:]
        if not name.isalpha() or not name.isascii():
            raise ValueError("a chunk without a name")
        label = name.decode()
        if not name[0] & 32 and name not in _CRITICAL:
            raise ValueError(f"the chunk {label} is unknown and must not be left out")
        if name in _ONCE and name in seen:
            raise ValueError(f"the chunk {label} comes twice")
        if name == b"IDAT" and pixels.begun and last != name:
            raise ValueError("the pixels are interrupted")
        if name == b"PLTE" and (length % 3 or not 3 <= length <= 768 or pixels.begun):
            raise ValueError(
                f"a palette of {length} bytes" if not pixels.begun else "the palette comes after the pixels"
            )
        if name == b"IDAT" and header.kind == 3 and b"PLTE" not in seen:
            raise ValueError("the palette is missing")
        start = _read_chunk(file, name, length, pixels)
        if name == b"acTL" and not pixels.begun:
            frames = int.from_bytes(start[:4], "big")
        animated |= name == b"fcTL" and not pixels.begun
        seen.add(name)
        last = name
    if not pixels.complete:
        raise ValueError(f"{pixels.count:,} of {header.size:,} bytes of pixels are there")
    return max(1, frames + (frames > 0 and not animated))


def _read_chunk(file: IO[bytes], name: bytes, length: int, pixels: _Pixels) -> bytes:
    """Read a chunk and its checksum; its first bytes."""
    checksum, start = zlib.crc32(name), b""
    left = length
    while left:
        piece = file.read(min(left, PIECE))
        if not piece:
            raise ValueError(f"the chunk {name.decode()} is cut off")
        checksum = zlib.crc32(piece, checksum)
        start = start or piece[:16]
        left -= len(piece)
        if name == b"IDAT":
            pixels.add(piece)
    if name == b"IDAT":
        pixels.begun = True
    stated = file.read(4)
    if len(stated) < 4:
        raise ValueError(f"the chunk {name.decode()} is cut off")
    if checksum != int.from_bytes(stated, "big"):
        raise ValueError(f"the checksum of {name.decode()} is wrong")
    return start


class _Pixels:
    """Counts the bytes that the pixels unpack to; keeps none of them."""

    def __init__(self, size: int) -> None:
        self.size, self.count, self.begun = size, 0, False
        self._stream = zlib.decompressobj()

    @property
    def complete(self) -> bool:
        return self.count == self.size and self._stream.eof

    def add(self, piece: bytes) -> None:
        while piece and not self._stream.eof:
            self.count += len(self._stream.decompress(piece, PIECE))
            piece = self._stream.unconsumed_tail
            if self.count > self.size:
                raise ValueError("there are more pixels than the header says")
