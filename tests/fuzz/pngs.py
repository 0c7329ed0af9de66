"""PNG by chunks: taken apart, changed, put together with true or false checksums."""

from __future__ import annotations

import struct
import zlib
from random import Random

SIGNATURE = b"\x89PNG\r\n\x1a\n"
Chunk = tuple[bytes, bytes, bytes]
"""Kind, content, the four bytes of the checksum."""


def chunks(content: bytes) -> list[Chunk]:
    """The chunks of a good PNG."""
    found, at = [], len(SIGNATURE)
    while at < len(content):
        (size,) = struct.unpack(">I", content[at : at + 4])
        body = content[at + 8 : at + 8 + size]
        found.append((content[at + 4 : at + 8], body, content[at + 8 + size : at + 12 + size]))
        at += 12 + size
    return found


def chunk(kind: bytes, body: bytes) -> Chunk:
    """A chunk with its true checksum."""
    return kind, body, struct.pack(">I", zlib.crc32(kind + body))


def together(parts: list[Chunk]) -> bytes:
    """The file of these chunks."""
    return SIGNATURE + b"".join(struct.pack(">I", len(body)) + kind + body + crc for kind, body, crc in parts)


def mutate(rng: Random, content: bytes) -> tuple[bytes, str, bool]:
    """A changed PNG, what was changed, and whether a reader that takes it without a word must see the same pixels."""
    parts = chunks(content)
    data = [i for i, part in enumerate(parts) if part[0] == b"IDAT"]
    how = rng.choice(HOWS)
    at = rng.randrange(len(parts))
    if how == "flip":
        while not parts[at][1]:
            at = rng.randrange(len(parts))
        kind, body, crc = parts[at]
        spot = rng.randrange(len(body))
        changed = body[:spot] + bytes([body[spot] ^ (1 << rng.randrange(8))]) + body[spot + 1 :]
        parts[at] = (kind, changed, crc)
        return together(parts), f"a bit of {kind.decode()} flipped", True
    if how == "checksum":
        kind, body, crc = parts[at]
        parts[at] = (kind, body, bytes([crc[0] ^ 1]) + crc[1:])
        return together(parts), f"the checksum of {kind.decode()} is false", True
    if how == "short data":
        raw = zlib.decompress(b"".join(parts[i][1] for i in data))
        left = rng.randrange(len(raw))
        packed = zlib.compress(raw[:left])
        parts[data[0] : data[-1] + 1] = [chunk(b"IDAT", packed)]
        return together(parts), f"{left} of {len(raw)} bytes of pixels, checksums true", True
    if how == "cut data":
        packed = b"".join(parts[i][1] for i in data)
        left = rng.randrange(len(packed))
        parts[data[0] : data[-1] + 1] = [chunk(b"IDAT", packed[:left])]
        return together(parts), f"{left} of {len(packed)} packed bytes, checksum true", True
    if how == "drop":
        kind = parts.pop(at)[0]
        return together(parts), f"{kind.decode()} dropped", kind in (b"IDAT", b"IEND")
    if how == "double":
        parts.insert(at, parts[at])
        return together(parts), f"{parts[at][0].decode()} twice", parts[at][0] in (b"IDAT", b"IEND")
    if how == "order":
        rng.shuffle(parts)
        return together(parts), "chunks shuffled", False
    if how == "head":
        return _head(rng, parts)
    if how == "palette":
        entries = rng.choice([0, 1, 2, 5, 255, 256, 300])
        parts = [p for p in parts if p[0] != b"PLTE"]
        parts.insert(1, chunk(b"PLTE", rng.randbytes(entries * 3 + rng.choice([0, 0, 1]))))
        return together(parts), f"a palette of {entries}", False
    kind = rng.choice(
        [b"tEXt", b"iTXt", b"zTXt", b"iCCP", b"tRNS", b"gAMA", b"eXIf", b"acTL", b"fcTL", b"sBIT", b"abCD", b"ABCD"]
    )
    parts.insert(rng.randrange(1, len(parts)), chunk(kind, rng.randbytes(rng.choice([0, 1, 4, 8, 26, 300]))))
    return together(parts), f"a chunk {kind.decode()} put in", False


HOWS = (
    "flip",
    "flip",
    "checksum",
    "short data",
    "short data",
    "cut data",
    "drop",
    "double",
    "order",
    "head",
    "palette",
    "chunk",
)


def _head(rng: Random, parts: list[Chunk]) -> tuple[bytes, str, bool]:
    body = bytearray(parts[0][1])
    field = rng.choice(["width", "height", "depth", "kind", "interlace", "method"])
    if field in ("width", "height"):
        at = 0 if field == "width" else 4
        value = rng.choice([0, 1, 5, 49, 200, 20_000, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1])
        body[at : at + 4] = struct.pack(">I", value)
    else:
        value = rng.choice([0, 1, 2, 3, 4, 6, 8, 16, 77])
        body[{"depth": 8, "kind": 9, "method": 10, "interlace": 12}[field]] = value
    parts[0] = chunk(b"IHDR", bytes(body))
    return together(parts), f"{field} became {value}", False
