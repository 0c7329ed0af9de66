"""A photo without what else its file says (where and when it was taken, by whom, with what, previews): for copies that travel.

The pixels stay as `photo_pixels` reads them. PNG and JPEG lose their other parts and stay what they are; any other file, and one that does
not read the same afterwards, becomes a PNG of its pixels, upright. A file that holds nothing else is returned as it is. No torch.
"""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import DataError
from zoo.files.decoding import decode_image, orientation
from zoo.files.images import photo_pixels

if TYPE_CHECKING:
    import numpy as np

ORIENTATION = 0x0112
"""The field of EXIF."""
PNG = b"\x89PNG\r\n\x1a\n"
_DRAWN = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
"""The chunks of a PNG that its pixels need."""
_PLAIN = (*_DRAWN, b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"pHYs", b"bKGD")
"""Chunks that say nothing of anybody, in the few bytes that they have."""
_SHORT = 32


def bare_photo(content: bytes, path: Path, pixels: np.ndarray) -> tuple[bytes, str]:
    """The bytes of a photo file without metadata, and the suffix that they need.

    content, path: the file and its name; pixels: uint8 RGB [H, W, 3], as `photo_pixels` gives it. Raises DataError for what cannot be read.
    """
    if content.startswith(PNG) and _is_plain_png(content):
        return content, path.suffix.lower()
    turn = orientation(decode_image(path, io.BytesIO(content)))
    try:
        if content.startswith(PNG):
            stripped = _bare_png(content, turn)
        else:
            stripped = _bare_jpeg(content, turn) if content.startswith(b"\xff\xd8\xff") else None
    except (IndexError, struct.error):
        stripped = None
    if stripped is not None and _reads_as(stripped, path, pixels):
        suffix = ".png" if content.startswith(PNG) else ".jpg"
        return stripped, path.suffix.lower() if path.suffix.lower() in (suffix, ".jpeg") else suffix
    import PIL.Image

    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, format="PNG", compress_level=3)
    return buffer.getvalue(), ".png"


def _reads_as(content: bytes, path: Path, pixels: np.ndarray) -> bool:
    import numpy as np

    try:
        return np.array_equal(photo_pixels(decode_image(path, io.BytesIO(content)), path), pixels)
    except (DataError, OSError):
        return False


def _exif(turn: int) -> bytes:
    """An EXIF block that holds the orientation alone."""
    return b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHHI", ORIENTATION, 3, 1, turn, 0, 0)


# --- PNG --------------------------------------------------------------------------------------------------------------


def _chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """Type and whole chunk of each up to IEND."""
    chunks, place = [], len(PNG)
    while place < len(content):
        (length,) = struct.unpack_from(">I", content, place)
        kind = content[place + 4 : place + 8]
        chunks.append((kind, content[place : place + length + 12]))
        place += length + 12
        if kind == b"IEND":
            break
    return chunks


def _is_plain_png(content: bytes) -> bool:
    try:
        chunks = _chunks(content)
    except struct.error:
        return False
    plain = all(k in _DRAWN or (k in _PLAIN and len(c) <= _SHORT + 12) for k, c in chunks)
    return plain and len(PNG) + sum(len(c) for _, c in chunks) == len(content)


def _bare_png(content: bytes, turn: int) -> bytes:
    chunks = [chunk for kind, chunk in _chunks(content) if kind in _DRAWN]
    if turn > 1:
        body = b"eXIf" + _exif(turn)
        chunks.insert(1, struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)))
    return PNG + b"".join(chunks)


# --- JPEG -------------------------------------------------------------------------------------------------------------

_APPLICATION, _COMMENT, _SCAN, _END = range(0xE0, 0xF0), 0xFE, 0xDA, b"\xff\xd9"
_ADOBE = 0xEE
"""The segment that says how colours are stored."""


def _bare_jpeg(content: bytes, turn: int) -> bytes | None:
    """None for a file that is not built as JPEGs are."""
    parts, place = [content[:2]], 2
    if turn > 1:
        body = b"Exif\0\0" + _exif(turn)
        parts.append(b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body)
    while True:
        if content[place] != 0xFF:
            return None
        marker = content[place + 1]
        if marker == 0xFF:  # padding
            place += 1
            continue
        (length,) = struct.unpack_from(">H", content, place + 2)
        segment = content[place : place + 2 + length]
        if marker == _SCAN:
            break
        bare_head = marker == 0xE0 and segment[4:9] == b"JFIF\0" and length == 16  # a longer one holds a preview
        adobe = marker == _ADOBE and segment[4:9] == b"Adobe" and length == 14
        if bare_head or adobe or (marker not in _APPLICATION and marker != _COMMENT):
            parts.append(segment)
        place += 2 + length
    end = content.find(_END, place)
    scans = content[place : end + 2]
    if end < 0 or any(bytes((0xFF, m)) in scans for m in (*_APPLICATION, _COMMENT)):
        return None
    return b"".join([*parts, scans])
