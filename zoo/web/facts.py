"""What the page is told at its start: models with what they can do, label spaces with their colours, limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from zoo.errors import ZooError, plain
from zoo.labels import LabelSpace
from zoo.version import __version__
from zoo.web.limits import Limits
from zoo.web.offers import ROLES, Offer, Offers, join_fault
from zoo.web.options import told_options


@dataclass(frozen=True)
class StyleForm:
    """What is known of a synthesizer once it has been loaded: names of the classes with a style of their own, of the layers (the
    coarsest first), and what this very model can do (its assets decide, too)."""

    classes: tuple[str, ...]
    layers: tuple[str, ...]
    can: frozenset[str]


def facts(
    offers: Offers, limits: Limits, form: Callable[[Offer], StyleForm | None], *, tokenless: bool = False
) -> dict[str, Any]:
    """The facts as JSON. form: of a synthesizer that is here; None where that is not known before it is loaded; what
    it raises (ZooError) is the reason why the model is not offered."""
    lists = {name: [_model(offer, offers, form) for offer in offers.of(role)] for name, role in ROLES.items()}
    return {
        "version": __version__,
        "engine": "server",
        **lists,
        "spaces": {name: space_facts(space) for name, space in offers.spaces.items()},
        "limits": {
            "uploadBytes": limits.upload,
            "pixels": limits.pixels,
            "mapPixels": limits.map_pixels,
            "samples": limits.samples,
        },
        "tokenless": tokenless,
    }


def space_facts(space: LabelSpace) -> dict[str, Any]:
    """A label space for the page: a class's number is its place. ignore: whether 255 ("unlabeled") may stand in its maps."""
    classes = [{"name": c.name, "color": "#{:02x}{:02x}{:02x}".format(*c.color)} for c in space.classes]
    background = 0 if space.background_index is None else space.background_index
    return {"classes": classes, "background": background, "title": space.title or space.name, "ignore": space.ignore}


def _model(offer: Offer, offers: Offers, form: Callable[[Offer], StyleForm | None]) -> dict[str, Any]:
    here, reason, found = offer.folder is not None, offer.reason, None
    if here and offer.role == "synthesizer":
        try:
            found = form(offer)
        except ZooError as error:  # damaged, or its plugin is: the others go on
            here, reason = False, plain(str(error))
    layers = found.layers if found is not None else ()
    can = {*(found.can if found is not None else offer.can), *(["layers"] if layers else [])}
    asked = [n for n in offer.space.names if n in offer.channels and n != offer.space.background]
    return {
        "id": offer.id,
        "title": offer.title or offer.architecture,
        "kind": offer.kind,
        "space": offer.space.name,
        "resolution": list(offer.resolution),
        "can": sorted(can),
        "layers": list(layers),
        "styleClasses": list(found.classes if found is not None else ()),
        "priors": offer.priors() if here else [],
        "options": told_options(offer) if here else [],
        "labels": asked,
        "digest": offer.digest,
        "joins": {name: joined(space, offer) for name, space in offers.spaces.items()},
        "available": here,
        "reason": reason,
        "slow": offer.slow,
        "default": offer.first,
    }


def joined(space: LabelSpace, offer: Offer) -> str | None:
    """Why a map of this space is nothing for a model, or None. What a generator or parser makes must come back into the space, too."""
    fault = join_fault(space, offer.space)
    return fault if fault is not None or offer.role == "synthesizer" else join_fault(offer.space, space)
