"""A toy mask generator on ADE20K: the classes that are asked for as bands of random height, from top to bottom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from zoo.interfaces.capabilities import Conditions, Latents
from zoo.interfaces.models import MaskGenerator
from zoo.labels import LabelSpace
from zoo.maps import SemanticMap
from zoo.registry import Variant
from zoo.rng import RngLike, as_rng


@dataclass(frozen=True)
class Config:
    """The vocabulary and the side of its maps."""

    label_space: str = "ade20k"
    side: int = 24


VARIANTS = {"ade20k": Variant(Config())}


class Bands(MaskGenerator):
    """Latents: `heights` [samples, classes of the space], of which each class takes its own."""

    def __init__(self, config: Any, space: LabelSpace) -> None:
        super().__init__(config, space)
        self.spread = torch.nn.Parameter(torch.tensor(0.5))

    @property
    def channels(self) -> tuple[str, ...]:
        return self.label_space.names

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.side, self.config.side

    def sample_latents(self, conditions: Conditions, rng: RngLike | int | None, *, prior: str | None = None) -> Latents:
        return {"heights": as_rng(rng, len(conditions)).normal("heights", shape=(len(self.label_space),))}

    def generate(
        self, conditions: Conditions, *, latents: Latents | None = None, rng: RngLike | int | None = None
    ) -> SemanticMap:
        heights = (self.sample_latents(conditions, rng) if latents is None else latents)["heights"]
        rows = [self._column(c.indices, h) for c, h in zip(conditions, heights, strict=True)]
        return SemanticMap(torch.stack(rows)[:, :, None].expand(-1, -1, self.config.side).clone(), self.label_space)

    def _column(self, values: Any, heights: torch.Tensor) -> torch.Tensor:
        share = torch.softmax(heights[list(values)] * self.spread.cpu(), 0)
        ends = share.cumsum(0) - share / 2
        return torch.tensor(list(values))[
            (torch.arange(self.config.side) / self.config.side)[:, None].sub(ends).abs().argmin(1)
        ]
