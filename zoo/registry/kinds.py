"""The kinds of model, one row each. A new kind is a row here and the class that it names. No torch in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["generator", "synthesizer", "parser", "alone", "translator", "judge"]


@dataclass(frozen=True)
class Kind:
    """One kind of model.

    model: import string of its class. role: its place in a composition; "alone": it stands in the generator's place, gives
    pictures and is joined to nothing; "translator": it stands in no composition, `zoo translate` runs it; "judge": it stands in none, `zoo eval` asks it. smoke: import
    string of one run of a fresh model (`smoke(model)`, raises WeightsError). task: the Hub's task that fits, if there
    is one.
    """

    name: str
    model: str
    role: Role
    smoke: str
    task: str | None = None

    @property
    def with_article(self) -> str:
        """`a mask-generator`, `an image-synthesizer`."""
        return f"{'an' if self.name[0] in 'aeiou' else 'a'} {self.name}"


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "mask-generator",
            model="zoo.interfaces.models:MaskGenerator",
            role="generator",
            smoke="zoo.checkpoints.smoke:draw_maps",
        ),
        Kind(
            "image-synthesizer",
            model="zoo.interfaces.models:ImageSynthesizer",
            role="synthesizer",
            smoke="zoo.checkpoints.smoke:paint_map",
            task="image-to-image",
        ),
        Kind(
            "mask-parser",
            model="zoo.interfaces.models:MaskParser",
            role="parser",
            smoke="zoo.checkpoints.smoke:parse_picture",
            task="image-segmentation",
        ),
        Kind(
            "image-generator",
            model="zoo.interfaces.models:ImageGenerator",
            role="alone",
            smoke="zoo.checkpoints.smoke:draw_pictures",
        ),
        Kind(
            "image-translator",
            model="zoo.interfaces.translators:ImageTranslator",
            role="translator",
            smoke="zoo.checkpoints.smoke:translate_photo",
            task="image-to-image",
        ),
        Kind(
            "map-judge",
            model="zoo.interfaces.judges:MapJudge",
            role="judge",
            smoke="zoo.checkpoints.smoke:judge_map",
        ),
    )
}
"""By name, in the order in which lists and messages name them."""


def of_role(*roles: Role) -> tuple[str, ...]:
    """The names of the kinds with one of these roles, in the order of the roles."""
    return tuple(kind.name for role in roles for kind in KINDS.values() if kind.role == role)


def kind_of(model_class: type) -> Kind | None:
    """The kind whose class this one is derived from; None for a class of no kind."""
    classes = {f"{c.__module__}:{c.__qualname__}" for c in model_class.__mro__}
    return next((kind for kind in KINDS.values() if kind.model in classes), None)
