"""What CRN and cIMLE share behind the zoo's interface: maps in, clipped pictures out."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from zoo.families.spade.layouts import PlanLayout, plan_with
from zoo.interfaces.models import ImageSynthesizer, Layout
from zoo.labels import LabelSpace
from zoo.maps import SemanticMap
from zoo.nn.labels import LabelInput
from zoo.nn.resample import fit_photos


class CascadeSynthesizer(ImageSynthesizer):
    """Maps of another size are resized (nearest, pixel centres) and photos too (bicubic, antialiased) to `resolution`; images come out
    at `resolution`, clipped to [0, 1]. A subclass sets `title` and `layout_type`, and has a `_plan`."""

    title: ClassVar[str] = "synthesizer"
    layout_type: ClassVar[type[PlanLayout]] = PlanLayout

    def __init__(self, config: Any, space: LabelSpace) -> None:
        super().__init__(config, space)
        names = tuple(config.channels or space.names)
        self.label_input = LabelInput(space, names, ignore_channel=len(names) - 1)
        self._channels = names

    @property
    def channels(self) -> tuple[str, ...]:
        return self._channels

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.size

    def _plan(self, small: SemanticMap) -> Any:
        """What depends on maps of the model's size alone."""
        raise AttributeError(f"{type(self).__name__} makes no plan of a map.")

    def small(self, semantic_map: SemanticMap) -> SemanticMap:
        """The maps at the model's resolution, on its device."""
        return semantic_map.to(self.device).resize(self.resolution)

    def planes(self, semantic_map: SemanticMap) -> Tensor:
        """One-hot planes float32 [B, classes, H, W] at the model's resolution, on the model's device."""
        return self.label_input(self.small(semantic_map))

    @torch.no_grad()
    def layout(self, semantic_map: SemanticMap, *, reuse: Layout | None = None) -> PlanLayout:
        """All that the generator derives from the map alone. `reuse`: rows whose maps are equal are taken from it.

        Raises LabelError for a map of another label space.
        """
        small = self.small(semantic_map)
        old = reuse if isinstance(reuse, self.layout_type) else None
        plan = plan_with(old, small, lambda rows: self._plan(small[rows]))
        return old if old is not None and plan is old.plan else self.layout_type(small, plan)

    def fit_image(self, image: Tensor) -> Tensor:
        """Photos at the model's resolution, on its device (bicubic, antialiased, clipped to [0, 1])."""
        return fit_photos(image.to(self.device), self.resolution)


def clipped(images: Tensor) -> Tensor:
    """Images that are about [-1, 1], as float32 in [0, 1] (officially they are clipped when they are written)."""
    return ((images.float() + 1) / 2).clamp(0, 1)
