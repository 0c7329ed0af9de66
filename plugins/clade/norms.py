"""Class-adaptive normalisation (paper section 3.2; ICPE section 3.4; docs/papers/clade.md, "Normalisation")."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.families.spade.blocks import Affine
from zoo.families.spade.class_tables import absorb, halves, look_up, modulate, statistics
from zoo.nn.norms import param_free_norm


class ClassSite(NamedTuple):
    """What a map says at one size. classes: int64 [B, h, w]. edges: [B, 1, h, w] of 0 and 1, or None. positions: [B, 2, h, w], or None."""

    classes: Tensor
    edges: Tensor | None = None
    positions: Tensor | None = None


class CLADENorm(nn.Module):
    """normalised(x) * gamma + beta, gamma and beta the rows of the pixel's class in two tables [classes, channels].

    positions (ICPE): the rows are multiplied by 1 plus an affine function of the pixel's place in its part, one number for all
    channels. edges: a feature of the edge map is appended as one more channel, neither normalised nor modulated.
    """

    def __init__(self, channels: int, classes: int, *, norm: str, edges: bool = False, positions: bool = False) -> None:
        super().__init__()
        self.param_free_norm = param_free_norm(norm, channels)
        # quirk kept: scales start at 1/2 in the mean, and there is no "1 +" as in SPADE
        self.weight = nn.Parameter(nn.init.uniform_(torch.empty(classes, channels)))
        self.bias = nn.Parameter(torch.zeros(classes, channels))
        self.scale_position = nn.Conv2d(2, 1, 1) if positions else None
        self.shift_position = nn.Conv2d(2, 1, 1) if positions else None
        self.edge_conv = nn.Conv2d(1, 1, 1) if edges else None

    def affine(self, site: ClassSite) -> Affine:
        """(gamma, beta), each [B, channels, h, w]."""
        gamma, beta = look_up(self.weight, site.classes), look_up(self.bias, site.classes)
        return self.placed(gamma, beta, site)

    def placed(self, scale: Tensor, shift: Tensor, site: ClassSite) -> Affine:
        """Scales and shifts [B, channels, h, w] with the pixels' places in them (ICPE); without it they stay as they are."""
        if self.scale_position is None or self.shift_position is None:
            return scale, shift
        assert site.positions is not None
        return scale * (1 + self.scale_position(site.positions)), shift * (1 + self.shift_position(site.positions))

    def with_edges(self, x: Tensor, site: ClassSite) -> Tensor:
        """x [B, channels, h, w] and the feature of the edges, where the norm has one."""
        if self.edge_conv is None:
            return x
        assert site.edges is not None
        return torch.cat([x, self.edge_conv(site.edges).expand(len(x), -1, -1, -1)], 1)

    def forward(self, x: Tensor, site: ClassSite) -> Tensor:
        """x [B, channels, h, w] -> the same shape, with edges one channel more; the site's batch may be 1."""
        gamma, beta = self.affine(site)
        return self.with_edges(self.param_free_norm(x) * gamma + beta, site)


class FoldedCLADE(nn.Module):
    """Equal to the norm that it is made from in evaluation mode: one look-up and one multiplication with addition per pixel."""

    table: Tensor
    mean: Tensor | None

    def __init__(self, layer: CLADENorm) -> None:
        super().__init__()
        self.layer, known = layer, statistics(layer.param_free_norm)
        zeros = torch.zeros_like(layer.weight[0])
        mean, inv_std = (zeros, zeros + 1) if known is None else known
        self.norm = layer.param_free_norm if known is None else None
        # places multiply the shift alone, so the mean cannot be part of it
        self.register_buffer("mean", None if layer.scale_position is None else mean)
        inside = mean if layer.scale_position is None else zeros
        self.register_buffer("table", absorb(layer.weight.detach(), layer.bias.detach(), inside, inv_std))
        del layer.weight, layer.bias, layer.param_free_norm  # what remains of it reads places and edges

    def forward(self, x: Tensor, site: ClassSite) -> Tensor:
        """As of `CLADENorm`."""
        x = x if self.norm is None else self.norm(x)
        if self.mean is None:
            return self.layer.with_edges(modulate(x, look_up(self.table, site.classes)), site)
        scale, shift = self.layer.placed(*halves(self.table, site.classes), site)
        return self.layer.with_edges(torch.addcmul(shift, x - self.mean[:, None, None], scale), site)


def fold_norms(module: nn.Module) -> None:
    """Replace every `CLADENorm` below `module` by its folded form, in place; for evaluation only."""
    for name, child in module.named_children():
        if isinstance(child, CLADENorm):
            setattr(module, name, FoldedCLADE(child))
        else:
            fold_norms(child)
