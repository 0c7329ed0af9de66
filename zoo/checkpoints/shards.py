"""Safetensors in several files: an index (`model.safetensors.index.json`) says which file holds which tensor."""

from __future__ import annotations

import json
from pathlib import Path

from zoo.errors import WeightsError

SUFFIX = ".safetensors.index.json"
_LARGEST = 64 << 20


def index_of(path: Path) -> Path | None:
    """The index that a path means: itself, or the one of a folder that is no model folder of the zoo; None for any other path.

    Raises WeightsError for a folder with several.
    """
    if not path.is_dir():
        return path if path.name.endswith(SUFFIX) and path.is_file() else None
    found = sorted(path.glob(f"*{SUFFIX}"))
    if len(found) > 1:
        raise WeightsError(f"{path} has several indexes ({', '.join(p.name for p in found[:4])}): name one of them.")
    return found[0] if found else None


def read_index(index: Path) -> dict[Path, set[str]]:
    """The shards of an index, in its folder, and the tensors that each is said to hold.

    Raises WeightsError for an index that is damaged, names files outside its folder, or names files that are not there.
    """
    try:
        if index.stat().st_size > _LARGEST:
            raise ValueError(f"more than {_LARGEST >> 20} MiB")
        content = json.loads(index.read_text(encoding="utf-8"))
        names = content["weight_map"]
        pairs = {str(k): v for k, v in names.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(
            f"{index} is no index of safetensors ({type(error).__name__}: {error}): get it again."
        ) from error
    shards: dict[Path, set[str]] = {}
    for key, name in pairs.items():
        if not isinstance(name, str) or not _is_plain(name):
            raise WeightsError(
                f"{index} is refused: it names {name!r}, and shards lie beside their index, as NAME.safetensors."
            )
        shards.setdefault(index.parent / name, set()).add(key)
    for file in shards:
        if not file.is_file():
            raise WeightsError(f"{index} names {file.name}, which is not beside it: get all its files.")
        if not _inside(file):
            raise WeightsError(
                f"{index} is refused: {file.name} is a link to a file outside the folder. Copy it there."
            )
    if not shards:
        raise WeightsError(f"{index} names no tensors: get it again.")
    return dict(sorted(shards.items()))


def _is_plain(name: str) -> bool:
    """A bare file name of safetensors on any system."""
    return name.endswith(".safetensors") and not name.startswith(".") and not set(name) & set("/\\:\0")


def _inside(file: Path) -> bool:
    """Does a shard lie in its folder, or, by a link, in the `blobs` of the Hub's cache that the folder belongs to?"""
    folder = file.parent.resolve()
    blobs = folder.parent.parent / "blobs"
    target = file.resolve()
    return target.parent == folder or (folder.parent.name == "snapshots" and target.parent == blobs)
