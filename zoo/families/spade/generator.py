"""The generator that SPADE and its descendants share: a start grid, residual blocks that read the map, a doubling between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.blocks import resize_planes
from zoo.families.spade.plans import climb, first_features
from zoo.families.spade.sizes import DOUBLINGS
from zoo.inference.pictures import PictureConv


class Step(NamedTuple):
    """One residual block: its name in the generator and so in checkpoints, the doublings of the start grid before it, its channels."""

    name: str
    scale: int
    c_in: int
    c_out: int


def spade_steps(upsampling: str, channels: Sequence[int]) -> list[Step]:
    """The blocks of SPADE's generator in order (paper figure 13; "more" and "most" are the code's).

    channels: of the first features and then of each block's output; eight numbers, nine with `upsampling` "most" and "finer", which have
    one more block at the end. "more" and "most" double once more, before G_middle_1; "finer" (ours) does not, so that its other blocks are those of
    "normal" at half the side.
    """
    more = upsampling in ("more", "most")
    places = [
        ("head_0", 0),
        ("G_middle_0", 1),
        ("G_middle_1", 1 + more),
        *((f"up_{i}", 2 + more + i) for i in range(4)),
    ]
    if upsampling in ("most", "finer"):
        places.append(("up_4", DOUBLINGS[upsampling]))
    pairs = pairwise(channels)
    return [Step(name, scale, *pair) for (name, scale), pair in zip(places, pairs, strict=True)]


def spade_channels(widths: Sequence[int], first: int = 0, last: int = 0) -> list[int]:
    """`channels` of `spade_steps` from the five widths of `sizes.widths`.

    first: channels of the first features where they differ (SC-GAN); last: of the block that "most" and "finer" add (0: not added).
    """
    w = widths
    return [first or w[0], w[0], w[0], w[0], *w[1:], *([last] if last else [])]


class SkeletonGenerator(nn.Module):
    """Base of a generator: `fc` makes first features, blocks and doublings follow, then `conv_img` and `activation`.

    A subclass builds its parts in its own order (which fixes the order of keys and the random numbers of a fresh network):
    `add_start`, or an `fc` of its own with a `start` to match, then `add_blocks`, with whatever else it has before, between or after. Its
    `plan` makes what depends on the map alone, and `paint` the images from that. Networks of the same course with other block
    names set `steps` themselves (a name may be a path such as "body.0").

    grid: (height, width) of the first features. activation: from the last convolution's float32 output to images in [-1, 1].
    """

    fc: nn.Module
    conv_img: nn.Conv2d | PictureConv
    steps: list[Step]
    windowed = False
    """Whether this is the inference form whose SPADEs go by distinct window (`zoo.families.spade.window_plans`)."""

    def __init__(self, grid: tuple[int, int], activation: Callable[[Tensor], Tensor] = torch.tanh) -> None:
        super().__init__()
        self.grid, self.activation = grid, activation

    # --- building -------------------------------------------------------------------------------------------------

    def add_start(self, channels: int, planes: int, z_dim: int = 0) -> None:
        """`fc`: linear from latents of `z_dim` numbers, or where that is 0 a 3x3 convolution over the map's planes at the grid's size."""
        if z_dim:
            self.fc = nn.Linear(z_dim, channels * self.grid[0] * self.grid[1])
        else:
            self.fc = nn.Conv2d(planes, channels, 3, padding=1)

    def add_blocks(self, steps: list[Step], block: Callable[[Step], nn.Module]) -> None:
        """The residual blocks that `block` makes, under their steps' names, and `conv_img` behind the last of them."""
        self.steps = steps
        for step in steps:
            self.add_module(step.name, block(step))
        self.conv_img = nn.Conv2d(steps[-1].c_out, 3, 3, padding=1)

    # --- reading --------------------------------------------------------------------------------------------------

    def blocks(self) -> list[tuple[Any, Step]]:
        """The residual blocks in order, each with its step."""
        return [(self.get_submodule(step.name), step) for step in self.steps]

    def size(self, scale: int) -> tuple[int, int]:
        """(height, width) of the features after so many doublings."""
        return self.grid[0] << scale, self.grid[1] << scale

    def start(self, z: Tensor | None) -> Tensor:
        """First features [B, channels, *grid] from latents [B, z_dim]. Raises ValueError without any."""
        return first_features(self.fc, z, self.grid, self.conv_img.weight)

    def start_from_map(self, planes: Tensor) -> Tensor:
        """First features from one-hot planes [B, planes, H, W] of any size."""
        return self.fc(resize_planes(planes, self.grid))

    def paint(self, plans: Iterable[Any], z: Tensor | None = None, *, start: Tensor | None = None) -> Tensor:
        """Images [B, 3, H, W] in [-1, 1] from each block's plan, in order; plans of one map serve any number of latents.

        start: the first features where the map gives them; without, they come from z [B, z_dim]. Plans from a generator are
        made one by one, each when its block is next.
        """
        blocks = [(block, step.scale) for block, step in self.blocks()]
        x = climb(self.start(z) if start is None else start, blocks, plans)
        x = self.conv_img(x) if isinstance(self.conv_img, PictureConv) else self.conv_img(F.leaky_relu(x, 0.2))
        # float32 so that images are not rounded to bfloat16
        return self.activation(x.float())
