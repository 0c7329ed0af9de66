"""Pickles by opcodes, and the files of torch around them. Payloads are harmless: they would only leave a mark."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from random import Random
from typing import Any

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
BIG = (1 << 31, 1 << 40, 1 << 62)


def text(value: str) -> bytes:
    """Push a text."""
    encoded = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def number(value: int) -> bytes:
    """Push a number."""
    content = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(content)]) + content


def name(rng: Random, module: str, attribute: str) -> tuple[bytes, str]:
    """Push a global, in one of the ways that pickle knows."""
    how = rng.choice(["GLOBAL", "STACK_GLOBAL", "memo", "dotted"])
    if how == "GLOBAL":
        return b"c" + f"{module}\n{attribute}\n".encode(), how
    if how == "STACK_GLOBAL":
        return text(module) + text(attribute) + b"\x93", how
    if how == "memo":  # both texts are pushed before and fetched again
        return text(module) + b"q\x640" + text(attribute) + b"q\x650" + b"h\x64h\x65\x93", how
    return text(module.split(".")[0]) + text(".".join([*module.split(".")[1:], attribute])) + b"\x93", how


def payload(rng: Random, mark: Path) -> tuple[bytes, str]:
    """Opcodes that leave one object, and make the mark if they are run."""
    touch = f"open({str(mark)!r}, 'w').close()"
    target, argument = rng.choice(
        [
            (("os", "system"), text(f"touch '{mark}'")),
            (("posix", "system"), text(f"touch '{mark}'")),
            (("nt", "system"), text(f"touch '{mark}'")),
            (("builtins", "eval"), text(touch)),
            (("builtins", "exec"), text(touch)),
            (("__builtin__", "eval"), text(touch)),
            (("subprocess", "getoutput"), text(f"touch '{mark}'")),
            (("runpy", "run_path"), text(str(mark) + ".py")),
            (("pathlib", "Path.touch"), name(rng, "pathlib", "PosixPath")[0] + text(str(mark)) + b"\x85R"),
            (("torch.jit", "load"), text(str(mark))),
            (("torch.hub", "load"), text(str(mark))),
            (("numpy", "load"), text(str(mark))),
            (("torch.utils._config_module", "exec"), text(touch)),
            (("torch.serialization", "os.system"), text(f"touch '{mark}'")),
            (("torch", "_utils.os.system"), text(f"touch '{mark}'")),
            (("code", "InteractiveInterpreter"), text(touch)),
            (("zoo.files.images", "write_text"), text(str(mark))),
        ]
    )
    function, way = name(rng, *target)
    how = rng.choice(["REDUCE", "OBJ", "INST", "NEWOBJ", "BUILD", "in a key", "after STOP"])
    told = f"{'.'.join(target)} by {way} and {how}"
    if how == "OBJ":
        return b"(" + function + argument + b"o", told
    if how == "INST":
        return b"(" + argument + b"i" + f"{target[0]}\n{target[1]}\n".encode(), told
    if how == "NEWOBJ":
        return function + argument + b"\x85\x81", told
    if how == "BUILD":
        ordered, _ = name(rng, "collections", "OrderedDict")
        return ordered + b")R" + b"}" + text("__reduce__") + function + b"s" + b"b", told
    if how == "in a key":
        return b"}" + function + argument + b"\x85R" + b"Ns", told
    if how == "after STOP":
        return b"N." + b"\x80\x02" + function + argument + b"\x85R", told
    return function + argument + b"\x85R", told


def large(rng: Random) -> tuple[bytes, str]:
    """Opcodes that ask allowed builders for far more than there is."""
    count = rng.choice(BIG)
    target = rng.choice(
        [
            ("builtins", "bytearray"),
            ("torch", "Size"),
            ("collections", "OrderedDict"),
            ("collections", "Counter"),
            ("builtins", "set"),
            ("builtins", "complex"),
            ("torch", "device"),
            ("torch", "FloatStorage"),
            ("torch.storage", "UntypedStorage"),
            ("_codecs", "encode"),
            ("builtins", "range"),
        ]
    )
    function, way = name(rng, *target)
    return function + number(count) + b"\x85R", f"{'.'.join(target)}({count}) by {way}"


def tensor(rng: Random, key: str, shape: tuple[int, ...], *, lie: bool) -> tuple[bytes, str]:
    """`_rebuild_tensor_v2` of a storage `key`; lie: its size, offset, shape or strides are not what the file holds."""
    count = 1
    for n in shape:
        count *= n
    offset, stride, told = 0, [], "true"
    step = 1
    for n in reversed(shape):
        stride.insert(0, step)
        step *= n
    if lie:
        told = rng.choice(["size", "offset", "shape", "stride", "zero stride", "negative"])
        count = rng.choice(BIG) if told == "size" else count
        offset = rng.choice([1, 1 << 40, -4]) if told == "offset" else offset
        shape = (
            rng.choice([(1 << 40,), (0, 1 << 62), (1 << 20, 1 << 20), (-1,)])
            if told in ("shape", "zero stride")
            else shape
        )
        stride = (
            [0] * len(shape)
            if told == "zero stride"
            else [rng.choice([1 << 40, -1])] * len(shape)
            if told == "stride"
            else stride
        )
        shape = tuple(-n for n in shape) if told == "negative" else shape
    kind = (
        rng.choice(["FloatStorage", "FloatStorage", "HalfStorage", "LongStorage", "NoStorage"])
        if lie
        else "FloatStorage"
    )
    storage = b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu") + number(count) + b"tQ"
    numbers = [b"(" + b"".join(map(number, values)) + b"t" for values in (shape, stride)]
    builder = b"ctorch._utils\n_rebuild_tensor_v2\n"
    return builder + b"(" + storage + number(offset) + numbers[0] + numbers[
        1
    ] + b"\x89" + b"ccollections\nOrderedDict\n)R" + b"tR", told


def dictionary(entries: dict[str, bytes]) -> bytes:
    """A pickle of a dict of objects given as opcodes."""
    return b"\x80\x02}" + b"".join(text(key) + value + b"s" for key, value in entries.items()) + b"."


def archive(rng: Random, content: bytes, storages: dict[str, bytes], *, odd: bool) -> tuple[bytes, str]:
    """The zip of torch.save around a pickle; odd: names, order, compression or checksums as torch does not write them."""
    told = (
        rng.choice(
            [
                "twice",
                "compressed",
                "upward",
                "no folder",
                "two pickles",
                "no storages",
                "checksum",
                "script",
                "encrypted",
                "before",
            ]
        )
        if odd
        else ""
    )
    stream = io.BytesIO()
    top = "archive"
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED if told == "compressed" else zipfile.ZIP_STORED) as file:
        prefix = {"upward": "../../", "no folder": ""}.get(told, f"{top}/")
        if told == "two pickles":
            file.writestr("other/data.pkl", dictionary({}))
        file.writestr(f"{prefix}data.pkl", content)
        if told == "twice":
            import warnings

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                file.writestr(f"{prefix}data.pkl", dictionary({}))
        if told == "script":
            file.writestr(f"{top}/constants.pkl", dictionary({}))
        file.writestr(f"{prefix}byteorder", "little")
        for key, body in {} if told == "no storages" else storages.items():
            file.writestr(f"{prefix}data/{key}", body)
        file.writestr(f"{prefix}version", "3\n")
    packed = bytearray(stream.getvalue())
    if told == "checksum":
        packed[packed.index(b"PK\x01\x02") + 16] ^= 1
    if told == "encrypted":
        packed[packed.index(b"PK\x01\x02") + 8] |= 1
    return (b"GIF89a" if told == "before" else b"") + bytes(packed), told


def legacy(content: bytes, storages: dict[str, bytes]) -> bytes:
    """As torch before 1.6 wrote: five pickles in a row, then the storages with their sizes."""
    facts: dict[str, Any] = {
        "protocol_version": PROTOCOL,
        "little_endian": True,
        "type_sizes": {"short": 2, "int": 4, "long": 4},
    }
    head = b"".join(pickle.dumps(value, 2) for value in (MAGIC, PROTOCOL, facts))
    bodies = b"".join(struct.pack("<q", len(body) // 4) + body for body in storages.values())
    return head + content + pickle.dumps(list(storages), 2) + bodies


def plain_state(rng: Random) -> OrderedDict[str, Any]:
    """A few tensors of a network that nobody knows."""
    import torch

    return OrderedDict(
        (f"layer{i}.weight", torch.full((rng.randrange(1, 9), 4), float(i))) for i in range(rng.randrange(1, 5))
    )
