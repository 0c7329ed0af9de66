"""CG-Norm: SPADE with convolutions in groups (docs/papers/groupdnet.md, "Normalisation")."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.blocks import Affine
from zoo.nn.norms import param_free_norm
from zoo_plugins.groupdnet.schedules import NormGroups


class CGNorm(nn.Module):
    """normalised(x) * (1 + gamma) + beta, gamma and beta from two grouped convolutions over the map's planes.

    norm: syncbatch, batch, instance, or group (one group of channels per class, with scale and shift of its own).
    """

    def __init__(self, channels: int, groups: NormGroups, classes: int, *, norm: str, kernel: int = 3) -> None:
        super().__init__()
        if norm == "group":
            self.param_free_norm: nn.Module = nn.GroupNorm(classes, channels)
        else:
            self.param_free_norm = param_free_norm(norm, channels)
        pad = kernel // 2
        self.mlp_shared = nn.Conv2d(groups.planes, groups.hidden, kernel, padding=pad, groups=groups.shared)
        self.mlp_gamma = nn.Conv2d(groups.hidden, channels, kernel, padding=pad, groups=groups.affine)
        self.mlp_beta = nn.Conv2d(groups.hidden, channels, kernel, padding=pad, groups=groups.affine)

    def affine(self, planes: Tensor) -> Affine:
        """Planes at the size of x [B, planes, h, w] -> (gamma, beta), each [B, channels, h, w]."""
        hidden = F.relu(self.mlp_shared(planes))
        return self.mlp_gamma(hidden), self.mlp_beta(hidden)

    def forward(self, x: Tensor, affine: Affine) -> Tensor:
        """x [S, channels, h, w] with what `affine` returned (its batch may be 1) -> the same shape."""
        gamma, beta = affine
        return self.param_free_norm(x) * (1 + gamma) + beta
