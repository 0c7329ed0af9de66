"""The inference form: scales and shifts of the decoder's norms once for a map instead of at each step (docs/papers/sdm.md, "Cost").

They depend on the map alone, and on a real map few surroundings differ, so they are kept as rows of a table for each distinct window of the
map (`zoo.families.spade.window_norms`), which every step gathers. The left out map has one value and at most 25 windows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from zoo.families.spade.blocks import resize_numbers
from zoo.families.spade.window_blocks import modulate, pieces
from zoo.families.spade.window_norms import WindowNorm
from zoo.families.spade.window_plans import Site, make_site
from zoo.inference.columns import Content
from zoo.inference.memory import uninitialised
from zoo.inference.packed import pack
from zoo_plugins.sdm.blocks import SPADEGroupNorm
from zoo_plugins.sdm.unet import UNet


@dataclass(frozen=True, eq=False)
class NormTables:
    """What all norms read of maps: by how many pixels of the picture one of theirs is wide, the windows and the norms' rows."""

    sites: dict[int, Site]


class TableNorm(nn.Module):
    """Equal to a `SPADEGroupNorm`; forward(x [B, C, h, w], tables of B maps or of one for all) -> the same shape, channels last."""

    uncompiled = True

    def __init__(self, norm: SPADEGroupNorm, name: str) -> None:
        super().__init__()
        self.windows = WindowNorm(norm)
        self.scale, self.name = norm.scale, name

    def forward(self, x: Tensor, tables: NormTables) -> Tensor:
        site = tables.sites[self.scale]
        rows = site.tables.rows[self.name]
        assert self.windows.norm is not None
        normed = self.windows.norm(x).to(rows.dtype).permute(0, 2, 3, 1).contiguous()
        out = uninitialised(normed, normed.shape)
        for piece in pieces(normed, site.index):
            modulate(normed[piece.samples, piece.source], rows, piece.windows, out[piece.samples, piece.rows])
        return out.permute(0, 3, 1, 2)


def fold(unet: UNet) -> None:
    """Make the network, a fresh copy, its inference form in place."""
    for name, norm in list(unet.norms()):
        _replace(unet, name, TableNorm(cast(SPADEGroupNorm, norm), name))
    unet.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    for name, layer in list(unet.named_modules()):
        if isinstance(layer, nn.Conv2d):
            _replace(unet, name, pack(layer))


def _replace(network: nn.Module, name: str, new: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, new)


def _norms(unet: UNet) -> Iterator[TableNorm]:
    return (norm for _, norm in unet.norms() if isinstance(norm, TableNorm))


def make_tables(unet: UNet, values: Tensor, content: Content, old: NormTables | None = None) -> NormTables | None:
    """The tables of maps' numbers int64 [B, H, W]; None for a network in its plain form. old: see `make_site`."""
    by_scale: dict[int, dict[str, WindowNorm]] = {}
    for norm in _norms(unet):
        by_scale.setdefault(norm.scale, {})[norm.name] = norm.windows
    if not by_scale:
        return None
    height, width = values.shape[-2:]
    sites = {
        scale: make_site(
            resize_numbers(values, (height // scale, width // scale)),
            norms,
            content,
            None if old is None else old.sites[scale],
        )
        for scale, norms in by_scale.items()
    }
    return NormTables(sites)
