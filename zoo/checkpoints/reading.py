"""A checkpoint file as nested tensors, without running anything of it and, where only shapes are asked, without its data."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from zoo.checkpoints.archives import check_archive, storage_sizes
from zoo.checkpoints.bounds import Refused, check_claims, claims_of
from zoo.checkpoints.extras import stand_ins
from zoo.checkpoints.foreign import EXPECTED, describe, is_tar
from zoo.checkpoints.refusals import (
    SCAN_LIMIT,
    TORCH_PICKLES,
    WAY_OUT,
    judge,
    named_refusal,
    pickle_bytes,
    refusal,
)
from zoo.checkpoints.shards import index_of, read_index
from zoo.checkpoints.tensorflow import index_beside, read_index_and_data
from zoo.errors import WeightsError
from zoo.files.headers import SIZES, damaged, read_header

_LEGACY = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"
"""The number with which the files of torch before 1.6 begin, as pickle writes it."""


@dataclass(frozen=True)
class Checkpoint:
    """A file that was read. form: "safetensors", "safetensors in N shards", "torch", "torch (before 1.6)" or "tensorflow"; content: what it holds,
    as nested as it is; files: all that were read, of shards the index first."""

    path: Path
    form: str
    content: Any
    files: tuple[Path, ...]


def read_checkpoint(path: Path, *, data: bool = True) -> Checkpoint:
    """Read a checkpoint: a file, the index or folder of sharded safetensors, or TensorFlow's index (`model.ckpt`). data: False gives tensors on the meta device, so that
    files of any size cost little.

    Pickles go through torch's `weights_only` loader, which imports nothing (`zoo.checkpoints.extras`). Raises WeightsError for what
    is no checkpoint, is damaged, claims more than it holds, or would run code (named, with the way out).
    """
    index = index_of(path)
    if index is not None:
        return _read_shards(path, index, data)
    index = index_beside(path)
    if index is not None:
        tensors, files = read_index_and_data(index, data=data)
        return Checkpoint(path, "tensorflow", tensors, files)
    form = _form(path)
    content = _read_safetensors(path, data) if form == "safetensors" else _read_pickle(path, form == "torch", data)
    return Checkpoint(path, form, content, (path,))


def _read_pickle(path: Path, archive: bool, data: bool) -> Any:
    """What a file of torch.save holds. archive: False before torch 1.6."""
    head = pickle_bytes(path)
    if archive and len(head) >= SCAN_LIMIT:
        raise WeightsError(
            f"{path} is refused: its pickle has more than {SCAN_LIMIT >> 20} MiB, as none of a checkpoint has."
        )
    pickles = 1 if archive else TORCH_PICKLES
    named = judge(head, pickles)
    if named.harmful:
        raise named_refusal(path, named.harmful)
    _check_pickle(path, head, pickles, archive, named.dicts)
    try:
        with warnings.catch_warnings(), stand_ins(named.names, named.dicts):
            warnings.simplefilter("ignore")  # about storage classes of old files
            where = "cpu" if data or not archive else "meta"
            content = torch.load(path, map_location=where, weights_only=True, mmap=archive)
        _check_claims(path, content, data)
    except pickle.UnpicklingError as error:
        raise refusal(path, str(error)) from None
    except WeightsError:
        raise
    except Exception as error:  # the loader meets damaged bytes in many ways
        raise _damaged(path, error) from error
    return content


def _check_pickle(path: Path, head: bytes, pickles: int, archive: bool, dicts: frozenset[str]) -> None:
    """Raise WeightsError for a pickle that asks for what no checkpoint does, and where torch would read another one than was judged."""
    try:
        if archive and torch._C.PyTorchFileReader(str(path)).get_record("data.pkl") != head:
            raise Refused("two readers find two different pickles in its archive")
        records = storage_sizes(path) if archive else None
        check_claims(claims_of(head, pickles, dicts), path.stat().st_size, records)
    except Refused as error:
        raise WeightsError(
            f"{path} is damaged, cut off, or hostile: {error}. Get it again from its publisher."
        ) from None
    except (ValueError, RuntimeError, OSError) as error:
        raise _damaged(path, error) from error


def _check_claims(path: Path, content: Any, data: bool) -> None:
    """Raise WeightsError where the tensors have more bytes than the file (tensors that share them count once), or no numbers."""
    size = path.stat().st_size
    tensors = list(_tensors(content))
    claimed = sum({t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in tensors}.values())
    if claimed > size:
        raise WeightsError(
            f"{path} is damaged or hostile: its tensors would have {claimed:,} bytes, the file has {size:,}. Get it again."
        )
    if data and any(t.is_meta for t in tensors):
        raise WeightsError(
            f"{path} holds shapes alone, without the numbers (tensors of the meta device): get the weights."
        )


def _tensors(content: Any) -> Iterator[torch.Tensor]:
    """All dense tensors of a nested content, each once."""
    seen: set[int] = set()
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, torch.Tensor):
            if value.layout is torch.strided:
                yield value
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list | tuple | set):
            waiting += value


def _read_shards(path: Path, index: Path, data: bool) -> Checkpoint:
    tensors: dict[str, torch.Tensor] = {}
    shards = read_index(index)
    for file, keys in shards.items():
        if _form(file) != "safetensors":
            raise WeightsError(f"{index} names {file.name}, which is no safetensors file. {WAY_OUT}")
        found = _read_safetensors(file, data)
        if odd := sorted(found.keys() ^ keys):
            where = "the index alone" if odd[0] in keys else "the shard alone"
            raise WeightsError(f"{index} and {file.name} do not agree ({odd[0]} is in {where}): get both again.")
        tensors |= found
    return Checkpoint(path, f"safetensors in {len(shards)} shards", tensors, (index, *shards))


def _form(path: Path) -> str:
    """Which format a file has, by its first bytes. Raises WeightsError for any other."""
    if path.is_dir():
        hint = " (a model folder of the zoo: it needs no conversion)" if (path / "config.json").is_file() else ""
        raise WeightsError(f"{path} is a folder{hint}: name the checkpoint file.")
    if not path.is_file():
        raise WeightsError(f"There is no file {path}.")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise WeightsError(f"Cannot read {path}: {error.strerror or error}.") from error
    if not head:
        raise WeightsError(f"{path} is empty: {EXPECTED}. Get it again.")
    if size > 10 and 2 <= int.from_bytes(head[:8], "little") <= size - 8 and head[8:9] == b"{":
        return "safetensors"
    if head[:4] == b"PK\x03\x04":
        check_archive(path, size)
        return "torch"
    if head[:1] == b"\x80" and _LEGACY in head[:32] and not is_tar(head):
        return "torch (before 1.6)"
    raise WeightsError(f"{path} is {describe(path, head)}")


def _damaged(path: Path, error: Exception) -> WeightsError:
    """For whatever else went wrong inside the loader; what a hostile file would import is named."""
    if judge(pickle_bytes(path)).harmful:
        return refusal(path, str(error))
    reason = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
    return WeightsError(
        f"{path} is damaged, cut off, or no checkpoint ({reason}; {path.stat().st_size} bytes): get it again."
    )


def _read_safetensors(path: Path, data: bool) -> dict[str, torch.Tensor]:
    header = read_header(path, types=frozenset(SIZES))
    if not data:
        return {k: torch.empty(stored.shape, device="meta") for k, stored in header.items()}
    try:
        with safe_open(str(path), "pt") as file:
            return {k: file.get_tensor(k) for k in header}
    except (SafetensorError, OSError, ValueError, TypeError, RuntimeError, KeyError) as error:  # odd types
        raise damaged(path, error, path.stat().st_size) from error
