"""Checkpoints of TensorFlow (`model.ckpt.index` with its `.data-00000-of-00001`), read without TensorFlow; nothing in them runs.

The index is a table of sorted strings in blocks: a footer of 48 bytes points to the block of blocks, and each entry maps a variable's
name to a protocol buffer with its type, shape, place and size in the data file. Tensors keep their names and TensorFlow's layout.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.errors import WeightsError

MAGIC = 0xDB4775248B80FB57.to_bytes(8, "little")
FOOTER = 48
MOST_INDEX = 64 << 20
"""Bytes of the largest index that is read; a network of ten thousand variables has a megabyte."""
MOST_DIMENSIONS = 8
TYPES = {1: torch.float32, 2: torch.float64, 3: torch.int32, 9: torch.int64}
"""Numbers of TensorFlow's types."""


def is_index(path: Path) -> bool:
    """Whether a file ends as an index does."""
    if not path.is_file() or path.stat().st_size < FOOTER:
        return False
    with path.open("rb") as file:
        file.seek(-len(MAGIC), 2)
        return file.read() == MAGIC


def index_beside(path: Path) -> Path | None:
    """The index that a name stands for: `model.ckpt`, `model.ckpt.index` or `model.ckpt.data-00000-of-00001`; None if there is none."""
    if is_index(path):
        return path
    stem = re.sub(r"\.data-\d{5}-of-\d{5}$", "", path.name)
    if not stem or (stem == path.name and path.exists()):
        return None
    index = path.with_name(f"{stem}.index")
    return index if is_index(index) else None


def read_index_and_data(index: Path, *, data: bool = True) -> tuple[dict[str, Tensor], tuple[Path, ...]]:
    """(the tensors by their names, the files that were read). data: False gives tensors on the meta device.

    Raises WeightsError for a damaged index, one that claims more than its data file holds, types that no network has, checkpoints in
    several parts, and a data file that is not there.
    """
    entries = _entries(index)
    file = index.with_name(f"{index.name.removesuffix('.index')}.data-00000-of-00001")
    if not file.is_file():
        raise WeightsError(f"{index} belongs to a file {file.name}, which is not beside it: get both.")
    size, tensors = file.stat().st_size, {}
    with file.open("rb") as stream:
        for name, (dtype, shape, offset, count) in entries.items():
            if offset + count > size:
                raise _damaged(index, f"{name} would end at byte {offset + count} of {size}")
            if not data:
                tensors[name] = torch.empty(shape, dtype=dtype, device="meta")
                continue
            stream.seek(offset)
            buffer = bytearray(stream.read(count))
            tensors[name] = torch.frombuffer(buffer, dtype=dtype).reshape(shape) if count else torch.empty(shape)
    return tensors, (index, file)


def _damaged(index: Path, why: str) -> WeightsError:
    return WeightsError(f"{index} is damaged, cut off, or no index of TensorFlow ({why}): get it again.")


def _entries(index: Path) -> dict[str, tuple[torch.dtype, tuple[int, ...], int, int]]:
    """By variable: type, shape, offset and bytes in the data file."""
    content = index.read_bytes() if index.stat().st_size <= MOST_INDEX else b""
    if not content:
        raise _damaged(index, f"{index.stat().st_size} bytes")
    found: dict[str, tuple[torch.dtype, tuple[int, ...], int, int]] = {}
    try:
        footer, at = content[-FOOTER:], 0
        numbers = []
        for _ in range(4):
            value, at = _varint(footer, at)
            numbers.append(value)
        for _, place in _block(content, *numbers[2:]):
            offset, at = _varint(place, 0)
            size, _ = _varint(place, at)
            for key, value in _block(content, offset, size):
                if key:  # the entry without a name is the header
                    name = key.decode("utf-8")
                    found[name] = _variable(name, dict(_fields(value)))
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise _damaged(index, str(error)) from None
    if not found:
        raise _damaged(index, "it names no variable")
    return found


def _block(content: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """The entries of a block: keys share a prefix with the one before."""
    if size < 4 or offset + size + 5 > len(content):
        raise ValueError(f"a block would end at byte {offset + size + 5} of {len(content)}")
    if content[offset + size]:
        raise ValueError("its blocks are compressed")
    block = content[offset : offset + size]
    end = size - 4 - 4 * int.from_bytes(block[-4:], "little")
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        length, at = _varint(block, at)
        if shared > len(key) or at + own + length > end:
            raise ValueError("an entry reaches beyond its block")
        key = key[:shared] + block[at : at + own]
        yield key, block[at + own : at + own + length]
        at += own + length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """(a number of variable length, the place behind it)."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number without an end")


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field of a protocol buffer."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
        elif kind == 2:
            size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
        elif kind in (1, 5):
            width = 8 if kind == 1 else 4
            value, at = data[at : at + width], at + width
        else:
            raise ValueError(f"a field of kind {kind}")
        if at > len(data):
            raise ValueError("a field reaches beyond its entry")
        yield tag >> 3, value


def _variable(name: str, fields: dict[int, Any]) -> tuple[torch.dtype, tuple[int, ...], int, int]:
    """What an entry says: field 1 type, 2 shape, 3 part, 4 offset, 5 bytes."""
    dtype = TYPES.get(fields.get(1, 0))
    if dtype is None:
        raise ValueError(f"{name} has numbers of TensorFlow's type {fields.get(1, 0)}")
    if fields.get(3, 0) or 7 in fields:
        raise ValueError(f"{name} lies in several parts, and only checkpoints in one are read")
    shape = tuple(dict(_fields(value)).get(1, 0) for number, value in _fields(fields.get(2, b"")) if number == 2)
    offset, count = fields.get(4, 0), fields.get(5, 0)
    if len(shape) > MOST_DIMENSIONS or prod(shape) * dtype.itemsize != count:
        raise ValueError(f"{name} of shape {list(shape)} would have {count} bytes")
    return dtype, shape, offset, count
