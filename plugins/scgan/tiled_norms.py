"""The norms of SC-GAN's tiled form: each gives (scale, shift) for some rows of a picture at a time.

A norm with statistics of the image itself is kept as `norm`, which the block applies first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.blocks import SPADENorm
from zoo.families.spade.window_norms import WindowNorm
from zoo_plugins.scgan.blocks import SCN


@dataclass(frozen=True, eq=False)
class TiledSite:
    """What a block reads of the map (a batch of 1 serves any number of samples).

    v_conv, v_norm: semantic vectors float32 [B, h, w, n] and [B, h, w, m]. index: int32 [B, h, w], each pixel's row in `rows`: (scale,
    shift) [windows, 2 * channels] of the block's norms that see the labels, by name.
    """

    v_conv: Tensor
    v_norm: Tensor
    index: Tensor | None
    rows: Mapping[str, Tensor]


class TableNorm(nn.Module):
    """SCN: (scale, shift)(p) = sum_i V_i(p) * row_i + a constant row (the table's last), with the running statistics folded in."""

    table: Tensor

    def __init__(self, layer: SCN) -> None:
        super().__init__()
        gamma, beta = layer.table.detach().chunk(2, 1)
        scale, shift, self.norm = _folded(layer.param_free_norm, gamma[0])
        # the constant is a row of its own, not added to each: V need not sum to 1 (sigmoid, identity)
        constant = torch.cat([scale, shift])[None]
        self.register_buffer("table", torch.cat([torch.cat([gamma * scale, beta + shift * gamma], 1), constant]))

    def rows_at(self, name: str, site: TiledSite, samples: slice, rows: slice) -> Tensor:
        """(scale, shift) side by side [b, rows, w, 2 * channels]."""
        v = site.v_norm[samples, rows].to(self.table.dtype)
        return torch.mm(F.pad(v.flatten(0, 2), (0, 1), value=1.0), self.table).unflatten(0, v.shape[:3])


class LabelNorm(WindowNorm):
    """SPADE by distinct window; its scales and shifts are rows of the site."""

    def rows_at(self, name: str, site: TiledSite, samples: slice, rows: slice) -> Tensor:
        """(scale, shift) side by side [b, rows, w, 2 * channels]."""
        assert site.index is not None
        places = site.index[samples, rows]
        return site.rows[name].index_select(0, places.flatten()).unflatten(0, places.shape)


class FixedNorm(nn.Module):
    """A norm that does not look at the map."""

    constant: Tensor

    def __init__(self, layer: nn.Module, like: Tensor) -> None:
        """like: one number per channel."""
        super().__init__()
        scale, shift, self.norm = _folded(layer, like)
        if self.norm is None and isinstance(layer, nn.BatchNorm2d) and layer.affine:
            scale, shift = scale * layer.weight.detach(), shift * layer.weight.detach() + layer.bias.detach()
        self.register_buffer("constant", torch.cat([scale, shift])[None, None, None])

    def rows_at(self, name: str, site: TiledSite, samples: slice, rows: slice) -> Tensor:
        """(scale, shift) side by side [1, 1, 1, 2 * channels]."""
        return self.constant


TiledNorm = TableNorm | LabelNorm | FixedNorm


def tiled_norm(norm: nn.Module, like: Tensor) -> TiledNorm:
    """The tiled form of a block's norm; like: one number per channel."""
    if isinstance(norm, SCN):
        return TableNorm(norm)
    return LabelNorm(norm) if isinstance(norm, SPADENorm) else FixedNorm(norm.norm, like)  # type: ignore[arg-type]


def _folded(norm: nn.Module, like: Tensor) -> tuple[Tensor, Tensor, nn.Module | None]:
    """(scale, shift, None) of a batch norm with running statistics; any other norm as it is, with (1, 0)."""
    if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None:
        scale = torch.rsqrt(norm.running_var + norm.eps)
        return scale, -norm.running_mean * scale, None
    return torch.ones_like(like), torch.zeros_like(like), norm
