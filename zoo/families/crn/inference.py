"""The inference form of the cascade: its first convolutions split into the map's part and the rest, kernels packed for the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.crn.generator import CascadedGenerator, RefineConv, every_second, half_areas
from zoo.inference.columns import Content, LabelConv, over_values
from zoo.inference.packed import pack
from zoo.inference.windows import shown_values


def part_of(conv: nn.Conv2d, start: int, stop: int) -> nn.Conv2d:
    """The convolution of these input channels alone, with a zero bias."""
    part = nn.Conv2d(stop - start, conv.out_channels, conv.kernel_size, padding=conv.padding)  # pyright: ignore[reportArgumentType]
    part.to(conv.weight)
    with torch.no_grad():
        part.weight.copy_(conv.weight[:, start:stop])
        nn.init.zeros_(part.bias)  # pyright: ignore[reportArgumentType]
    return part.requires_grad_(False)


class SplitRefine(nn.Module):
    """A `RefineConv` whose input is cat(before, label planes, code), in its parts. `before` and code have one convolution."""

    def __init__(self, conv: RefineConv, planes: int, codes: int) -> None:
        super().__init__()
        before = conv.in_channels - planes - codes
        self.label = part_of(conv, before, before + planes)
        self.columns = LabelConv(self.label)
        parts = [
            (name, place)
            for name, place in (("before", (0, before)), ("code", (before + planes, conv.in_channels)))
            if place[0] < place[1]
        ]
        self.parts = nn.ModuleDict({name: pack(part_of(conv, *place)) for name, place in parts})
        self.conv = (conv,)  # a tuple: its norm is used, its weight is not a second parameter
        self.norm = conv.norm

    def forward(self, first: Tensor, x: Tensor | None, code: Tensor | None = None) -> Tensor:
        """first: what the label planes gave; x: the features before, at half the size."""
        total = first
        if x is not None:
            x = F.interpolate(x, size=first.shape[-2:], mode="bilinear", align_corners=True)
            total = total + self.parts["before"](x)
        if code is not None:
            total = total + self.parts["code"](code.contiguous())
        return self.conv[0].finish(total)


class PackedRefine(nn.Module):
    """A `RefineConv` with a packed kernel."""

    def __init__(self, conv: RefineConv) -> None:
        super().__init__()
        self.product = pack(part_of(conv, 0, conv.in_channels))
        self.conv = (conv,)
        self.norm = conv.norm

    def forward(self, x: Tensor) -> Tensor:
        return self.conv[0].finish(self.product(x))


class FoldedCascade(nn.Module):
    """A `CascadedGenerator` for inference."""

    def __init__(self, generator: CascadedGenerator, codes: int = 0) -> None:
        super().__init__()
        pairs = [generator.modules_at(height) for height in generator.heights]
        self.first = nn.ModuleList(SplitRefine(a, generator.planes, codes) for a, _ in pairs)  # pyright: ignore[reportArgumentType]
        self.second = nn.ModuleList(PackedRefine(b) for _, b in pairs)  # pyright: ignore[reportArgumentType]
        self.last, self.outputs = generator.last, generator.outputs

    def labels(self, values: Tensor, content: Content) -> tuple[Tensor, ...]:
        """What the label planes give each module, the coarsest first. values, content: of a `LabelInput`."""
        shown, numbers = shown_values(values)
        finest: Tensor = self.first[-1].columns(values, content)  # pyright: ignore[reportCallIssue]
        planes = F.one_hot(numbers, len(shown)).permute(0, 3, 1, 2).to(finest.dtype)
        shares = half_areas(planes, len(self.first))
        coarse = [
            over_values(conv.label, share, content(shown))  # pyright: ignore[reportArgumentType]
            for conv, share in zip(list(self.first)[:-1], shares[:-1], strict=True)
        ]
        return (*coarse, finest)

    def features(self, first: Sequence[Tensor], codes: Tensor | None = None) -> Tensor:
        """The last module's output, from `labels` and a code of the picture's size."""
        parts = [None] * len(first) if codes is None else every_second(codes, len(first))
        x: Tensor | None = None
        for one, two, label, code in zip(self.first, self.second, first, parts, strict=True):
            x = two(one(label, x, code))
        assert x is not None
        return x

    def pictures(self, features: Tensor) -> Tensor:
        """As `CascadedGenerator.pictures`."""
        made = self.last(features).float()
        return made.view(len(made), 3, self.outputs, *made.shape[2:]).transpose(1, 2)
