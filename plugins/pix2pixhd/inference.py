"""The inference form of pix2pixHD's generator: equal to the plain one in evaluation mode, its first convolutions split."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from zoo.families.pix2pixhd.blocks import smaller
from zoo.inference.columns import Content, LabelConv, over_values
from zoo.inference.windows import shown_values
from zoo_plugins.pix2pixhd.generator import Generator, Plan


class SplitStem(nn.Module):
    """A stem's first convolution in two parts: over the map's planes, and over the style's.

    At full size the first is a sum of the kernel's columns, whatever the number of classes; at coarser scales, where planes are shares of
    area, a convolution over the values that occur.
    """

    def __init__(self, part: nn.Sequential, planes: int) -> None:
        super().__init__()
        conv = part[1]
        assert isinstance(conv, nn.Conv2d) and conv.bias is not None
        rest = conv.in_channels - planes
        self.label = nn.Conv2d(planes, conv.out_channels, conv.kernel_size).to(conv.weight)  # pyright: ignore[reportArgumentType]
        self.label.weight.data.copy_(conv.weight[:, :planes])
        self.label.bias.data.copy_(conv.bias)  # pyright: ignore[reportOptionalMemberAccess]
        self.columns = LabelConv(self.label, reflect=True)
        self.style = None
        if rest:
            style = nn.Conv2d(rest, conv.out_channels, conv.kernel_size, bias=False).to(conv.weight)  # pyright: ignore[reportArgumentType]
            style.weight.data.copy_(conv.weight[:, planes:])
            self.style = style
        self.rest = nn.Sequential(*list(part)[2:])

    def forward(self, first: Tensor, style: Tensor | None) -> Tensor:
        """first: what the map's part gave. style: the style's planes at this scale."""
        if self.style is not None and style is not None:
            first = first + self.style(F.pad(style, (3, 3, 3, 3), mode="reflect"))
        return self.rest(first)


class FoldedGenerator(nn.Module):
    """A `Generator` for inference: its batch norms lie in the convolutions. Packed kernels took longer here (measured at 512 x 256)."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.enhancers = generator.enhancers
        fold_batch_norms(generator)
        self.parts = nn.ModuleList(SplitStem(part, generator.planes) for part in generator.stems())
        self.outward = nn.ModuleList(generator.get_submodule(f"model{n}_2") for n in range(1, self.enhancers + 1))

    def first(self, values: Tensor, content: Content) -> tuple[Tensor, ...]:
        """What the first convolutions give for a map alone, the coarsest scale first. values, content: of a `LabelInput`."""
        finest: Tensor = self.parts[-1].columns(values, content)  # pyright: ignore[reportCallIssue]
        finest = finest.contiguous()  # instance norms take longer with channels last
        if not self.enhancers:
            return (finest,)
        shown, numbers = shown_values(values)
        planes = F.one_hot(numbers, len(shown)).permute(0, 3, 1, 2).to(finest.dtype)
        outputs = [finest]
        for part in reversed(list(self.parts)[:-1]):
            planes = smaller(planes)
            bordered = F.pad(planes, (3, 3, 3, 3), mode="reflect")
            outputs.append(over_values(part.label, bordered, content(shown)))  # pyright: ignore[reportArgumentType]
        return tuple(reversed(outputs))

    def render(self, plan: Plan, style: Tensor | None) -> Tensor:
        """As `Generator.render`, from a plan that has `first`."""
        levels: list[Tensor | None] = [None if style is None else style.to(plan.first[0])]
        for _ in range(self.enhancers):
            levels.append(None if levels[-1] is None else smaller(levels[-1]))
        x: Tensor | None = None
        for n, (part, first) in enumerate(zip(self.parts, plan.first, strict=True)):
            inward = part(first, levels[self.enhancers - n])
            x = inward if x is None else self.outward[n - 1](inward + x)
        assert x is not None
        return x.float()


@torch.no_grad()
def fold_batch_norms(module: nn.Module) -> None:
    """Put every batch norm that follows a convolution in a Sequential into it, in place; for evaluation only."""
    for layers in [m for m in module.modules() if isinstance(m, nn.Sequential)]:
        for i in range(len(layers) - 1):
            conv, norm = layers[i], layers[i + 1]
            if isinstance(conv, nn.Conv2d | nn.ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d):
                layers[i] = fuse_conv_bn_eval(conv, norm, transpose=isinstance(conv, nn.ConvTranspose2d))
                layers[i + 1] = nn.Identity()
