"""SPADE by distinct window in training: scale and shift once per different surrounding, with gradients.

As in the inference form (`zoo.families.spade.window_norms`): the hidden vector of a pixel depends on the labels in a k x k window, its
scale and shift on a window of windows, and few of these are different at fine scales. What is multiplied are the rows of different
windows; the rest are sums of rows. Equal to the two convolutions but for the order of sums.

For a CPU: counting the windows makes a GPU wait, whose convolutions are no bottleneck.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.families.spade.blocks import BlockAffine, SPADENorm, SPADEResnetBlock, resize_numbers
from zoo.families.spade.window_sums import Sums, WindowAffine
from zoo.inference.windows import number_tuples, shown_values, windows_of

FEW_INNER, FEW_OUTER = 0.25, 0.5
"""Windows (of labels; of windows) for each pixel up to which this way is the faster one."""


@dataclass(frozen=True, eq=False)
class TrainingSite:
    """The windows of maps at one scale. content: float [symbols, K], what pixels of each symbol hold in the planes `classes` [K]."""

    inner: Sums
    outer: Sums
    pixels: Sums
    content: Tensor
    classes: Tensor | None

    def block(self, block: SPADEResnetBlock) -> BlockAffine:
        """What the block's `plan` gives, by window."""
        shortcut = self.affine(block.norm_s) if block.learned else None
        return self.affine(block.norm_0), self.affine(block.norm_1), shortcut

    def affine(self, norm: SPADENorm) -> WindowAffine:
        """What `norm` gives each different window."""
        shared, gamma, beta = norm.mlp_shared, norm.mlp_gamma, norm.mlp_beta
        assert shared.bias is not None and gamma.bias is not None and beta.bias is not None
        weight = shared.weight if self.classes is None else shared.weight.index_select(1, self.classes)
        columns = self.content.to(weight.dtype) @ weight.permute(2, 3, 1, 0).flatten(0, 1)  # [taps, symbols, hidden]
        # one symbol more, and one window: those of the outside, where convolutions see zeros
        vectors = F.relu(self.inner(F.pad(columns, (0, 0, 0, 1)).flatten(0, 1)) + shared.bias)
        kernel = torch.cat([gamma.weight, beta.weight])
        products = F.pad(vectors, (0, 0, 0, 1)) @ kernel.permute(1, 2, 3, 0).flatten(1)
        bias = torch.cat([1 + gamma.bias, beta.bias])
        return WindowAffine(self.outer(products.view(-1, len(kernel)).to(bias.dtype)) + bias, self.pixels)


def training_sites(
    planes: Tensor, classes: Tensor | None, kernel: int, sizes: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], TrainingSite]:
    """The sites of planes [B, K, H, W] at those sizes (height, width) at which windows are few; none for planes that are not of 0 and 1.

    kernel: of SPADE's convolutions.
    """
    if planes.device.type != "cpu" or planes.requires_grad or not bool(((planes == 0) | (planes == 1)).all()):
        return {}
    values, _ = number_tuples(planes.long().unbind(1), 2)
    shown, numbers = shown_values(values)
    content = planes.new_empty(len(shown), planes.shape[1])
    content[numbers.flatten()] = planes.permute(0, 2, 3, 1).flatten(0, 2)
    sites = {}
    for size in set(sizes):
        windows = windows_of(resize_numbers(numbers, size), len(content), kernel)
        inner, outer, pixels = len(windows.inner), len(windows.outer), windows.index.numel()
        if inner > FEW_INNER * pixels or outer > FEW_OUTER * pixels:
            continue
        steps = torch.arange(windows.taps)
        sites[size] = TrainingSite(
            Sums.of(windows.inner + steps * (len(content) + 1), windows.taps * (len(content) + 1)),
            Sums.of(windows.outer * windows.taps + steps, windows.taps * (inner + 1)),
            Sums.of(windows.index.view(-1, 1), outer),
            content,
            classes,
        )
    return sites
