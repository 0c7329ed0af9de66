"""Where modules of version 0.1 lie now, so that plugins written for it keep working. A DeprecationWarning names the new place.

A plugin's imports come from `zoo.plugin`, `zoo.nn`, `zoo.families` and the parts of `zoo` by their present names.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

MOVED: dict[str, tuple[str, ...]] = {
    "zoo.budget": ("zoo.store.budget",),
    "zoo.card_check": ("zoo.hub.checking",),
    "zoo.card_data": ("zoo.cards.writing", "zoo.store.models"),
    "zoo.card_head": ("zoo.cards.head",),
    "zoo.digests": ("zoo.files.digests",),
    "zoo.discovery": ("zoo.registry.discovery",),
    "zoo.fast": ("zoo.inference.optimize",),
    "zoo.folders": ("zoo.files.folders",),
    "zoo.images": ("zoo.files.images", "zoo.files.writing"),
    "zoo.licenses": ("zoo.cards.licenses",),
    "zoo.mapfiles": ("zoo.files.mapfiles",),
    "zoo.mapguess": ("zoo.files.mapguess",),
    "zoo.nn.diffaugment": ("zoo.families.spade.diffaugment",),
    "zoo.nn.discriminators": ("zoo.families.spade.discriminators",),
    "zoo.nn.encoders": ("zoo.families.spade.encoders",),
    "zoo.nn.fpse": ("zoo.families.spade.fpse",),
    "zoo.nn.latent_synthesizer": ("zoo.families.spade.synthesizer",),
    "zoo.nn.official_keys": ("zoo.families.spade.official_keys",),
    "zoo.nn.official_networks": ("zoo.families.spade.official_networks",),
    "zoo.nn.official_shapes": ("zoo.checkpoints.shapes",),
    "zoo.nn.packed": ("zoo.inference.packed",),
    "zoo.nn.plans": ("zoo.families.spade.plans",),
    "zoo.nn.spade": ("zoo.families.spade.blocks",),
    "zoo.nn.spade_folded": ("zoo.families.spade.folded",),
    "zoo.presence": ("zoo.interfaces.presence",),
    "zoo.safe_names": ("zoo.files.names",),
    "zoo.sampling": ("zoo.interfaces.label_sets",),
    "zoo.training.gan": ("zoo.families.spade.trainer", "zoo.families.spade.losses"),
    "zoo.training.gan_options": ("zoo.families.spade.options",),
    "zoo.training.options": ("zoo.interfaces.training_options",),
    "zoo.weights": ("zoo.store.models", "zoo.files.tensors"),
}
"""Old module -> the modules that hold its names now."""

ONCE_MODULES: dict[str, tuple[str, ...]] = {
    "zoo.interfaces": (
        "zoo.interfaces.models",
        "zoo.interfaces.capabilities",
        "zoo.interfaces.trainers",
        "zoo.edits",
    ),
}
"""Modules that became packages of the same name."""

RENAMED: dict[tuple[str, str], str] = {
    ("zoo.card_check", "check_folder"): "check_card",
    ("zoo.card_data", "finite"): "finite_figures",
    ("zoo.nn.spade", "SPADE"): "SPADENorm",
    ("zoo.weights", "verify"): "verify_files",
}
"""Old module and name -> the name that it has now, where that changed, too."""


def old_name(module: str, name: str) -> Any:
    """The object that version 0.1 had as `module.name`. Raises AttributeError."""
    import importlib
    import warnings

    present = RENAMED.get((module, name), name)
    for place in MOVED.get(module, ()) + ONCE_MODULES.get(module, ()):
        value = getattr(importlib.import_module(place), present, None)
        if value is not None:
            where = f"in {place} now" if present == name else f"{place}.{present} now"
            warnings.warn(f"{module}.{name} is {where}", DeprecationWarning, stacklevel=3)
            return value
    raise AttributeError(f"module {module!r} has no attribute {name!r}")


class _Finder:
    """Gives an old name a module whose names are looked up in the new ones. (No base class: `importlib.abc` is slow to import.)"""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in MOVED:
            return None
        from importlib.machinery import ModuleSpec

        return ModuleSpec(fullname, cast(Any, self))

    def create_module(self, spec: ModuleSpec) -> None:
        """The default module will do."""

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        module.__dict__["__getattr__"] = lambda attribute: old_name(name, attribute)


def install() -> None:
    """Make the old names importable; the real ones are asked first."""
    if not any(isinstance(f, _Finder) for f in sys.meta_path):
        sys.meta_path.append(_Finder())
