"""Where the files of a shard lie in its tar. Only what the zoo writes is read: plain files of known names, in order, none too large.

Python's tarfile takes 0.17 ms a member, 5 s for 10,000 pairs, and reads links, devices and names of any kind, of which a shard has
none. No torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from zoo.errors import DataError, shown
from zoo.files.shardfiles import IMAGE_SUFFIXES, MAP_SUFFIX, RECORD_SUFFIX, key_of

BLOCK = 512
ROLES = ("image", "map", "json")
_SUFFIXES = {**dict.fromkeys(IMAGE_SUFFIXES, "image"), MAP_SUFFIX: "map", RECORD_SUFFIX: "json"}
MOST = {"image": 1 << 28, "map": 1 << 28, "json": 1 << 20}
"""Bytes that a member may have."""


@dataclass(frozen=True)
class Member:
    """One file of a sample. offset: of its content in the tar."""

    key: str
    role: str
    name: str
    offset: int
    size: int


def members_of(file: IO[bytes], where: str, *, seek: bool = True) -> Iterator[Member]:
    """The files of a tar in their order, each yielded with the file standing at its content.

    seek: False for a stream; then whoever takes a member reads the whole of it, no more. where: for messages.
    Raises DataError for what is no shard of the zoo: other names, links, keys out of order, a member twice, a cut file.
    """
    offset, last, roles = 0, "", set[str]()
    while True:
        block = file.read(BLOCK)
        if block == bytes(BLOCK):
            return
        if len(block) < BLOCK:
            raise DataError(f"{where} is cut off after {offset + len(block):,} bytes.")
        name, size = _header(block, where, offset)
        key, _, suffix = name.partition(".")
        role = _SUFFIXES.get(suffix, "")
        if not role or not key.isdecimal() or key != key_of(int(key)):
            raise DataError(
                f"{where} holds {shown(name)}, which is no file of a shard (KEY.image.png, KEY.map.png, KEY.json)."
            )
        if size > MOST[role]:
            raise DataError(f"{where}: {name} has {size:,} bytes, more than {MOST[role]:,}.")
        if key != last:
            if (len(key), key) <= (len(last), last):
                raise DataError(f"{where}: {name} comes after sample {last}; keys go up.")
            last, roles = key, set()
        if role in roles:
            raise DataError(f"{where} holds the {role} of sample {key} twice.")
        roles.add(role)
        offset += BLOCK
        yield Member(key, role, name, offset, size)
        padded = -(-size // BLOCK) * BLOCK
        offset += padded
        if seek:
            file.seek(offset)
        else:
            file.read(padded - size)


def _header(block: bytes, where: str, offset: int) -> tuple[str, int]:
    """Name and size that a block states."""
    try:
        stated = int(block[148:156].rstrip(b"\0 "), 8)
        if block[257:262] != b"ustar" or sum(block) - sum(block[148:156]) + 8 * 32 != stated:
            raise ValueError("its sum differs")
        name = block[:100].split(b"\0", 1)[0].decode("ascii")
        size = int(block[124:136].rstrip(b"\0 "), 8)
    except ValueError as error:
        raise DataError(f"{where} is no tar, or damaged, at byte {offset:,}.") from error
    if block[156:157] not in (b"0", b"\0") or block[345:346] != b"\0":
        raise DataError(f"{where} holds {shown(name)}, which is no plain file.")
    return name, size
