"""The zoo: semantic mask generation and semantic image synthesis, any generator chained into any synthesizer.

    import zoo
    result = zoo.compose("mask-vae+scgan")(n=8, seed=0)
    result.save("faces")

Importing `zoo` imports nothing heavy; each name below is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo import moved
from zoo.version import __version__ as __version__

if TYPE_CHECKING:
    from zoo.api import create, list_models, load, save
    from zoo.composition import Composition, compose
    from zoo.composition.parsing import parse
    from zoo.errors import Cancelled, ZooError
    from zoo.inference.optimize import optimize
    from zoo.labels import LabelSet, LabelSpace
    from zoo.maps import LayeredMap, SemanticMap
    from zoo.registry import label_space
    from zoo.rng import Rng
    from zoo.style import Style

__all__ = [
    "Cancelled",
    "Composition",
    "LabelSet",
    "LabelSpace",
    "LayeredMap",
    "Rng",
    "SemanticMap",
    "Style",
    "ZooError",
    "compose",
    "create",
    "label_space",
    "list_models",
    "load",
    "optimize",
    "parse",
    "save",
]

_HOME = {
    "api": ("create", "list_models", "load", "save"),
    "composition": ("Composition", "compose"),
    "composition.parsing": ("parse",),
    "errors": ("Cancelled", "ZooError"),
    "inference.optimize": ("optimize",),
    "labels": ("LabelSet", "LabelSpace"),
    "maps": ("LayeredMap", "SemanticMap"),
    "registry": ("label_space",),
    "rng": ("Rng",),
    "style": ("Style",),
}

moved.install()

if not TYPE_CHECKING:  # else a type checker accepts any misspelt name

    def __getattr__(name):
        import importlib

        for module, names in _HOME.items():
            if name in names:
                value = getattr(importlib.import_module(f"zoo.{module}"), name)
                globals()[name] = value
                return value
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")

    def __dir__():
        return sorted([*__all__, "__version__"])
