"""Convolutions whose kernels the map predicts, pixel by pixel, and the residual block around them (docs/papers/cc_fpse.md, "Block")."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.blocks import Affine, SPADENorm
from zoo.nn.spectral import SNConv2d

TAPS = 9
CHUNK = 16
"""Channels whose kernels are predicted at once where no gradient is needed: at 256 px they take 38 MB a picture, and not 300."""


class Site(NamedTuple):
    """What a block reads of the map, at its size.

    features: [B, K + ngf, h, w], planes of the map and behind them the label pyramid's features. channels: int64 [K + ngf], which of the
    channels that the layers know these are; None: all of them.
    """

    features: Tensor
    channels: Tensor | None = None

    def convolve(self, conv: nn.Conv2d) -> Tensor:
        """What a convolution over all channels gives."""
        if self.channels is None:
            return conv(self.features)
        return F.conv2d(self.features, conv.weight.index_select(1, self.channels), conv.bias, padding=conv.padding)  # type: ignore[arg-type]


class Prediction(NamedTuple):
    """kernels: [B, 9 * c_in, h, w], number 9 c + 3 ky + kx of channel c's tap (ky, kx). attention: [B, c_out, h, w] in (0, 1)."""

    kernels: Tensor
    attention: Tensor


class BlockPlan(NamedTuple):
    """What the map says to a block: predictions of its two convolutions, scale and shift of its shortcut (None: no learned one)."""

    conv_0: Prediction
    conv_1: Prediction
    shortcut: Affine | None


class PixelwiseDepthwise(nn.Module):
    """y[c, i, j] = sum over taps of kernels[9 c + 3 ky + kx, i, j] * x[c, i + ky - 1, j + kx - 1], zeros beyond the border.

    forward: x [S, C, h, w], kernels [B, 9 C, h, w] with B = S or 1 -> [S, C, h, w]. The nine shifted products are summed one after the
    other, so that neither an unfolded copy of x nor the products are kept, not for gradients either.
    """

    def forward(self, x: Tensor, kernels: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        k = kernels.unflatten(1, (x.shape[1], TAPS))
        padded = F.pad(x, (1, 1, 1, 1))
        out = k[:, :, 0] * padded[..., :height, :width]
        for tap in range(1, TAPS):
            i, j = divmod(tap, 3)
            out = torch.addcmul(out, k[:, :, tap], padded[..., i : i + height, j : j + width])
        return out


class ConditionalConv(nn.Module):
    """leaky_relu(attention * pointwise(depthwise(norm(x)))): batch norm, a depthwise convolution with a predicted kernel at every pixel, a
    plain 1x1 convolution, predicted attention.

    `unused` is a batch norm that the authors' checkpoints hold and nothing reads.
    """

    def __init__(self, c_in: int, c_out: int, planes: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(c_in)
        self.kernels = nn.Sequential(*_predictor(planes, hidden, TAPS * c_in))
        self.depthwise = PixelwiseDepthwise()
        self.pointwise = nn.Conv2d(c_in, c_out, 1)
        self.attention = nn.Sequential(*_predictor(planes, hidden, c_out), nn.Sigmoid())
        self.unused = nn.BatchNorm2d(c_in)

    def predict(self, site: Site) -> Prediction:
        """All that the map decides here."""
        if torch.is_grad_enabled() and site.channels is None:
            return Prediction(self.kernels(site.features), self.attention(site.features))
        kernels = torch.cat([part for _, part in self.kernel_chunks(site)], 1)
        return Prediction(kernels, self.attend(site))

    def attend(self, site: Site) -> Tensor:
        """The attention alone."""
        hidden = F.relu(site.convolve(self.attention[0]))  # type: ignore[arg-type]
        return torch.sigmoid(self.attention[2](hidden))

    def kernel_chunks(self, site: Site) -> Iterator[tuple[slice, Tensor]]:
        """Channels and their kernels [B, 9 * channels, h, w], a few after the others."""
        hidden = F.relu(site.convolve(self.kernels[0]))  # type: ignore[arg-type]
        last: nn.Conv2d = self.kernels[2]  # type: ignore[assignment]
        weights, biases = last.weight.split(TAPS * CHUNK), last.bias.split(TAPS * CHUNK)  # type: ignore[union-attr]
        for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            channels = slice(CHUNK * number, CHUNK * number + len(bias) // TAPS)
            yield channels, F.conv2d(hidden, weight, bias, padding=1)

    def forward(self, x: Tensor, plan: Prediction | Site) -> Tensor:
        """x [S, c_in, h, w] -> [S, c_out, h, w]; a plan of one map serves any number of samples.

        With a Site in place of a Prediction, and without gradients, the kernels of a few channels exist at a time.
        """
        x = self.norm(x)
        if isinstance(plan, Site) and not torch.is_grad_enabled():
            parts = [self.depthwise(x[:, channels], part) for channels, part in self.kernel_chunks(plan)]
            x, attention = torch.cat(parts, 1), self.attend(plan)
        else:
            kernels, attention = self.predict(plan) if isinstance(plan, Site) else plan
            x = self.depthwise(x, kernels)
        return F.leaky_relu(self.pointwise(x) * attention, 0.2)


def _predictor(planes: int, hidden: int, channels: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(planes, hidden, 3, padding=1), nn.ReLU(), nn.Conv2d(hidden, channels, 3, padding=1)


class ConditionalBlock(nn.Module):
    """x + conv_1(conv_0(x)); where widths differ the shortcut is SPADE and a 1x1 convolution, spectrally normalised, without bias.

    c_out must not exceed c_in: the second convolution's kernels are as many as its output channels. planes: channels of a Site.
    `unused`: as in `ConditionalConv`.
    """

    def __init__(self, c_in: int, c_out: int, planes: int, hidden: int = 128) -> None:
        super().__init__()
        self.conv_0 = ConditionalConv(c_in, c_out, planes, hidden)
        self.conv_1 = ConditionalConv(c_out, c_out, planes, hidden)
        self.learned = c_in != c_out
        if self.learned:
            self.conv_s = SNConv2d(c_in, c_out, 1, bias=False)
            self.norm_s = SPADENorm(c_in, planes, norm="batch", hidden=hidden)
        self.unused = nn.BatchNorm2d(c_out)

    def plan(self, site: Site) -> BlockPlan:
        """All that the map decides in this block."""
        return BlockPlan(self.conv_0.predict(site), self.conv_1.predict(site), self._shortcut(site))

    def _shortcut(self, site: Site) -> Affine | None:
        return self.norm_s.affine(site.features, site.channels) if self.learned else None

    def forward(self, x: Tensor, plan: BlockPlan | Site) -> Tensor:
        """x [S, c_in, h, w] -> [S, c_out, h, w]; plan: of one map or of S. A Site predicts on the way."""
        conv_0, conv_1, affine = (plan, plan, self._shortcut(plan)) if isinstance(plan, Site) else plan
        shortcut = x if affine is None else self.conv_s(self.norm_s(x, affine))
        return shortcut + self.conv_1(self.conv_0(x, conv_0), conv_1)
