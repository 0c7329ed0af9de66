"""TensorFlow's checkpoints: written here in its format, read whole, and refused in a sentence where they are damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from zoo.checkpoints.reading import read_checkpoint
from zoo.checkpoints.tensorflow import MAGIC, index_beside
from zoo.errors import WeightsError

NUMBERS = {torch.float32: 1, torch.float64: 2, torch.int32: 3, torch.int64: 9}
TENSORS = {
    "g_4_conv1/weights": torch.arange(24.0).view(2, 3, 4, 1),
    "g_4_conv2/weights": torch.ones(5),
    "global_step": torch.tensor(7),
}


def varint(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    """A field of a protocol buffer."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def block(entries: dict[bytes, bytes], kind: int = 0) -> bytes:
    """A block of sorted entries whose keys share prefixes."""
    out, before = b"", b""
    for key, value in sorted(entries.items()):
        shared = next(
            (i for i, (a, b) in enumerate(zip(key, before, strict=False)) if a != b), min(len(key), len(before))
        )
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    return out + (0).to_bytes(4, "little") + (1).to_bytes(4, "little") + bytes([kind]) + b"crc!"


def write(folder: Path, tensors: dict[str, Tensor], *, kind: int = 0, part: int = 0, short: int = 0) -> Path:
    """A checkpoint `model.ckpt` in the format of TensorFlow; the path of its index."""
    entries, data = {b"": field(1, 1)}, b""
    for name, tensor in tensors.items():
        raw = tensor.numpy().tobytes()
        shape = b"".join(field(2, field(1, n)) for n in tensor.shape)
        place = field(4, len(data)) if data else b""
        entry = field(1, NUMBERS.get(tensor.dtype, 19)) + field(2, shape) + (field(3, part) if part else b"")
        entries[name.encode()] = entry + place + field(5, len(raw)) + varint(6 << 3 | 5) + b"crc!"
        data += raw
    content = block(entries, kind)
    at = varint(0) + varint(len(content) - 5)
    listing = block({b"z": at})
    footer = varint(0) + varint(0) + varint(len(content)) + varint(len(listing) - 5)
    index = folder / "model.ckpt.index"
    index.write_bytes(content + listing + footer.ljust(40, b"\0") + MAGIC)
    (folder / "model.ckpt.data-00000-of-00001").write_bytes(data[: len(data) - short])
    return index


def test_all_tensors_by_every_name(tmp_path: Path) -> None:
    index = write(tmp_path, TENSORS)
    for name in ("model.ckpt", "model.ckpt.index", "model.ckpt.data-00000-of-00001"):
        checkpoint = read_checkpoint(tmp_path / name)
        assert checkpoint.form == "tensorflow" and checkpoint.files[0] == index
        assert checkpoint.content.keys() == TENSORS.keys()
        assert all(torch.equal(checkpoint.content[k], v) for k, v in TENSORS.items())
    shapes = read_checkpoint(index, data=False).content
    assert all(shapes[k].is_meta and shapes[k].shape == v.shape for k, v in TENSORS.items())


def test_other_files_are_no_index(tmp_path: Path) -> None:
    (tmp_path / "model.ckpt").write_bytes(b"something else")
    write(tmp_path, TENSORS)
    assert index_beside(tmp_path / "model.ckpt") is None
    assert index_beside(tmp_path) is None and index_beside(tmp_path / "none") is None


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    index = write(tmp_path, TENSORS, short=9)
    with pytest.raises(WeightsError, match=r"would end at byte \d+ of \d+"):
        read_checkpoint(index)
    (tmp_path / "model.ckpt.data-00000-of-00001").unlink()
    with pytest.raises(WeightsError, match="not beside it: get both"):
        read_checkpoint(index)
    for words, how in (("compressed", {"kind": 1}), ("several parts", {"part": 1})):
        with pytest.raises(WeightsError, match=words):
            read_checkpoint(write(tmp_path, TENSORS, **how))
    with pytest.raises(WeightsError, match="type 19"):
        read_checkpoint(write(tmp_path, {"half": torch.ones(2, dtype=torch.float16)}))


def test_no_damaged_index_gives_anything_but_a_refusal(tmp_path: Path) -> None:
    """Every byte changed, and every length cut to: the file is refused, or read with other numbers, in bounded time."""
    whole = write(tmp_path, TENSORS).read_bytes()
    index = tmp_path / "model.ckpt.index"
    damaged = [
        whole[:i] + bytes([whole[i] ^ change]) + whole[i + 1 :]
        for i in range(len(whole) - 8)
        for change in (1, 0x80, 0xFF)
    ]
    damaged += [whole[:i] + MAGIC for i in range(0, len(whole) - 8, 3)]
    refused = 0
    for content in damaged:
        index.write_bytes(content)
        try:
            read_checkpoint(index)
        except WeightsError as error:
            assert len(str(error)) < 400
            refused += 1
    assert refused > len(damaged) // 3
