"""What a safetensors file says that it holds, checked against the bytes that are there before anything is allocated. No torch in here.

A file is 8 bytes (the length of the header), the header (JSON: of each tensor its type, shape and place), and the numbers.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from zoo.errors import WeightsError, ZooError, shown
from zoo.files.jsonfiles import parse_json

SUFFIX = ".safetensors"
HEADER = 32 << 20
"""Bytes of the longest header that is read."""
TENSORS = 200_000
"""More than any network has."""
AXES = 16
"""More than any tensor has."""
LONGEST_NAME = 1000
"""Characters of a tensor's name."""
LONGEST_AXIS = 1 << 40
SIZES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1,
    "I16": 2, "U16": 2, "F16": 2, "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "C64": 8, "F64": 8, "I64": 8, "U64": 8,
}  # fmt: skip
"""Bytes of a number of each type."""
OURS = frozenset({"F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"})
"""Types that model folders and styles hold; checkpoints may have the others."""
_EXPONENTS = {
    "F64": (np.uint64, 0x7FF0000000000000),
    "F32": (np.uint32, 0x7F800000),
    "F16": (np.uint16, 0x7C00),
    "BF16": (np.uint16, 0x7F80),
}
"""Per type: integers of its size, and the bits of an exponent that only NaN and infinities have all set."""
_STEP = 1 << 18
"""Numbers that are looked at in one go: what stays in the processor's cache."""


@dataclass(frozen=True)
class Stored:
    """A tensor in a file. start, end: bytes from the file's beginning."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def numel(self) -> int:
        """How many numbers."""
        return math.prod(self.shape)


class _Damaged(Exception):
    """What is wrong with a header."""


def damaged(where: Path | str, reason: object, size: int) -> WeightsError:
    """The error for a file that is no safetensors."""
    return WeightsError(f"{where} is damaged or no safetensors file ({reason}, {size} bytes): get it again.")


def read_header(path: Path, *, types: frozenset[str] = OURS) -> dict[str, Stored]:
    """The tensors of a file by name. Raises WeightsError where the header is not that of a safetensors file, or says other than what
    is there: too long, places that overlap, leave gaps or end elsewhere than the file, shapes of another size, types but `types`.
    """
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            size = file.tell()
            file.seek(0)
            return header_of(file, size, path, types=types)
    except OSError as error:
        raise WeightsError(f"Cannot read {path}: {error.strerror or error}.") from error


def header_of(
    file: IO[bytes],
    size: int,
    where: Path | str,
    *,
    types: frozenset[str] = OURS,
    metadata: dict[str, str] | None = None,
) -> dict[str, Stored]:
    """`read_header` of an open file of `size` bytes; `metadata` is filled with the texts beside the tensors."""
    try:
        length = int.from_bytes(file.read(8), "little") if size >= 8 else -1
        if not 2 <= length <= min(HEADER, size - 8):
            raise _Damaged("its first 8 bytes give no length of a header")
        try:
            values = parse_json(file.read(length), where="its header", limit=HEADER)
        except ZooError as error:
            raise _Damaged(str(error).rstrip(".")) from error
        texts = values.pop("__metadata__", {})
        if not isinstance(texts, dict) or not all(isinstance(v, str) for v in texts.values()):
            raise _Damaged("its metadata are no texts")
        if metadata is not None:
            metadata.update(texts)
        if len(values) > TENSORS:
            raise _Damaged(f"it names {len(values):,} tensors, more than {TENSORS:,}")
        return _places(values, 8 + length, size, types)
    except _Damaged as fault:
        raise damaged(where, fault, size) from None


def _places(values: Mapping[str, Any], begin: int, size: int, types: frozenset[str]) -> dict[str, Stored]:
    tensors = {name: _stored(name, entry, begin, types) for name, entry in values.items()}
    here = begin
    for name, stored in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)):
        if stored.start != here:
            raise _Damaged(f"the tensor {shown(name)} overlaps another one or leaves a gap")
        here = stored.end
    if here != size:
        raise _Damaged(f"its tensors end at byte {here}")
    return tensors


def _stored(name: str, entry: Any, begin: int, types: frozenset[str]) -> Stored:
    if len(name) > LONGEST_NAME or not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise _Damaged(f"the entry {shown(name)} is that of no tensor")
    dtype, shape, places = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in SIZES or dtype not in types:
        raise _Damaged(f"the tensor {shown(name)} has numbers of the type {shown(dtype)}")
    if not _counts(shape, AXES) or not _counts(places, 2) or len(places) != 2:
        raise _Damaged(f"the tensor {shown(name)} has no shape or place")
    if max(shape, default=0) > LONGEST_AXIS or math.prod(shape) * SIZES[dtype] != places[1] - places[0]:
        raise _Damaged(f"the tensor {shown(name)} of shape {shown(shape)} has {places[1] - places[0]} bytes")
    return Stored(dtype, tuple(shape), begin + places[0], begin + places[1])


def _counts(value: Any, most: int) -> bool:
    """Whether this is a list of whole numbers from 0."""
    return isinstance(value, list) and len(value) <= most and all(type(n) is int and 0 <= n < 1 << 62 for n in value)


# --- numbers --------------------------------------------------------------------------------------------------------


def check_finite(path: Path, header: Mapping[str, Stored]) -> None:
    """Raise WeightsError that names a tensor of the file with NaN or infinite numbers. One pass over the bytes."""
    if not any(stored.end > stored.start for stored in header.values()):
        return
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            name = not_finite(content, header)
    except (OSError, ValueError) as error:
        raise WeightsError(f"Cannot read {path}: {error}.") from error
    if name is not None:
        raise WeightsError(
            f"{path}: the tensor {shown(name)} has numbers that are not finite (NaN or infinity), with which no picture or map can be"
            " made: get the file again, or train anew."
        )


def not_finite(content: Any, header: Mapping[str, Stored]) -> str | None:
    """The name of a tensor with NaN or infinite numbers in the bytes of a file, or None."""
    for dtype, begin, end in _stretches(header.values()):
        kind, exponent = _EXPONENTS[dtype]
        numbers = np.frombuffer(content, kind, (end - begin) // kind().itemsize, begin)
        for i in range(0, len(numbers), _STEP):
            if int((numbers[i : i + _STEP] & kind(exponent)).max()) == exponent:
                at = begin + kind().itemsize * (
                    i + int(np.argmax((numbers[i : i + _STEP] & kind(exponent)) == kind(exponent)))
                )
                del numbers  # a mapped file cannot be closed while somebody looks at it
                return next(name for name, stored in header.items() if stored.start <= at < stored.end)
        del numbers
    return None


def _stretches(tensors: Any) -> Iterator[tuple[str, int, int]]:
    """Neighbours of one type with fractions as one: (type, first byte, byte behind the last)."""
    dtype, begin, end = "", 0, 0
    for stored in sorted(tensors, key=lambda s: (s.start, s.end)):
        if stored.end == stored.start:
            continue
        if stored.dtype != dtype:
            if dtype in _EXPONENTS:
                yield dtype, begin, end
            dtype, begin = stored.dtype, stored.start
        end = stored.end
    if dtype in _EXPONENTS:
        yield dtype, begin, end
