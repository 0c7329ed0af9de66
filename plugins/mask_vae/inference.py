"""The inference form of mask-vae on a CPU (docs/papers/mask_vae.md, "Cost"): the plain networks' numbers to rounding, cheaper.

Encoder: a plane is 0 or 1, so its first layer is a sum of weight columns, one for each of the part's pixels. Decoder: the convolution
after a doubling takes a quarter of the products (`zoo.nn.doubling`), one sample goes through at a time, and the classes are decided
strip by strip, so that no stack of score planes is kept. What is not float32 inference on a CPU takes the plain networks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.inference.packed import native, pack
from zoo.nn.doubling import DoublingConv
from zoo.nn.residual import UpBlock
from zoo_plugins.mask_vae.networks import PartDecoder, PartEncoder

STRIPS = 16
"""Strips of the picture whose pixels the encoder sums by themselves: sums of thousands of numbers one by one lose digits."""
PIXELS = 4096
"""Pixels whose classes are decided at a time."""


class FastPartEncoder(PartEncoder):
    """`PartEncoder` that reads part numbers instead of planes."""

    def __init__(self, encoder: PartEncoder) -> None:
        nn.Module.__init__(self)  # not PartEncoder's: the layers are the given one's
        self.side, self.layers, self.mu, self.log_var = encoder.side, encoder.layers, encoder.mu, encoder.log_var
        first = self.layers[0]
        assert isinstance(first, nn.Linear)
        first.weight = nn.Parameter(first.weight.detach().t().contiguous().t(), requires_grad=False)  # rows by pixel

    def of_parts(self, numbers: Tensor, parts: int) -> tuple[Tensor, Tensor]:
        """As `PartEncoder.of_parts`; the cost follows the pixels of the parts."""
        first = self.layers[0]
        assert isinstance(first, nn.Linear)
        table = first.weight.t()
        if not native(table) or not table.is_contiguous():
            return super().of_parts(numbers, parts)
        codes = [self._sums(row.flatten(), parts, table) for row in numbers]
        hidden = self.layers[1:](torch.stack(codes) + first.bias)
        return self.mu(hidden), self.log_var(hidden)

    def _sums(self, numbers: Tensor, parts: int, table: Tensor) -> Tensor:
        """Part numbers [S * S] -> the sums [P, n] of each part's rows of the table [S * S, n]."""
        pixels = torch.nonzero((numbers > 0) & (numbers <= parts))[:, 0]
        bag = (numbers[pixels] - 1) * STRIPS + pixels * STRIPS // len(numbers)
        order = pixels[bag.argsort(stable=True)]
        ends = torch.bincount(bag, minlength=parts * STRIPS).cumsum(0)
        starts = torch.cat([ends.new_zeros(1), ends[:-1]])
        return F.embedding_bag(order, table, starts, mode="sum").view(parts, STRIPS, -1).sum(1)


class FastUpBlock(nn.Module):
    """`UpBlock` for one picture, channels last."""

    def __init__(self, block: UpBlock) -> None:
        super().__init__()
        assert block.upsample and isinstance(block.skip, nn.Conv2d) and isinstance(block.conv2, nn.Conv2d)
        self.norm1, self.norm2, self.skip = block.norm1, block.norm2, block.skip
        self.doubling, self.conv2 = DoublingConv(block.conv1), pack(block.conv2)

    def forward(self, x: Tensor) -> Tensor:
        """[1, c, H, W] -> [1, d, 2H, 2W], both channels last."""
        height, width = x.shape[2:]
        field, inside = self.doubling.padded(height, width)
        torch.ops.aten.silu.out(_rows(self.norm1(x)), out=inside)
        h = self.doubling(field, height, width)[None].permute(
            0, 3, 1, 2
        )  # in this order, or torch takes the strides for odd
        del field, inside
        out = self.conv2(F.silu(self.norm2(h), inplace=True))
        kernel, bias = self.skip.weight.flatten(1).t(), self.skip.bias
        assert bias is not None
        short = torch.addmm(bias, _rows(x).flatten(0, 1), kernel).view(height, 1, width, 1, -1)
        _rows(out).view(height, 2, width, 2, -1).add_(short)
        return out


def _rows(x: Tensor) -> Tensor:
    """[1, c, H, W], channels last -> [H, W, c]."""
    return x[0].permute(1, 2, 0)


class FastPartDecoder(PartDecoder):
    """`PartDecoder` that gives classes without a stack of score planes."""

    def __init__(self, decoder: PartDecoder) -> None:
        nn.Module.__init__(self)  # not PartDecoder's: the networks are the given one's
        self.grid, self.swap, self.lstm = decoder.grid, decoder.swap, decoder.lstm
        self.feed_forward, self.shortcut, self.convs = decoder.feed_forward, decoder.shortcut, decoder.convs
        self.blocks = nn.Sequential(*(FastUpBlock(b) for b in decoder.convs.blocks if isinstance(b, UpBlock)))

    def scores(self, z: Tensor, h0: Tensor | None, c0: Tensor | None) -> Tensor:
        """As `PartDecoder.scores`, one sample at a time."""
        if not native(z) or not native(self.convs.in_conv.weight):
            return super().scores(z, h0, c0)
        planes = self.planes(z, h0, c0)
        return torch.cat([self.convs.out_conv(self._features(planes[i : i + 1])) for i in range(len(z))])

    def classes(
        self, z: Tensor, h0: Tensor | None, c0: Tensor | None, absent: Tensor | None, rule: str = "sum"
    ) -> Tensor:
        """As `PartDecoder.classes`."""
        if not native(z) or not native(self.convs.in_conv.weight):
            return super().classes(z, h0, c0, absent, rule)
        planes = self.planes(z, h0, c0)
        return torch.stack([
            self._sample(planes[i : i + 1], None if absent is None else ~absent[i], rule) for i in range(len(z))
        ])  # fmt: skip

    def _features(self, planes: Tensor) -> Tensor:
        """[1, P, G, G] -> what the last convolution reads."""
        return self.blocks(self.convs.in_conv(planes).contiguous(memory_format=torch.channels_last))

    def _sample(self, planes: Tensor, allowed: Tensor | None, rule: str) -> Tensor:
        x = _rows(self._features(planes))
        height, width = x.shape[:2]
        return best_parts(x.flatten(0, 1), self.convs.out_conv, allowed, rule).view(height, width)


def best_parts(features: Tensor, out: nn.Conv2d, allowed: Tensor | None, rule: str) -> Tensor:
    """Which of background (0) and allowed parts (1..P) scores highest, the first of equals: features [n, d], allowed bool [P] -> [n].

    out: the 1x1 convolution that makes the P scores; the background's rule is that of `with_background`, over all parts.
    """
    weight, bias = out.weight.flatten(1), out.bias
    assert bias is not None
    numbers = torch.arange(1, len(weight) + 1)
    rows = None if allowed is None or bool(allowed.all()) else torch.nonzero(allowed)[:, 0]
    numbers = numbers if rows is None else numbers[rows]
    found = numbers.new_zeros(len(features))
    if not len(numbers):
        return found
    countdown = (255 - numbers).to(torch.uint8)[:, None]  # the largest is the first; a map has fewer than 255 classes
    for at in range(0, len(features), PIXELS):
        scores = torch.addmm(bias[:, None], weight, features[at : at + PIXELS].t())
        floor = (scores.sum(0) <= 0).to(scores) if rule == "sum" else torch.zeros_like(scores[0])
        scores = scores if rows is None else scores[rows]
        top = scores.amax(0)
        first = 255 - (scores == top).to(torch.uint8).mul_(countdown).amax(0)
        found[at : at + PIXELS] = first.masked_fill_(floor >= top, 0)
    return found
