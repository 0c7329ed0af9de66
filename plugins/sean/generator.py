"""SEAN's generator (paper section 4.2; docs/papers/sean.md, "Generator")."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.families.spade.blocks import BlockAffine, resize_numbers, resize_planes
from zoo.families.spade.generator import SkeletonGenerator, Step, spade_channels, spade_steps
from zoo.families.spade.sizes import widths
from zoo.families.spade.window_plans import WindowPlan, plan_planes, plan_windows
from zoo.nn.labels import LabelInput, shown_planes
from zoo.plugin import SemanticMap
from zoo_plugins.sean.blocks import BlockInput, SEANBlock
from zoo_plugins.sean.config import STYLED, SEANConfig
from zoo_plugins.sean.regions import RegionWindows, region_numbers, region_windows


@dataclass(frozen=True)
class SEANPlan:
    """Everything that depends on the map alone: per block the scales and shifts of the map, the region of each pixel (int64 [B, H, W],
    `planes`: none), and the first features."""

    blocks: tuple[BlockAffine, ...]
    regions: Tensor
    start: Tensor


@dataclass(frozen=True, eq=False)
class SEANWindowPlan:
    """The same for the inference form by distinct window. windows: what the map gives the norms; regions: the style's windows, by
    scale."""

    windows: WindowPlan
    regions: dict[int, RegionWindows]

    @property
    def start(self) -> Tensor | None:
        """The first features."""
        return self.windows.start


class Generator(SkeletonGenerator):
    """forward = render(plan(planes), codes, noise): one-hot planes [B, planes, H, W], style codes [B, planes, layers, S] and standard
    normals [B, noise_count] -> images in [-1, 1].

    Layers are the styled blocks (`STYLED`), coarsest first; the paper's codes are the same for all of them. Train mode: batch
    statistics and one power iteration per call of each spectrally normalised layer. (H, W) = config.size.
    """

    def __init__(self, config: SEANConfig, planes: int) -> None:
        super().__init__(config.grid)
        self.config, self.planes = config, planes
        channels = spade_channels(widths(config.ngf, config.max_width))
        self.add_start(channels[0], planes)
        self.add_blocks(spade_steps(config.upsampling, channels), self._block)

    def _block(self, step: Step) -> SEANBlock:
        c, styled = self.config, step.name in STYLED
        return SEANBlock(
            step.c_in, step.c_out, self.planes, norm=c.norm, hidden=c.spade_hidden,
            style_dim=c.style_dim if styled else 0, regions=c.regions(self.planes) if styled else 0,
        )  # fmt: skip

    # --- noise ----------------------------------------------------------------------------------------------------

    @property
    def noise_count(self) -> int:
        """Standard normals that one picture takes: one for each pixel of each norm's input."""
        return sum(len(block.noisy_norms()) * _pixels(self.size(step.scale)) for block, step in self.blocks())

    def split_noise(self, noise: Tensor) -> Iterator[dict[str, Tensor]]:
        """[B, noise_count] -> for each block the noise [B, 1, h, w] of its norms, by name.

        They stand in the order of the authors' draws: blocks from the coarsest, in each the shortcut's norm first; rows of pixels
        from the top (the authors draw columns).
        """
        at = 0
        for block, step in self.blocks():
            height, width = self.size(step.scale)
            parts: dict[str, Tensor] = {}
            for name in block.noisy_norms():
                parts[name] = noise[:, at : at + height * width].unflatten(1, (1, height, width))
                at += height * width
            yield parts

    # --- pictures -------------------------------------------------------------------------------------------------

    def plan(self, planes: Tensor) -> SEANPlan | SEANWindowPlan:
        """All that depends on the map alone. Only the channels that occur are convolved (equal sums)."""
        regions = region_numbers(planes)
        if self.windowed:
            return SEANWindowPlan(plan_planes(self, planes), self.windows(regions))
        planes = planes.to(self.conv_img.weight.dtype)
        start = self.start_from_map(planes)
        planes, classes = shown_planes(planes)
        at = {step.scale: resize_planes(planes, self.size(step.scale)) for step in self.steps}
        return SEANPlan(tuple(b.plan(at[step.scale], classes) for b, step in self.blocks()), regions, start)

    def windows(self, regions: Tensor) -> dict[int, RegionWindows]:
        """What the style convolutions see of the regions int64 [B, H, W], by scale."""
        scales = dict.fromkeys(step.scale for step in self.steps if step.name in STYLED)
        return {s: region_windows(resize_numbers(regions, self.size(s)), self.planes) for s in scales}

    def block_plans(self, plan: SEANPlan | SEANWindowPlan, codes: Tensor, noise: Tensor) -> Iterator[BlockInput]:
        """What each block is called with, made when it is next."""
        folded = isinstance(plan, SEANWindowPlan)
        windows = plan.regions if folded else self.windows(plan.regions)
        of_maps = plan.windows.tables(self) if folded else plan.blocks
        codes = codes.to(self.conv_img.weight.dtype)
        for (block, step), of_map, drawn in zip(self.blocks(), of_maps, self.split_noise(noise), strict=True):
            rows = {
                name: None
                if norm.style is None
                else norm.style(windows[step.scale], codes[:, :, STYLED.index(step.name)])
                for name, norm in block.noisy_norms().items()
            }
            yield BlockInput(of_map, drawn, rows)

    def render(self, plan: SEANPlan | SEANWindowPlan, codes: Tensor, noise: Tensor) -> Tensor:
        """Images [B, 3, H, W] in [-1, 1]. A plan of one map serves any number of styles."""
        start = plan.start
        assert start is not None
        if len(start) == 1 and len(codes) > 1:
            start = start.expand(len(codes), *start.shape[1:])
        return self.paint(self.block_plans(plan, codes, noise), start=start)

    def forward(self, planes: Tensor, codes: Tensor, noise: Tensor) -> Tensor:
        """Images in [-1, 1]."""
        return self.render(self.plan(planes), codes, noise)


def plan_by_window(
    generator: Generator, inputs: LabelInput, semantic_map: SemanticMap, old: SEANWindowPlan | None = None
) -> SEANWindowPlan:
    """The plan of maps at the generator's size, for its inference form. old: that of other maps, whose parts serve where nothing
    differs; itself where nothing does at all."""
    values = inputs.values(semantic_map)
    windows = plan_windows(generator, values, inputs.content, None if old is None else old.windows)
    if old is not None and windows is old.windows:
        return old
    # with edges a value is twice the class and 1 on an edge, which is the last region
    regions = torch.where(values % 2 > 0, inputs.channels - 1, values // 2) if inputs.edges else values
    return SEANWindowPlan(windows, generator.windows(regions))


def _pixels(size: tuple[int, int]) -> int:
    return size[0] * size[1]
