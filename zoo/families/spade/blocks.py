"""SPADE: spatially adaptive denormalisation from a semantic map (Park et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.window_sums import WindowAffine
from zoo.nn.norms import NormSpec, param_free_norm, parse_norm
from zoo.nn.spectral import conv2d

Affine = tuple[Tensor, Tensor]
BlockAffine = tuple[Affine | WindowAffine, Affine | WindowAffine, Affine | WindowAffine | None]


class SPADENorm(nn.Module):
    """normalised(x) * (1 + gamma) + beta, gamma and beta from two convolutions over the one-hot map.

    `affine` depends on the map alone, so it can be computed once and serve many calls of `forward`.
    """

    def __init__(
        self, channels: int, label_channels: int, *, norm: str = "syncbatch", kernel: int = 3, hidden: int = 128
    ):
        super().__init__()
        self.param_free_norm = param_free_norm(norm, channels)
        self.mlp_shared = nn.Conv2d(label_channels, hidden, kernel, padding=kernel // 2)
        self.mlp_gamma = nn.Conv2d(hidden, channels, kernel, padding=kernel // 2)
        self.mlp_beta = nn.Conv2d(hidden, channels, kernel, padding=kernel // 2)

    def hidden(self, planes: Tensor, classes: Tensor | None = None, table: Tensor | None = None) -> Tensor:
        """Activations [B, hidden, H, W] between the two convolutions.

        Where a map shows few classes, `planes` [B, K, H, W] may hold one-hot planes of these alone: with classes int64 [K],
        the channels they are; or with table [B, K, label_channels], what a pixel of each class holds in all channels. The
        same result as from the planes of all channels, at the cost of K.
        """
        conv = self.mlp_shared
        if table is not None:
            batch = len(table)
            kernel = torch.einsum("hnij,bkn->bhkij", conv.weight, table.to(conv.weight.dtype))
            kernel = rearrange(kernel, "b h k i j -> (b h) k i j")
            grouped = rearrange(planes.expand(batch, -1, -1, -1), "b k h w -> 1 (b k) h w")
            hidden = F.conv2d(grouped, kernel, padding=conv.padding, groups=batch)  # type: ignore[arg-type]
            return F.relu(rearrange(hidden, "1 (b c) h w -> b c h w", b=batch) + conv.bias[:, None, None])  # type: ignore[index]
        if classes is None:
            return F.relu(conv(planes))
        return F.relu(F.conv2d(planes, conv.weight.index_select(1, classes), conv.bias, padding=conv.padding))  # type: ignore[arg-type]

    def affine(self, planes: Tensor, classes: Tensor | None = None, table: Tensor | None = None) -> Affine:
        """One-hot planes at the size of x [B, label_channels, H, W] -> (gamma, beta), each [B, channels, H, W].

        classes, table: see `hidden`.
        """
        hidden = self.hidden(planes, classes, table)
        weight = torch.cat([self.mlp_gamma.weight, self.mlp_beta.weight])  # one convolution instead of two
        bias = torch.cat([self.mlp_gamma.bias, self.mlp_beta.bias])  # type: ignore[list-item]
        gamma, beta = F.conv2d(hidden, weight, bias, padding=self.mlp_gamma.padding).chunk(2, 1)  # type: ignore[arg-type]
        return gamma, beta

    def forward(self, x: Tensor, affine: Affine | WindowAffine) -> Tensor:
        """x [B, channels, H, W] with what `affine` returned (its batch may be 1), or a `TrainingSite` (channels last) -> the same shape."""
        if isinstance(affine, WindowAffine):
            # torch's batch norm of features channels last adds up plainly, forty times less exact
            return affine(self.param_free_norm(x.contiguous()))
        gamma, beta = affine
        # rounded twice, as in the authors' code: addcmul rounds once, and training in float32 drifts from theirs by it
        return self.param_free_norm(x) * (1 + gamma) + beta


def resize_planes(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """Nearest resize (index floor(i * scale)) of one-hot planes, as all networks of the family do it; the memory format stays."""
    height, width = planes.shape[-2:]
    if (height, width) == tuple(size):
        return planes
    if height % size[0] or width % size[1]:
        return F.interpolate(planes, size=size, mode="nearest")
    last = not planes.is_contiguous() and planes.is_contiguous(memory_format=torch.channels_last)
    smaller = planes[..., :: height // size[0], :: width // size[1]]  # the same pixels, several times faster
    return smaller.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


def resize_numbers(numbers: Tensor, size: tuple[int, int]) -> Tensor:
    """The same of int64 [B, H, W] (below 2 ** 24, so that float32 holds them)."""
    if tuple(numbers.shape[-2:]) == tuple(size):
        return numbers
    return F.interpolate(numbers[:, None].float(), size=size, mode="nearest")[:, 0].long()


class ResnetBlock(nn.Module):
    """SPADE's residual block around norms of any kind: convolutions with bias, the learned shortcut 1x1 without.

    norm: makes a norm of so many channels, called as `norm(x, plan)`. appended: channels that it adds to those of x, which the
    convolutions behind it read too. groups: of all convolutions. forward: `plan` holds what norm_0, norm_1 and norm_s read (None for the last: no learned shortcut).
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        norm: Callable[[int], nn.Module],
        *,
        spectral: bool,
        appended: int = 0,
        groups: int = 1,
    ) -> None:
        super().__init__()
        middle = min(c_in, c_out)
        self.conv_0 = conv2d(spectral, c_in + appended, middle, 3, padding=1, groups=groups)
        self.conv_1 = conv2d(spectral, middle + appended, c_out, 3, padding=1, groups=groups)
        self.learned = c_in != c_out
        self.norm_0, self.norm_1 = norm(c_in), norm(middle)
        if self.learned:
            self.conv_s = conv2d(spectral, c_in + appended, c_out, 1, groups=groups, bias=False)
            self.norm_s = norm(c_in)

    def forward(self, x: Tensor, plan: tuple[Any, Any, Any]) -> Tensor:
        shortcut = x if plan[2] is None else self.conv_s(self.norm_s(x, plan[2]))
        dx = self.conv_0(F.leaky_relu(self.norm_0(x, plan[0]), 0.2))
        return shortcut + self.conv_1(F.leaky_relu(self.norm_1(dx, plan[1]), 0.2))


class SPADEResnetBlock(ResnetBlock):
    """SPADE's residual block: every norm reads the map.

    norm: `[spectral]spade{syncbatch,batch,instance}KxK`. Calls: `forward(x, plan(planes))`. A subclass with norms of its own
    overrides `make_norm`; each of them is called with what stands for it in the plan.
    """

    norm_0: SPADENorm
    norm_1: SPADENorm
    norm_s: SPADENorm

    def __init__(
        self, c_in: int, c_out: int, label_channels: int, *, norm: str = "spectralspadesyncbatch3x3", hidden: int = 128
    ):
        spec = parse_norm(norm, ("spade",))
        super().__init__(c_in, c_out, lambda c: self.make_norm(c, label_channels, spec, hidden), spectral=spec.spectral)

    def make_norm(self, channels: int, label_channels: int, spec: NormSpec, hidden: int) -> Any:
        """One of the block's norms."""
        return SPADENorm(channels, label_channels, norm=spec.kind, kernel=spec.kernel, hidden=hidden)

    def plan(self, planes: Tensor, classes: Tensor | None = None, table: Tensor | None = None) -> BlockAffine:
        """Scales and shifts of norm_0, norm_1, norm_s from one-hot planes at the size of x (classes, table: `SPADE.hidden`)."""
        shortcut = self.norm_s.affine(planes, classes, table) if self.learned else None
        return self.norm_0.affine(planes, classes, table), self.norm_1.affine(planes, classes, table), shortcut
