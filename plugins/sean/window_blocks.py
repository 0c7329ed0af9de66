"""SEAN's residual block over tables of windows: the map's rows and the style's meet at each pixel, some thousand numbers at a time."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.window_blocks import PIECE, SLOPE
from zoo.families.spade.window_norms import WindowNorm
from zoo.inference.packed import Packed, as_linear
from zoo_plugins.sean.blocks import BlockInput, SEANBlock, StyleRows
from zoo_plugins.sean.folded import FoldedNorm


class SEANWindowBlock(nn.Module):
    """Equal to a `SEANBlock` in evaluation mode, for inference alone; it doubles x itself if `doubles`."""

    uncompiled = True

    def __init__(self, block: SEANBlock, *, doubles: bool) -> None:
        super().__init__()
        self.doubles, self.learned, self.c_out = doubles, block.learned, block.conv_1.out_channels
        for name, norm in block.noisy_norms().items():
            setattr(self, name, FoldedNorm(norm, windowed=True))
        self.conv_0, self.conv_1 = Packed(block.conv_0), Packed(block.conv_1)
        if block.learned:
            self.conv_s = Packed(as_linear(block.conv_s))

    def noisy_norms(self) -> dict[str, FoldedNorm]:
        """As of a `SEANBlock`."""
        return {name: getattr(self, name) for name in ("norm_s", "norm_0", "norm_1") if hasattr(self, name)}

    def norms(self) -> dict[str, WindowNorm]:
        """The map's parts of the norms by name."""
        return {name: norm.spade for name, norm in self.noisy_norms().items() if isinstance(norm.spade, WindowNorm)}

    def forward(self, x: Tensor, plan: BlockInput) -> Tensor:
        if self.doubles and not self.learned:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        x = x.to(plan.of_map.norm_0.dtype).contiguous(memory_format=torch.channels_last)
        places = _places(x, plan)
        doubled = self.doubles and self.learned
        dx = self.conv_0(self._modulated("norm_0", x, plan, places, doubled=doubled))
        shortcut = self._modulated("norm_s", x, plan, places, doubled=doubled) if self.learned else x.clone()
        dx = dx.contiguous(memory_format=torch.channels_last)
        return self.conv_1.add_to(self._modulated("norm_1", dx, plan, places), shortcut)

    def _modulated(
        self, name: str, x: Tensor, plan: BlockInput, places: list[tuple[int, slice]], *, doubled: bool = False
    ) -> Tensor:
        """The norm `name` of x [B, C, h, w], channels last, and what follows it: the activation, or for the shortcut its convolution."""
        norm: FoldedNorm = getattr(self, name)
        height, width = plan.of_map.index.shape[1:]
        rows, noise = x.permute(0, 2, 3, 1), plan.noise[name].to(x.dtype)
        out = x.new_empty(len(x), height, width, self.c_out if name == "norm_s" else x.shape[1])
        for sample, lines in places:
            part = rows[sample, lines.start // 2 : lines.stop // 2] if doubled else rows[sample, lines]
            if doubled:
                part = part[:, None, :, None].expand(-1, 2, -1, 2, -1).reshape(-1, width, x.shape[1])
            a, b = _scales(getattr(plan.of_map, name), plan.of_map.index, plan.styles[name], sample, lines)
            noisy = torch.addcmul(part, noise[sample, 0, lines, :, None], norm.noise_var)
            if name == "norm_s":
                out[sample, lines] = self.conv_s(torch.addcmul(b, noisy, a))
            else:
                F.leaky_relu_(torch.addcmul(b, noisy, a, out=out[sample, lines]), SLOPE)
        return out.permute(0, 3, 1, 2)


def _places(x: Tensor, plan: BlockInput) -> list[tuple[int, slice]]:
    """Pieces of whole lines, an even number of them, of every sample: (sample, lines)."""
    height, width = plan.of_map.index.shape[1:]
    step = max(2, PIECE // (width * x.shape[1]) // 2 * 2)
    return [(s, slice(top, min(top + step, height))) for s in range(len(x)) for top in range(0, height, step)]


def _scales(table: Tensor, index: Tensor, style: StyleRows | None, sample: int, lines: slice) -> tuple[Tensor, Tensor]:
    """(a, b), each [lines, w, channels]: the map's rows and the style's."""
    seen = index[sample if len(index) > 1 else 0, lines]
    both = table.index_select(0, seen.flatten())
    if style is not None:
        both += style.rows.index_select(0, style.index[sample if len(style.index) > 1 else 0, lines].flatten())
    a, b = both.view(*seen.shape, -1).chunk(2, -1)
    return a, b
