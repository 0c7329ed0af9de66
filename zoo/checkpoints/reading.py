"""A checkpoint file as nested tensors, without running anything of it and, where only shapes are asked, without its data."""

from __future__ import annotations

import pickle
import tarfile
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from zoo.checkpoints.refusals import HARMLESS, globals_of, pickle_bytes, refusal
from zoo.errors import WeightsError

_LEGACY = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"
"""The number with which the files of torch before 1.6 begin, as pickle writes it."""
EXPECTED = "expected a checkpoint of torch.save, or safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A file that was read. form: "safetensors", "torch", or "torch (before 1.6)"; content: what it holds, as nested as it is."""

    path: Path
    form: str
    content: Any


def read_checkpoint(path: Path, *, data: bool = True) -> Checkpoint:
    """Read a checkpoint. data: False gives tensors on the meta device, so that files of any size cost little.

    Pickles go through torch's `weights_only` loader, which imports nothing. Raises WeightsError for what is no checkpoint, is
    damaged, or would run code (named, with the way out).
    """
    form = _form(path)
    if form == "safetensors":
        return Checkpoint(path, form, _read_safetensors(path, data))
    archive = form == "torch"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about storage classes of old files
            where = "cpu" if data or not archive else "meta"
            content = torch.load(path, map_location=where, weights_only=True, mmap=archive)
    except pickle.UnpicklingError as error:
        raise refusal(path, str(error)) from None
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:  # the loader meets damaged bytes in many ways
        raise _damaged(path, error) from error
    return Checkpoint(path, form, content)


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
            head = file.read(512)
    except OSError as error:
        raise WeightsError(f"Cannot read {path}: {error.strerror or error}.") from error
    if not head:
        raise WeightsError(f"{path} is empty: {EXPECTED}. Get it again.")
    if size > 10 and 2 <= int.from_bytes(head[:8], "little") <= size - 8 and head[8:9] == b"{":
        return "safetensors"
    if head[:4] == b"PK\x03\x04":
        return _archive(path, size)
    if head[:1] == b"\x80" and _LEGACY in head[:32]:
        return "torch (before 1.6)"
    raise WeightsError(f"{path} is {_describe(path, head)}")


def _archive(path: Path, size: int) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise WeightsError(f"{path} is damaged or cut off ({error}, {size} bytes): get it again.") from error
    leaves = {n.rpartition("/")[2] for n in names}
    if "constants.pkl" in leaves or any("/code/" in f"/{n}" for n in names):
        raise WeightsError(
            f"{path} is refused: it is a TorchScript archive, which is code and not only tensors. Nothing of it was run. If you trust"
            " its authors, save torch.jit.load(FILE).state_dict() with safetensors.torch.save_file on a machine that holds"
            " nothing of value, and convert that file."
        )
    if "data.pkl" not in leaves:
        raise WeightsError(f"{path} is a zip archive without a checkpoint (it has {', '.join(names[:4])}): {EXPECTED}.")
    return "torch"


def _describe(path: Path, head: bytes) -> str:
    text = head.lstrip().lower()
    if text.startswith(b"version https://git-lfs"):
        return (
            "a Git LFS pointer, not the file itself: fetch it (git lfs pull) or download it from the repository's page."
        )
    if text.startswith((b"<!doctype", b"<html")):
        return "a web page, so the download went wrong: get the file itself."
    if globals_of(pickle_bytes(path)):
        return str(refusal(path, "")).removeprefix(f"{path} is ")
    if head[:1] == b"\x80":
        return f"a pickle, but none of torch.save: {EXPECTED}."
    if tarfile.is_tarfile(path):
        return "a tar archive (very old torch, or a package): unpack it, or save it once with a newer torch."
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        return "an HDF5 file (Keras or TensorFlow): " + EXPECTED + "."
    return f"no checkpoint (it starts with {head[:16]!r}): {EXPECTED}."


def _damaged(path: Path, error: Exception) -> WeightsError:
    """For whatever else went wrong inside the loader; what a hostile file would import is named."""
    if any(not HARMLESS.fullmatch(n) for n in globals_of(pickle_bytes(path))):
        return refusal(path, str(error))
    reason = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
    return WeightsError(
        f"{path} is damaged, cut off, or no checkpoint ({reason}; {path.stat().st_size} bytes): get it again."
    )


def _read_safetensors(path: Path, data: bool) -> dict[str, torch.Tensor]:
    try:
        with safe_open(str(path), "pt") as file:
            if data:
                return {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 (not a dict)
            return {k: torch.empty(file.get_slice(k).get_shape(), device="meta") for k in file.keys()}  # noqa: SIM118
    except (
        SafetensorError,
        OSError,
        ValueError,
        TypeError,
        RuntimeError,
        OverflowError,
    ) as error:  # odd types, huge sizes
        raise WeightsError(
            f"{path} is damaged or no safetensors file ({error}, {path.stat().st_size} bytes): get it again."
        ) from error
