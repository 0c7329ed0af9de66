"""The GroupDNet generator: SPADE's course in groups, from a code per class (docs/papers/groupdnet.md, "Generators")."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.families.spade.blocks import BlockAffine, ResnetBlock, resize_planes
from zoo.families.spade.generator import SkeletonGenerator, Step, spade_steps
from zoo.nn.norms import NormSpec, parse_norm
from zoo_plugins.groupdnet.config import GroupDNetConfig
from zoo_plugins.groupdnet.norms import CGNorm
from zoo_plugins.groupdnet.schedules import norm_groups, schedule


class GroupDNetPlan(NamedTuple):
    """All that depends on the map alone: per residual block its scales and shifts."""

    blocks: tuple[BlockAffine, ...]


def read_norm(text: str) -> NormSpec:
    """`parse_norm`, which does not know the kind "group"."""
    group = text.removeprefix("spectral").startswith("spadegroup")
    spec = parse_norm(text.replace("spadegroup", "spadeinstance", 1) if group else text, ("spade",))
    return NormSpec(spec.spectral, spec.modulation, "group", spec.kernel) if group else spec


class GroupBlock(ResnetBlock):
    """SPADE's residual block with grouped convolutions and CG-Norms."""

    norm_0: CGNorm
    norm_1: CGNorm
    norm_s: CGNorm

    def plan(self, planes: Tensor) -> BlockAffine:
        """Scales and shifts of norm_0, norm_1, norm_s from the planes at the size of x."""
        shortcut = self.norm_s.affine(planes) if self.learned else None
        return self.norm_0.affine(planes), self.norm_1.affine(planes), shortcut


class Generator(SkeletonGenerator):
    """forward = render(plan(planes), z): planes [B, classes (+ 1, edges), H, W] and codes z [S, code_width * classes, *grid], class after
    class -> images [S, 3, H, W] in [-1, 1].

    Train mode: batch statistics and one power iteration per call of each spectrally normalised layer. (H, W) = config.size.
    """

    def __init__(self, config: GroupDNetConfig, classes: int) -> None:
        super().__init__(config.grid)
        self.config, self.classes = config, classes
        made = schedule(config, classes)
        self.groups = dict(
            zip((s.name for s in spade_steps(config.upsampling, made.channels)), made.groups, strict=True)
        )
        self.fc = nn.Conv2d(config.code_width * classes, made.channels[0], 3, padding=1, groups=made.first)
        self.add_blocks(spade_steps(config.upsampling, made.channels), self._block)
        if made.unused is not None:  # of the authors' checkpoints; nothing reads it
            self.up_4 = self._made(*made.unused, 1)

    def _block(self, step: Step) -> GroupBlock:
        return self._made(step.c_in, step.c_out, self.groups[step.name])

    def _made(self, c_in: int, c_out: int, groups: int) -> GroupBlock:
        spec = read_norm(self.config.norm)
        layers = norm_groups(self.config, self.classes, groups)

        def norm(channels: int) -> CGNorm:
            return CGNorm(channels, layers, self.classes, norm=spec.kind, kernel=spec.kernel)

        return GroupBlock(c_in, c_out, norm, spectral=spec.spectral, groups=groups)

    def start(self, z: Tensor | None) -> Tensor:
        """First features from the codes."""
        if z is None:
            raise ValueError("This generator needs codes z [B, code_width * classes, height, width].")
        return self.fc(z.to(self.conv_img.weight.dtype))

    def read_planes(self, planes: Tensor) -> Tensor:
        """The planes as norms read them: with edges one behind each class."""
        planes = planes.to(self.conv_img.weight.dtype)
        if not self.config.edges:
            return planes
        classes = planes[:, :-1]
        return torch.stack([classes, planes[:, -1:].expand_as(classes)], 2).flatten(1, 2)

    def plan(self, planes: Tensor) -> GroupDNetPlan:
        """All that depends on the map alone."""
        planes = self.read_planes(planes)
        at = {step.scale: resize_planes(planes, self.size(step.scale)) for step in self.steps}
        return GroupDNetPlan(tuple(block.plan(at[step.scale]) for block, step in self.blocks()))

    def render(self, plan: GroupDNetPlan, z: Tensor) -> Tensor:
        """Images [S, 3, H, W] in [-1, 1]. A plan of one map serves any number of codes."""
        return self.paint(plan.blocks, z)

    def forward(self, planes: Tensor, z: Tensor) -> Tensor:
        """Images in [-1, 1]."""
        return self.render(self.plan(planes), z)
