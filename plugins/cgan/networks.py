"""Generator and discriminator of cgan: SAGAN's residual networks, conditioned on label sets."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nn.norms import param_free_norm
from zoo.nn.spectral import SNConv2d, SNLinear, conv2d, linear

START = 4
MAX_MULTIPLE = 16


def block_widths(width: int, blocks: int) -> list[int]:
    """Channels after each of `blocks` blocks from the picture's side inwards: width, 2 width, …, at most 16 width."""
    return [width * min(2**i, MAX_MULTIPLE) for i in range(blocks)]


class ConditionalNorm(nn.Module):
    """Batch norm whose scale and shift are linear in the condition: normalised(x) * (1 + gamma(c)) + beta(c)."""

    def __init__(self, channels: int, condition: int, *, spectral: bool) -> None:
        super().__init__()
        self.norm = param_free_norm("batch", channels)
        self.affine = linear(spectral, condition, 2 * channels)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """x [B, channels, H, W], condition [B, condition] -> the shape of x."""
        gamma, beta = self.affine(condition)[:, :, None, None].chunk(2, 1)
        return torch.addcmul(beta, self.norm(x), 1 + gamma)


class ConditionalUpBlock(nn.Module):
    """Residual block that doubles the side: [B, inputs, H, W] -> [B, outputs, 2H, 2W]."""

    def __init__(self, inputs: int, outputs: int, condition: int, *, spectral: bool) -> None:
        super().__init__()
        self.norm1 = ConditionalNorm(inputs, condition, spectral=spectral)
        self.conv1 = conv2d(spectral, inputs, outputs, 3, padding=1)
        self.norm2 = ConditionalNorm(outputs, condition, spectral=spectral)
        self.conv2 = conv2d(spectral, outputs, outputs, 3, padding=1)
        self.shortcut = conv2d(spectral, inputs, outputs, 1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        h = self.conv1(_double(F.relu(self.norm1(x, condition))))
        h = self.conv2(F.relu(self.norm2(h, condition)))
        return h + _double(self.shortcut(x))  # a 1x1 convolution may come before the doubling: a quarter of the work


class DownBlock(nn.Module):
    """Residual block without norms: [B, inputs, H, W] -> [B, outputs, H/2, W/2] (`down=False`: the side stays).

    first: it sees the picture, so there is no ReLU before its first convolution.
    """

    def __init__(self, inputs: int, outputs: int, *, down: bool = True, first: bool = False) -> None:
        super().__init__()
        self.down, self.first = down, first
        self.conv1 = SNConv2d(inputs, outputs, 3, padding=1)
        self.conv2 = SNConv2d(outputs, outputs, 3, padding=1)
        self.shortcut = SNConv2d(inputs, outputs, 1) if down or inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(F.relu(self.conv1(x if self.first else F.relu(x))))
        if self.down:
            h, x = F.avg_pool2d(h, 2), F.avg_pool2d(x, 2)
        return h + (x if self.shortcut is None else self.shortcut(x))


class SelfAttention(nn.Module):
    """SAGAN's attention over positions: x + gamma * attention(x), gamma starts at 0; keys and values at half the side."""

    def __init__(self, channels: int, *, spectral: bool) -> None:
        super().__init__()
        inner, values = max(1, channels // 8), max(1, channels // 2)
        self.query = conv2d(spectral, channels, inner, 1, bias=False)
        self.key = conv2d(spectral, channels, inner, 1, bias=False)
        self.value = conv2d(spectral, channels, values, 1, bias=False)
        self.out = conv2d(spectral, values, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        query = rearrange(self.query(x), "b c h w -> b (h w) c")
        key, value = (rearrange(F.max_pool2d(conv(x), 2), "b c h w -> b (h w) c") for conv in (self.key, self.value))
        # scale 1: SAGAN does not divide by the root of the width
        attended = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        attended = rearrange(attended, "b (h w) c -> b c h w", h=x.shape[-2])
        return torch.addcmul(x, self.gamma, self.out(attended))


class Generator(nn.Module):
    """Latent and label set -> picture.

    classes: how many classes a label set speaks of; side: 4 * 2**blocks.
    forward: z [B, z_dim], presence [B, classes] of 0 and 1 -> pictures [B, 3, side, side] in (-1, 1). Nothing is random.
    """

    def __init__(
        self, classes: int, *, side: int, width: int, z_dim: int, embed_dim: int, attention: int, spectral: bool
    ) -> None:
        super().__init__()
        outputs = block_widths(width, (side // START).bit_length() - 1)[::-1]
        inputs = [outputs[0], *outputs[:-1]]
        condition = z_dim + embed_dim
        self.embed = nn.Linear(classes, embed_dim, bias=False)
        self.start = linear(spectral, condition, START * START * outputs[0])
        self.blocks = nn.ModuleList(
            ConditionalUpBlock(a, b, condition, spectral=spectral) for a, b in zip(inputs, outputs, strict=True)
        )
        sides = [START << (i + 1) for i in range(len(outputs))]
        self.attention_after = sides.index(attention) if attention in sides else -1
        self.attention = SelfAttention(outputs[self.attention_after], spectral=spectral) if attention in sides else None
        self.norm = nn.BatchNorm2d(outputs[-1])
        self.out = conv2d(spectral, outputs[-1], 3, 3, padding=1)

    def forward(self, z: Tensor, presence: Tensor) -> Tensor:
        condition = torch.cat([z, self.embed(presence)], 1)
        x = self.start(condition).view(len(z), -1, START, START)
        for i, block in enumerate(self.blocks):
            x = block(x, condition)
            if self.attention is not None and i == self.attention_after:
                x = self.attention(x)
        return torch.tanh(self.out(F.relu(self.norm(x))))


class Discriminator(nn.Module):
    """Projection discriminator (Miyato and Koyama 2018): w . h + embed(label set) . h with h the picture's features.

    With independent classes the log odds of a label set given a picture are linear in its 0/1 vector, so the form carries over
    from one class to a set. width, blocks: channels of the first block, blocks that halve the side.
    forward: pictures [B, 3, H, W] in [-1, 1], presence [B, classes] of 0 and 1 -> scores [B].
    """

    def __init__(self, classes: int, *, side: int = 128, width: int = 64, attention: int = 32) -> None:
        super().__init__()
        outputs = block_widths(width, (side // START).bit_length() - 1)
        inputs = [3, *outputs[:-1]]
        self.blocks = nn.ModuleList(
            DownBlock(a, b, first=i == 0) for i, (a, b) in enumerate(zip(inputs, outputs, strict=True))
        )
        sides = [side >> (i + 1) for i in range(len(outputs))]
        self.attention_after = sides.index(attention) if attention in sides else -1
        self.attention = SelfAttention(outputs[self.attention_after], spectral=True) if attention in sides else None
        self.last = DownBlock(outputs[-1], outputs[-1], down=False)
        self.score = SNLinear(outputs[-1], 1)
        self.embed = SNLinear(classes, outputs[-1], bias=False)

    def forward(self, x: Tensor, presence: Tensor) -> Tensor:
        for i, block in enumerate(self.blocks):
            x = block(x)
            if self.attention is not None and i == self.attention_after:
                x = self.attention(x)
        features = F.relu(self.last(x)).sum((2, 3))
        return self.score(features)[:, 0] + (self.embed(presence) * features).sum(1)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
