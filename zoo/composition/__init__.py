"""A generator chained into a synthesizer: the request, the run, its folder on disk.

`request`: what is asked for; `models`: which models, joined how; `checks`: what can be refused before work; `run`: batch by
batch; `folder`: what `zoo compose` writes and `zoo replay` makes again; `chain`: the composition that people call. Importing the
package costs nothing.
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
