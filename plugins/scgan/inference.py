"""The inference form of SC-GAN (docs/papers/scgan.md, "Cost"): equal to the plain network in evaluation mode, cheaper."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.blocks import Affine, SPADENorm
from zoo.families.spade.folded import FoldedSPADE
from zoo.nn.spectral import fold_spectral
from zoo_plugins.scgan.blocks import SCC, SCN, SCResnetBlock, Site


class FoldedSCC(nn.Module):
    """SCC with all normalised candidates in one kernel [n * c_out, c_in, 3, 3]."""

    weight: Tensor

    def __init__(self, layer: SCC) -> None:
        super().__init__()
        self.n = len(layer.bases)
        self.register_buffer("weight", torch.cat([k.detach() for k in layer.kernels()]))

    def forward(self, x: Tensor, v: Tensor) -> Tensor:
        candidates = F.conv2d(x, self.weight, padding=1).chunk(self.n, 1)
        v = v.to(x.dtype)
        out = candidates[0] * v[:, :1]
        for i in range(1, self.n):
            out.addcmul_(candidates[i], v[:, i : i + 1])
        return out


class FoldedSCN(nn.Module):
    """SCN and its batch norm as x * a + b with (a, b)(p) = sum_i V_i(p) * row_i + constant row."""

    table: Tensor
    constant: Tensor

    def __init__(self, layer: SCN, mean: Tensor, inv_std: Tensor) -> None:
        super().__init__()
        gamma, beta = layer.table.detach().chunk(2, 1)
        table = torch.cat([gamma * inv_std, beta - mean * inv_std * gamma], 1)
        # the constant is added apart, not per row: V need not sum to 1 (sigmoid, identity)
        self.register_buffer("table", table.t()[:, :, None, None].contiguous())
        self.register_buffer("constant", torch.cat([inv_std, -mean * inv_std]))

    def plan(self, site: Site) -> Tensor:
        return site.v_norm

    def forward(self, x: Tensor, v: Tensor) -> Tensor:
        a, b = F.conv2d(v.to(x.dtype), self.table, self.constant).chunk(2, 1)
        return torch.addcmul(b, x, a)


class FoldedMapNorm(FoldedSPADE):
    """FoldedSPADE over the one-hot planes of a Site; its scales and shifts are part of the plan, so a layout computes them once."""

    def plan(self, site: Site) -> Affine:
        return self.affine(site.planes)


def _fold_norm(norm: nn.Module) -> nn.Module:
    if not isinstance(norm, SCN | SPADENorm):
        return norm
    batch_norm = norm.param_free_norm
    if not isinstance(batch_norm, nn.BatchNorm2d) or batch_norm.running_mean is None or batch_norm.running_var is None:
        return norm  # statistics that depend on the image
    if isinstance(norm, SPADENorm):
        return FoldedMapNorm(norm, batch_norm)
    return FoldedSCN(norm, batch_norm.running_mean, torch.rsqrt(batch_norm.running_var + batch_norm.eps))


@torch.no_grad()
def fold_generator(model: nn.Module) -> None:
    """Fold a model in place; it must be in evaluation mode and be used for inference only."""
    for block in model.modules():
        if isinstance(block, SCResnetBlock):
            for name in ("norm_0", "norm_1", "norm_s"):
                if hasattr(block, name):
                    setattr(block, name, _fold_norm(getattr(block, name)))
            block.conv_0 = FoldedSCC(block.conv_0)  # type: ignore[assignment]
            block.conv_1 = FoldedSCC(block.conv_1)  # type: ignore[assignment]
    fold_spectral(model)
