"""A generator chained into a synthesizer: the request, the run, its folder on disk.

`requests` reads what is asked for, `precheck` refuses what needs no model to refuse, `chain` draws batch by batch
(`conditions`: maps and photos to start from, `editing`, `styling`), `results` is what Python gets, `outputs`, `records` and
`manifest` are the folder that `zoo compose` writes and `zoo replay` makes again. Importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.composition.chain import Composition, Part, compose

__all__ = ["Composition", "Part", "compose"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in __all__:
            return getattr(import_module("zoo.composition.chain"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
