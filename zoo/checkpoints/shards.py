"""Safetensors in several files: an index (`model.safetensors.index.json`) says which file holds which tensor."""

from __future__ import annotations

from pathlib import Path

from zoo.errors import WeightsError, shown
from zoo.files.jsonfiles import field, read_json
from zoo.files.ordinary import ordinary_file

SUFFIX = ".safetensors.index.json"
_MOST = 4096


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
    content = read_json(index, error=WeightsError, what="an index of safetensors")
    pairs = field(content, "weight_map", dict, where=f"{index} is no index of safetensors", error=WeightsError)
    shards: dict[Path, set[str]] = {}
    for key, name in pairs.items():
        if not isinstance(name, str) or not _is_plain(name):
            raise WeightsError(
                f"{index} is refused: it names {shown(repr(name), 200)}, and shards lie beside their index, as NAME.safetensors."
            )
        shards.setdefault(index.parent / name, set()).add(key)
    if len(shards) > _MOST:
        raise WeightsError(f"{index} names {len(shards):,} files, more than {_MOST:,}: no index of a checkpoint.")
    for file in shards:
        if ordinary_file(index.parent, file.name) is None:
            raise WeightsError(f"{index} names {file.name}, which is not beside it: get all its files.")
    if not shards:
        raise WeightsError(f"{index} names no tensors: get it again.")
    return dict(sorted(shards.items()))


def _is_plain(name: str) -> bool:
    """A bare file name of safetensors on any system."""
    return name.endswith(".safetensors") and not name.startswith(".") and not set(name) & set("/\\:\0")
