"""The U-Net's parts: time embedding, norms, residual blocks without and with the map, attention, halving and doubling."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.blocks import SPADENorm, resize_planes

PERIOD = 10_000
"""The slowest frequency of the time embedding is about 1 / PERIOD."""


def timestep_embedding(times: Tensor, dim: int) -> Tensor:
    """Times [B] (whole or not) -> float32 [B, dim]: cosines, then sines of dim // 2 frequencies; an odd dim ends in a zero."""
    half = dim // 2
    frequencies = torch.exp(-math.log(PERIOD) * torch.arange(half, dtype=torch.float32) / half).to(times.device)
    angles = times[:, None].float() * frequencies
    embedding = torch.cat([angles.cos(), angles.sin()], 1)
    return F.pad(embedding, (0, dim % 2))


class GroupNorm(nn.GroupNorm):
    """Group norm with scale and shift, computed in float32 whatever comes in; the result has the type of the input."""

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input.float(), self.num_groups, self.weight, self.bias, self.eps).to(input.dtype)


class SPADEGroupNorm(SPADENorm):
    """SPADE around a group norm: forward(x [B, C, h, w], planes [B, K, H, W]) -> the shape of x. The planes are resized here (nearest).

    scale: how many pixels of the picture a pixel here is wide, for forms that look at the map beforehand.
    """

    def __init__(self, channels: int, planes: int, *, groups: int, hidden: int, scale: int = 1) -> None:
        super().__init__(channels, planes, norm=f"group{groups}", hidden=hidden)
        self.scale = scale

    def forward(self, x: Tensor, planes: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return super().forward(x, self.affine(resize_planes(planes, (x.shape[-2], x.shape[-1]))))


def halved(x: Tensor) -> Tensor:
    """Means over cells of 2 x 2 pixels."""
    return F.avg_pool2d(x, 2)


def doubled(x: Tensor) -> Tensor:
    """Every pixel four times."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def zeroed(layer: nn.Conv2d | nn.Conv1d) -> Any:
    """The layer with zero weights and biases, so that a fresh block adds nothing."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class Downsample(nn.Module):
    """A convolution of stride 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class Upsample(nn.Module):
    """Doubling, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(doubled(x))


class _TimedBlock(nn.Module):
    """What both residual blocks share: the time's scale and shift, the shortcut, halving (`down`) or doubling (`up`)."""

    def __init__(
        self, c_in: int, embedding: int, c_out: int, *, scale_shift: bool, up: bool, down: bool, conv_shortcut: bool
    ) -> None:
        super().__init__()
        self.scale_shift, self.up, self.down = scale_shift, up, down
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, 2 * c_out if scale_shift else c_out))
        shortcut = nn.Conv2d(c_in, c_out, 3, padding=1) if conv_shortcut else nn.Conv2d(c_in, c_out, 1)
        self.skip_connection: nn.Module = nn.Identity() if c_in == c_out else shortcut

    def resized(self, x: Tensor) -> Tensor:
        """x at the size of the block's output."""
        return doubled(x) if self.up else halved(x) if self.down else x

    def timed(self, embedding: Tensor, h: Tensor) -> tuple[Tensor, Tensor | None]:
        """(scale, shift) of the hidden values, each [B, C, 1, 1]; (what is added to them, None) without `scale_shift`."""
        values = self.emb_layers(embedding).to(h.dtype)[:, :, None, None]
        if not self.scale_shift:
            return values, None
        scale, shift = values.chunk(2, 1)
        return scale, shift


class ResBlock(_TimedBlock):
    """The encoder's residual block, which does not see the map: forward(x, embedding [B, E], condition, which it leaves alone)."""

    def __init__(
        self, c_in: int, embedding: int, c_out: int, *, groups: int, dropout: float = 0.0, scale_shift: bool = True, up: bool = False,
        down: bool = False, conv_shortcut: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(c_in, embedding, c_out, scale_shift=scale_shift, up=up, down=down, conv_shortcut=conv_shortcut)
        self.in_layers = nn.Sequential(GroupNorm(groups, c_in), nn.SiLU(), nn.Conv2d(c_in, c_out, 3, padding=1))
        last = zeroed(nn.Conv2d(c_out, c_out, 3, padding=1))
        self.out_layers = nn.Sequential(GroupNorm(groups, c_out), nn.SiLU(), nn.Dropout(dropout), last)

    def forward(self, x: Tensor, embedding: Tensor, condition: Any = None) -> Tensor:
        norm, act, conv = self.in_layers
        h = conv(self.resized(act(norm(x))))
        scale, shift = self.timed(embedding, h)
        norm, rest = self.out_layers[0], self.out_layers[1:]
        h = rest(norm(h + scale) if shift is None else norm(h) * (1 + scale) + shift)
        return self.skip_connection(self.resized(x)) + h


class SDMResBlock(_TimedBlock):
    """The decoder's residual block: both norms read the map; the time scales and shifts what comes from the second.

    forward(x, embedding [B, E], condition): condition is what its norms take, planes [B, K, H, W]. scale: of the block's input, in pixels
    of the picture.
    """

    def __init__(
        self, c_in: int, embedding: int, c_out: int, planes: int, *, groups: int, hidden: int, scale: int = 1, dropout: float = 0.0,
        scale_shift: bool = True, up: bool = False, down: bool = False, conv_shortcut: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(c_in, embedding, c_out, scale_shift=scale_shift, up=up, down=down, conv_shortcut=conv_shortcut)
        after = scale // 2 if up else scale * 2 if down else scale
        self.in_norm = SPADEGroupNorm(c_in, planes, groups=groups, hidden=hidden, scale=scale)
        self.in_layers = nn.Sequential(nn.SiLU(), nn.Conv2d(c_in, c_out, 3, padding=1))
        self.out_norm = SPADEGroupNorm(c_out, planes, groups=groups, hidden=hidden, scale=after)
        last = zeroed(nn.Conv2d(c_out, c_out, 3, padding=1))
        self.out_layers = nn.Sequential(nn.SiLU(), nn.Dropout(dropout), last)

    def forward(self, x: Tensor, embedding: Tensor, condition: Any = None) -> Tensor:
        act, conv = self.in_layers
        h = conv(self.resized(act(self.in_norm(x, condition))))
        scale, shift = self.timed(embedding, h)
        if shift is None:
            h = self.out_norm(h + scale, condition)
        else:
            h = self.out_norm(h, condition) * (1 + scale) + shift
        return self.skip_connection(self.resized(x)) + self.out_layers(h)


class AttentionBlock(nn.Module):
    """Self-attention over all pixels, added to x [B, C, H, W].

    new_order: the channels of `qkv` are queries, keys, values, and heads inside each; else heads, and the three inside each. Products and
    weights as the authors have them: both sides scaled by the fourth root, the softmax in float32.
    """

    def __init__(self, channels: int, heads: int, *, groups: int, new_order: bool = False) -> None:
        super().__init__()
        self.heads, self.new_order = heads, new_order
        self.norm = GroupNorm(groups, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = zeroed(nn.Conv1d(channels, channels, 1))

    def split(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, 3 C, N] -> queries, keys, values, each [B * heads, C / heads, N]."""
        batch, width, count = qkv.shape
        if self.new_order:
            parts = qkv.reshape(batch, 3, self.heads, -1, count).unbind(1)
            q, k, v = (p.reshape(batch * self.heads, -1, count) for p in parts)
            return q, k, v
        q, k, v = qkv.reshape(batch * self.heads, width // self.heads, count).chunk(3, 1)
        return q, k, v

    def attended(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """The mean of the values [B * heads, C / heads, N] that each place pays attention to."""
        scale = q.shape[1] ** -0.25
        weight = torch.einsum("bct,bcs->bts", q * scale, k * scale)
        return torch.einsum("bts,bcs->bct", torch.softmax(weight.float(), -1).to(weight.dtype), v)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        mean = self.attended(*self.split(self.qkv(self.norm(flat))))
        return (flat + self.proj_out(mean.reshape(flat.shape))).reshape(x.shape)
