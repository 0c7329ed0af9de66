"""What a model can do beyond what its kind owes: one vocabulary for plugins, models, checks and lists. No torch in here.

`Architecture.can` declares what its models may do: the union over its variants and assets. `model.capabilities()` is exact for
one model. A config that takes something away says so in its property `lacks`, so that a list needs no model.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zoo.errors import PluginError, did_you_mean

CAPABILITIES = {
    "reconstruct": "encodes maps into codes and decodes codes into maps",
    "layers": "gives the soft overlapping shapes beside the flat map",
    "graphs": "takes scene graphs beside label sets",
    "pictures": "gives a picture of its own of what it draws",
    "codes": "gives features of maps, whose distance says how unlike two maps are",
    "judge": "is held back from every loss, so that it may judge pictures",
    "edit:add": "puts parts that a map lacks",
    "edit:remove": "takes parts away",
    "edit:redraw": "gives parts a new random shape",
    "edit:perturb": "moves the codes of parts",
    "edit:interpolate": "mixes the codes of parts with those of another map",
    "style:prior": "draws styles",
    "style:mean": "has a mean style",
    "style:photo": "takes the style of a photo",
    "style:partial": "a style may lack classes; those that a map shows come from the prior, or the model fills in its own",
    "steps": "works in many steps and reports them",
    "options": "has sampling options of its own",
}
"""Every capability and what it means."""

OLD_NAMES = {
    "edit": tuple(name for name in CAPABILITIES if name.startswith("edit:")),
    "sample-style": ("style:prior", "style:mean"),
    "encode-style": ("style:photo",),
}
"""Names that plugins of API 1 may still declare, and what they may stand for."""

PLACES = ("prior", "mean", "photo")
"""Where a style may come from."""


def check_capabilities(where: str, can: Any) -> None:
    """Raise PluginError for a declaration that is no list of known names."""
    if not isinstance(can, list | tuple | set | frozenset):
        raise PluginError(f"{where}: can is {type(can).__name__}, expected a tuple of names")
    known = {**CAPABILITIES, **OLD_NAMES}
    for name in can:
        if not isinstance(name, str):
            raise PluginError(f"{where}: can holds {type(name).__name__}, expected names")
        if name not in known:
            near = did_you_mean(str(name), known)
            raise PluginError(
                f"{where} can {name!r}, which the zoo does not know{near} (known: {', '.join(CAPABILITIES)})"
            )


def may(can: Iterable[str]) -> frozenset[str]:
    """A declaration in the present names: the old ones become all that they may stand for."""
    return frozenset(new for name in can for new in OLD_NAMES.get(name, (name,)))


def narrowed(can: Iterable[str], config: Any) -> frozenset[str]:
    """What a declaration leaves for a model of this config: without what the config `lacks`, where it has that property."""
    return frozenset(can) - frozenset(getattr(config, "lacks", ()))


def edits(can: Iterable[str]) -> frozenset[str]:
    """The kinds of edit among capabilities, e.g. {"add", "redraw"}."""
    return frozenset(name.removeprefix("edit:") for name in can if name.startswith("edit:"))


def style_sources(can: Iterable[str]) -> frozenset[str]:
    """The sources of style among capabilities, a subset of prior, mean and photo."""
    return frozenset(place for place in PLACES if f"style:{place}" in set(can))
