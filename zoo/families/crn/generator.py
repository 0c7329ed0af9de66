"""The cascade of refinement modules (Chen and Koltun, ICCV 2017; docs/papers/crn.md, "Generator"). Names are the authors' variables."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nn.residual import GroupNorm

SLOPE = 0.2
EPS = 1e-12
"""Of the layer norms, as TF-Slim has it."""


def layer_norm(channels: int) -> GroupNorm:
    """Mean and variance of a sample over channels, height and width together; scale and shift per channel."""
    return GroupNorm(1, channels, eps=EPS)


class RefineConv(nn.Conv2d):
    """A convolution (3x3, or `kernel`) without bias over zero borders, a layer norm, and a leaky ReLU."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 3) -> None:
        super().__init__(c_in, c_out, kernel, padding=kernel // 2, bias=False)
        self.norm = layer_norm(c_out)
        nn.init.xavier_uniform_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        """[B, c_in, H, W] -> [B, c_out, H, W]."""
        return self.finish(super().forward(input))

    def finish(self, x: Tensor) -> Tensor:
        """What follows the convolution."""
        return F.leaky_relu(self.norm(x), SLOPE)


def half_areas(x: Tensor, levels: int) -> list[Tensor]:
    """x and its means over cells of 2, 4, … pixels, the coarsest first: `levels` tensors."""
    found = [x]
    for _ in range(levels - 1):
        found.append(F.avg_pool2d(found[-1], 2))
    return found[::-1]


def every_second(x: Tensor, levels: int) -> list[Tensor]:
    """x and every 2nd, 4th, … pixel of it, the coarsest first: `levels` tensors (TF's resize without aligned corners)."""
    found = [x]
    for _ in range(levels - 1):
        found.append(found[-1][..., ::2, ::2])
    return found[::-1]


class CascadedGenerator(nn.Module):
    """Modules at doubling sizes, each of which sees the features of the one before (enlarged, corners aligned), the map at its size and,
    with `codes`, a code at its size: cat(features, map, code). Not random.

    widths: channels of each module, the coarsest first. height: of the picture; a module is named by its own height. outputs: pictures
    per map. State-dict keys: `g_{height}_conv1`, `_conv2`, and `_conv100` of the last.
    """

    def __init__(self, planes: int, widths: Sequence[int], height: int, *, outputs: int = 1, codes: int = 0) -> None:
        super().__init__()
        self.planes, self.outputs = planes, outputs
        self.heights = [height >> i for i in reversed(range(len(widths)))]
        before = 0
        for size, width in zip(self.heights, widths, strict=True):
            self.add_module(f"g_{size}_conv1", RefineConv(before + planes + codes, width))
            self.add_module(f"g_{size}_conv2", RefineConv(width, width))
            before = width
        last = nn.Conv2d(before, 3 * outputs, 1)
        nn.init.xavier_uniform_(last.weight)
        nn.init.zeros_(last.bias)  # pyright: ignore[reportArgumentType]
        self.add_module(f"g_{height}_conv100", last)

    def modules_at(self, height: int) -> tuple[nn.Module, nn.Module]:
        """Both convolutions of the module of this height."""
        return self.get_submodule(f"g_{height}_conv1"), self.get_submodule(f"g_{height}_conv2")

    @property
    def last(self) -> nn.Conv2d:
        """The 1x1 convolution to the pictures: channel c is plane c // outputs of picture c % outputs."""
        return self.get_submodule(f"g_{self.heights[-1]}_conv100")  # pyright: ignore[reportReturnType]

    def features(self, planes: Tensor, codes: Tensor | None = None) -> Tensor:
        """The last module's output [B, widths[-1], H, W]. planes: [B, planes, H, W], shares of area allowed; codes: [B, codes, H, W]."""
        dtype = self.last.weight.dtype
        levels = len(self.heights)
        labels = half_areas(planes.to(dtype), levels)
        parts = [[label] for label in labels]
        if codes is not None:
            parts = [[*part, code] for part, code in zip(parts, every_second(codes.to(dtype), levels), strict=True)]
        return self.refine(parts)

    def refine(self, parts: Sequence[Sequence[Tensor]]) -> Tensor:
        """From what each module sees beside the features before it, the coarsest first, to the last module's output."""
        x: Tensor | None = None
        for height, part in zip(self.heights, parts, strict=True):
            first, second = self.modules_at(height)
            x = second(join(first, x, part))
        assert x is not None
        return x

    def pictures(self, features: Tensor) -> Tensor:
        """All pictures of each map [B, outputs, 3, H, W]; about [-1, 1], but not bounded."""
        made = self.last(features).float()
        return made.view(len(made), 3, self.outputs, *made.shape[2:]).transpose(1, 2)

    def forward(self, planes: Tensor, codes: Tensor | None = None) -> Tensor:
        """`pictures` of `features`."""
        return self.pictures(self.features(planes, codes))


def join(conv: nn.Module, x: Tensor | None, part: Sequence[Tensor]) -> Tensor:
    """A module's first convolution on cat(x enlarged to the size of `part`, part)."""
    import torch

    if x is None:
        return conv(torch.cat(list(part), 1))
    x = F.interpolate(x, size=part[0].shape[-2:], mode="bilinear", align_corners=True)
    return conv(torch.cat([x, *(p.to(x.dtype) for p in part)], 1))
