"""Data sets of photos and label maps, by name: `open_data("celebamask-hq:PATH#train", resolution=128)`.

Importing this costs nothing: torch and Pillow are imported when a data set is opened.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zoo.data.specs import DataSpec as DataSpec
from zoo.data.specs import open_data as open_data
from zoo.data.specs import open_source as open_source
from zoo.data.specs import parse_spec as parse_spec
from zoo.data.specs import splits_of as splits_of

if TYPE_CHECKING:
    from zoo.data.pairs import Augment, Batch, PairData, Source, layers_of
    from zoo.data.sharded.stream import shards

__all__ = [
    "Augment",
    "Batch",
    "DataSpec",
    "PairData",
    "Source",
    "layers_of",
    "open_data",
    "open_source",
    "parse_spec",
    "shards",
    "splits_of",
]


def __getattr__(name: str) -> Any:
    if name in ("Augment", "Batch", "PairData", "Source", "layers_of"):
        return getattr(import_module("zoo.data.pairs"), name)
    if name == "shards":
        return import_module("zoo.data.sharded.stream").shards
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
