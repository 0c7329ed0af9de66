"""Instance-adaptive denormalisation (paper section 3.2; docs/papers/inade.md, "Normalisation")."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.families.spade.class_tables import absorb, look_up, modulate, statistics
from zoo.nn.norms import param_free_norm


class Site(NamedTuple):
    """What a norm reads at its size. index: int64 [B, h, w], each pixel's place among the instances. classes: int64 [K], of each
    instance. codes: [S, K, 2, noise_dim], those of the scales and of the shifts. sketch: [B, 1, h, w] in [0, 1], or None."""

    index: Tensor
    classes: Tensor
    codes: Tensor
    sketch: Tensor | None = None


class INADENorm(nn.Module):
    """normalised(x) * scale + shift, each an affine map of the pixel's class on the projected code of its instance.

    scale = weight[class, 0] * t(code of scales) + bias[class, 0], shift alike with 1; one projection t serves both.
    """

    def __init__(self, channels: int, classes: int, noise_dim: int, *, norm: str, sketch: bool = False) -> None:
        super().__init__()
        self.param_free_norm = param_free_norm(norm, channels)
        self.weight = nn.Parameter(nn.init.uniform_(torch.empty(classes, channels, 2)))
        self.bias = nn.Parameter(torch.zeros(classes, channels, 2))
        self.fc_noise = nn.Linear(noise_dim, channels)
        self.sketch_conv = nn.Conv2d(1, channels, 3, padding=1) if sketch else None
        self.merge_conv = nn.Conv2d(2 * channels, channels, 1, bias=False) if sketch else None

    def rows(self, classes: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """(scale, shift) of each instance, each [S, K, channels], from classes [K] and codes [S, K, 2, noise_dim]."""
        projected = self.fc_noise(codes.to(self.fc_noise.weight.dtype)).transpose(2, 3)
        return tuple((self.weight[classes] * projected + self.bias[classes]).unbind(-1))  # type: ignore[return-value]

    def soft_affine(self, planes: Tensor, instances: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """(scale, shift) [B, channels, h, w] of soft maps, as weighted sums: planes [B, classes, h, w], instances [B, K, h, w],
        noise [B, K, 2, noise_dim]. Of one-hot maps the same as rows that are looked up."""
        projected = torch.einsum("bkhw,bksc->bcshw", instances, self.fc_noise(noise))
        weight, bias = (torch.einsum("bnhw,ncs->bcshw", planes, table) for table in (self.weight, self.bias))
        scale, shift = (weight * projected + bias).unbind(2)
        return scale, shift

    def merge(self, x: Tensor, sketch: Tensor | None) -> Tensor:
        """x with the features of the sketch, where the norm reads one."""
        if self.sketch_conv is None or self.merge_conv is None:
            return x
        assert sketch is not None
        return self.merge_conv(torch.cat([x, self.sketch_conv(sketch).expand(len(x), -1, -1, -1)], 1))

    def forward(self, x: Tensor, site: Site) -> Tensor:
        """x [S, channels, h, w] -> the same shape; the site's batch may be 1."""
        scale, shift = taken(torch.cat(self.rows(site.classes, site.codes), -1), site.index).chunk(2, 1)
        return self.merge(self.param_free_norm(x) * scale + shift, site.sketch)


def taken(tables: Tensor, index: Tensor) -> Tensor:
    """Each sample's rows [S, K, C] for its pixels [S or 1, h, w] -> [S, C, h, w]."""
    steps = torch.arange(len(tables), device=index.device)[:, None, None] * tables.shape[1]
    return look_up(tables.flatten(0, 1), index + steps)


class FoldedINADE(nn.Module):
    """Equal to the norm that it is made from in evaluation mode: the batch norm is part of the rows that are looked up."""

    def __init__(self, layer: INADENorm) -> None:
        super().__init__()
        self.layer, known = layer, statistics(layer.param_free_norm)
        self.norm = layer.param_free_norm if known is None else None
        zeros = torch.zeros_like(layer.bias[0, :, 0])
        mean, inv_std = (zeros, zeros + 1) if known is None else known
        self.register_buffer("mean", mean)
        self.register_buffer("inv_std", inv_std)
        del layer.param_free_norm  # what remains of it makes `rows`

    def forward(self, x: Tensor, site: Site) -> Tensor:
        """As of `INADENorm`."""
        rows = absorb(*self.layer.rows(site.classes, site.codes), self.mean, self.inv_std)  # pyright: ignore[reportArgumentType]
        x = x if self.norm is None else self.norm(x)
        return self.layer.merge(modulate(x, taken(rows, site.index)), site.sketch)


def fold_norms(module: nn.Module) -> None:
    """Replace every `INADENorm` below `module` by its folded form, in place; for evaluation only."""
    for name, child in module.named_children():
        if isinstance(child, INADENorm):
            setattr(module, name, FoldedINADE(child))
        else:
            fold_norms(child)
