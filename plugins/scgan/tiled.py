"""SC-GAN's residual block for large pictures: modulation, candidates and their mixture some rows at a time, channels last.

Nothing as large as the n candidates of a layer or as the scales and shifts of a norm is ever held.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.inference.tiles import TiledConv
from zoo_plugins.scgan.blocks import SCC, SCResnetBlock
from zoo_plugins.scgan.tiled_norms import LabelNorm, TiledNorm, TiledSite, tiled_norm

PIECE = 1 << 16
"""Numbers that are modulated at once."""
SLOPE = 0.2


class TiledBlock(nn.Module):
    """Equal to a `SCResnetBlock` in evaluation mode, for inference alone. `forward(x, site)`; it doubles x itself if `doubles`.

    The convolutions' spectral norms are folded before. `torch.compile` leaves it as it is.
    """

    uncompiled = True

    def __init__(self, block: SCResnetBlock, *, doubles: bool) -> None:
        super().__init__()
        self.doubles, self.learned = doubles, block.learned
        self.conv_0, self.conv_1 = _candidates(block.conv_0), _candidates(block.conv_1)
        c_in, middle = (c.weight[0, :, 0, 0] for c in (self.conv_0, self.conv_1))
        self.norm_0, self.norm_1 = tiled_norm(block.norm_0, c_in), tiled_norm(block.norm_1, middle)
        if self.learned:
            self.norm_s = tiled_norm(block.norm_s, c_in)
            self.conv_s = TiledConv(block.conv_s.weight.detach(), block.conv_s.bias.detach())  # type: ignore[union-attr]

    def label_norms(self) -> dict[str, LabelNorm]:
        """The norms that see the labels, by name."""
        return {name: norm for name, norm in self.named_children() if isinstance(norm, LabelNorm)}

    def forward(self, x: Tensor, site: TiledSite) -> Tensor:
        """[B, C, h, w] -> [B, C', h, w] or, doubled, [B, C', 2h, 2w], channels last."""
        small = x.permute(0, 2, 3, 1).contiguous()
        one = site.v_conv.new_ones(1, *site.v_conv.shape[1:3], 1)
        padded = out = None
        if self.learned:
            padded = modulate("norm_s", self.norm_s, small, site, doubled=self.doubles)  # type: ignore[arg-type]
            out = mix(self.conv_s, padded, one)
        padded = modulate("norm_0", self.norm_0, small, site, doubled=self.doubles, slope=SLOPE, padded=padded)
        if out is None:
            out = small.repeat_interleave(2, 1).repeat_interleave(2, 2) if self.doubles else small.clone()
        del x, small
        dx = mix(self.conv_0, padded, site.v_conv)
        del padded
        mix(self.conv_1, modulate("norm_1", self.norm_1, dx, site, slope=SLOPE), site.v_conv, out)
        return out.permute(0, 3, 1, 2)


def modulate(
    name: str,
    norm: TiledNorm,
    x: Tensor,
    site: TiledSite,
    *,
    doubled: bool = False,
    slope: float = 1,
    padded: Tensor | None = None,
) -> Tensor:
    """Norm, modulation and leaky ReLU of x [B, h, w, C], doubled or not, within a border of zeros [B, H + 2, W + 2, C].

    padded: memory for it, with the border of zeros.
    """
    if norm.norm is not None:
        # statistics of the image are those of the doubled one
        x = norm.norm(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).contiguous()
    batch, height, width, channels = x.shape
    factor = 2 if doubled else 1
    if padded is None:
        padded = x.new_empty(batch, height * factor + 2, width * factor + 2, channels)
        for border in (padded[:, 0], padded[:, -1], padded[:, :, 0], padded[:, :, -1]):
            border.zero_()
    inner = padded[:, 1:-1, 1:-1]
    together = batch if len(site.v_conv) == 1 else 1
    step = max(1, PIECE // (together * width * channels * factor * factor))
    for sample in range(0, batch, together):
        samples = slice(sample, sample + together)
        of_map = slice(None) if len(site.v_conv) == 1 else samples
        for first in range(0, height, step):
            last = min(height, first + step)
            rows = slice(first * factor, last * factor)
            scale, shift = norm.rows_at(name, site, of_map, rows).to(x.dtype).chunk(2, -1)
            part, target = x[samples, first:last], inner[samples, rows]
            if doubled:
                part, target = part[:, :, None, :, None].expand(-1, -1, 2, -1, 2, -1), _fours(target)
                scale, shift = _fours(scale), _fours(shift)
            torch.addcmul(shift, part, scale, out=target)
            if slope != 1:
                F.leaky_relu_(target, slope)
    return padded


def mix(conv: TiledConv, padded: Tensor, v: Tensor, out: Tensor | None = None) -> Tensor:
    """Eq. 4: the candidates of `conv`, side by side in its output, weighted with v [B or 1, h, w, n]: [B, h, w, C].

    out: what it is added to, in its memory.
    """
    n, adding = v.shape[-1], out is not None
    for strip in conv.strips(padded):
        candidates = strip.y.unflatten(-1, (n, -1)).unbind(-2)
        total = candidates[0]
        if n > 1:
            weights = strip.of(v).to(total.dtype).unsqueeze(-1).unbind(-2)
            total = total * weights[0]
            for candidate, weight in zip(candidates[1:], weights[1:], strict=True):
                total.addcmul_(candidate, weight)
        if out is None:
            out = total.new_empty(len(padded), padded.shape[1] - 2, padded.shape[2] - 2, total.shape[-1])
        target = strip.of(out)
        target.add_(total) if adding else target.copy_(total)
    assert out is not None
    return out


def _candidates(layer: nn.Module) -> TiledConv:
    assert isinstance(layer, SCC)  # `worth_tiles` asks before
    return TiledConv(torch.cat([k.detach() for k in layer.kernels()]))


def _fours(maps: Tensor) -> Tensor:
    """[B, 2h, 2w, C] (or one pixel for all) as [B, h, 2, w, 2, C]."""
    if maps.shape[2] == 1:
        return maps[:, :, None, :, None]
    return maps.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
