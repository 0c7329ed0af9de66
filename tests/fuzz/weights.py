"""Safetensors by header and bytes: shapes, types, offsets and names that lie, numbers that are none."""

from __future__ import annotations

import json
import struct
from random import Random
from typing import Any

from . import trees

NOT_FINITE = ("nan", "inf", "-inf")


def split(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and bytes of the tensors."""
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def join(header: Any, body: bytes) -> bytes:
    """The file of a header, whatever it says."""
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def poison(rng: Random, content: bytes) -> tuple[bytes, str]:
    """One number of one float tensor is none: NaN or infinite."""
    header, body = split(content)
    names = [
        n
        for n, t in header.items()
        if n != "__metadata__" and t["dtype"] in ("F32", "F16") and t["data_offsets"][1] > t["data_offsets"][0]
    ]
    if not names:
        return content, "nothing to poison"
    name, value = rng.choice(names), rng.choice(NOT_FINITE)
    start, end = header[name]["data_offsets"]
    form = "<f" if header[name]["dtype"] == "F32" else "<e"
    size = struct.calcsize(form)
    changed = bytearray(body)
    every = rng.random() < 0.3
    spots = range(start, end, size) if every else [start + size * rng.randrange((end - start) // size)]
    for spot in spots:
        changed[spot : spot + size] = struct.pack(form, float(value))
    return join(header, bytes(changed)), f"{name[:60]} has {'only' if every else 'one'} {value}"


def mutate(rng: Random, content: bytes) -> tuple[bytes, str]:
    """A changed file and what was changed."""
    header, body = split(content)
    names = [n for n in header if n != "__metadata__"]
    if not names or rng.random() < 0.25:
        return trees.damage(rng, content)
    name, how = (
        rng.choice(names),
        rng.choice(["shape", "shape", "dtype", "offsets", "rename", "drop", "extra", "tree", "length", "cast"]),
    )
    entry = header[name]
    if how == "shape":
        shape = entry["shape"]
        entry["shape"] = rng.choice(
            [[], [0], [*shape, 1], shape[::-1], [2**40], [0, 2**62], [n * 2 for n in shape], [-1], [1.5], "x", None]
        )
    elif how == "dtype":
        entry["dtype"] = rng.choice(["F64", "F16", "BF16", "I64", "U8", "BOOL", "F8_E4M3", "x", "", None, 3])
    elif how == "offsets":
        start, end = entry["data_offsets"]
        entry["data_offsets"] = rng.choice(
            [[0, 0], [end, start], [start, 2**63], [start + 4, end + 4], [-8, 0], [start], "x", [0, len(body)]]
        )
    elif how == "rename":
        header[rng.choice(trees.NAMES)] = header.pop(name)
    elif how == "drop":
        start, end = header.pop(name)["data_offsets"]
        body = body[:start] + body[end:]
        for other in header.values():
            if "data_offsets" in other and other["data_offsets"][0] >= end:
                other["data_offsets"] = [n - (end - start) for n in other["data_offsets"]]
    elif how == "extra":
        extra = rng.choice([4, 400])
        header[rng.choice(["extra.weight", *trees.NAMES])] = {
            "dtype": "F32",
            "shape": [extra // 4],
            "data_offsets": [len(body), len(body) + extra],
        }
        body += bytes(extra)
    elif how == "tree":
        header, told = trees.mutate(rng, header)
        return join(header, body), f"header: {told}"
    elif how == "length":
        told_size = rng.choice([0, 1, 2**20, 2**40, 2**63, 2**64 - 1])
        return struct.pack("<Q", told_size) + join(header, body)[8:], f"header length became {told_size}"
    else:
        header["__metadata__"] = rng.choice([{"x": 1}, {"x": "y" * 10000}, [], None, {"\0": "\x1b[2J"}])
    return join(header, body), f"{how} of {name[:60]}"
