"""What the containers of pictures say before a pixel is decoded: format, size, how many pictures, what is lossy. No torch in here.

Formats are told from the first bytes alone; the ending of a name says nothing.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import IO

from zoo.files import pngchunks

MANY = 1000
"""Pictures of one file that are counted."""
_STARTS = (
    (pngchunks.SIGNATURE, "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)


@dataclass(frozen=True)
class Container:
    """format: Pillow's name. size: (width, height) where it is known already. pages: pictures, at most `MANY` are counted.

    lossy: how pixels were changed when the file was written, or None. cut: True where channels of more than 8 bits will be cut
    to 8. filled: False where the (first) picture leaves a part of its frame out.
    """

    format: str
    size: tuple[int, int] | None = None
    pages: int = 1
    lossy: str | None = None
    cut: bool = False
    filled: bool = True


def format_of(start: bytes) -> str | None:
    """The format that the first 16 bytes say, of those that are read; None for all others."""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    return next((name for sign, name in _STARTS if start.startswith(sign)), None)


def look_at(file: IO[bytes]) -> Container | None:
    """The container of a file; None if it is of no format that is read. The file is left anywhere.

    Raises ValueError, struct.error or zlib.error for a damaged one (PNG in all its parts, others in their outlines).
    """
    file.seek(0)
    name = format_of(file.read(16))
    file.seek(0)
    if name == "PNG":
        header = pngchunks.read_header(file)
        pages = pngchunks.check_chunks(file, header)
        size = (header.width, header.height)
        return Container("PNG", size, min(pages, MANY), cut=header.depth == 16 and header.kind in (2, 4, 6))
    if name == "WEBP":
        return _webp(file)
    if name == "GIF":
        return Container("GIF", pages=_gif_pages(file))
    if name == "TIFF":
        return Container("TIFF", pages=_tiff_pages(file))
    return None if name is None else Container(name, lossy="JPEG" if name == "JPEG" else None)


def stated_size(file: IO[bytes]) -> tuple[int, int] | None:
    """(width, height) that the header of a PNG states; None for other formats. Raises ValueError for a damaged header."""
    file.seek(0)
    if format_of(file.read(16)) != "PNG":
        return None
    file.seek(0)
    header = pngchunks.read_header(file)
    return header.width, header.height


def _exactly(file: IO[bytes], count: int) -> bytes:
    content = file.read(count)
    if len(content) < count:
        raise ValueError("the end is missing")
    return content


def _webp(file: IO[bytes]) -> Container:
    """A RIFF file: one picture, or frames on a canvas."""
    end = 8 + int.from_bytes(_exactly(file, 12)[4:8], "little")
    size: tuple[int, int] | None = None
    lossy, pages, filled = None, 0, True
    place, pictures = 12, 0
    while place + 8 <= end:
        file.seek(place)
        name, length = struct.unpack("<4sI", _exactly(file, 8))
        inside = place + 8
        if name == b"VP8X":
            canvas = _exactly(file, 10)
            size = (1 + int.from_bytes(canvas[4:7], "little"), 1 + int.from_bytes(canvas[7:10], "little"))
        elif name == b"ANMF":
            pages += 1
            box = _exactly(file, 16)
            x, y, width, height = (int.from_bytes(box[i : i + 3], "little") for i in (0, 3, 6, 9))
            if pages == 1:
                filled = (x, y) == (0, 0) and (width + 1, height + 1) == (size or (0, 0))
            place = inside + 16 if pages == 1 else inside + length + length % 2  # the pictures of the first frame
            if pages == MANY:
                break
            continue
        elif name in (b"VP8 ", b"VP8L"):
            pictures += 1
            start = _exactly(file, 10)
            if pictures == 1:
                lossy = "lossy WebP" if name == b"VP8 " else None
                size = size or _webp_size(name, start)
        if inside + length > end:
            raise ValueError("a part is longer than the file")
        place = inside + length + length % 2
    if not pictures:
        raise ValueError("the pixels are missing")
    return Container("WEBP", size, max(1, pages), lossy, filled=filled)


def _webp_size(name: bytes, start: bytes) -> tuple[int, int]:
    if name == b"VP8L":
        bits = int.from_bytes(start[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack("<HH", start[6:10])
    return width & 0x3FFF, height & 0x3FFF


def _gif_pages(file: IO[bytes]) -> int:
    """How many pictures a GIF holds. A missing trailer is no damage, as many tools leave it out; a picture that is cut off is."""
    flags = _exactly(file, 13)[10]
    _skip_colors(file, flags)
    pages = 0
    while pages < MANY:
        sign = file.read(1)
        if sign == b"\x2c":
            _skip_colors(file, _exactly(file, 9)[8])
            _exactly(file, 1)
            _skip_blocks(file)
            pages += 1
        elif sign == b"\x21":
            _exactly(file, 1)
            _skip_blocks(file)
        elif sign in (b"\x3b", b""):
            break
        elif sign != b"\0":  # padding, which Pillow skips too
            if not pages:
                raise ValueError("something that is no part of a GIF")
            break
    if not pages:
        raise ValueError("the pixels are missing")
    return pages


def _skip_colors(file: IO[bytes], flags: int) -> None:
    if flags & 128:
        _exactly(file, 3 << (flags & 7) + 1)


def _skip_blocks(file: IO[bytes]) -> None:
    while (length := _exactly(file, 1)[0]) != 0:
        _exactly(file, length)


def _tiff_pages(file: IO[bytes]) -> int:
    """How many directories follow each other."""
    start = _exactly(file, 16)
    order = "<" if start[:2] == b"II" else ">"
    large = b"+" in start[2:4]
    count, number, entry = ("Q", "Q", 20) if large else ("H", "I", 12)
    (place,) = struct.unpack_from(order + number, start, 8 if large else 4)
    seen: set[int] = set()
    while place and place not in seen and len(seen) < MANY:
        seen.add(place)
        file.seek(place)
        head = file.read(struct.calcsize(order + count))
        if len(head) < struct.calcsize(order + count):
            break
        file.seek(struct.unpack(order + count, head)[0] * entry, 1)
        tail = file.read(struct.calcsize(order + number))
        if len(tail) < struct.calcsize(order + number):
            break
        (place,) = struct.unpack(order + number, tail)
    return max(1, len(seen))
