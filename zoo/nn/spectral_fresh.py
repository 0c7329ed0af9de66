"""Spectral normalisation in BigGAN's form: one fresh power iteration at every forward, in evaluation too (docs/papers/segvae.md, "Spectral norm").

It differs from `zoo.nn.spectral` in what is stored (u only, as a row; sigma as a log value) and in that evaluation does not
trust a stored v: with W as [out, rest], v = normalise(u W), u' = normalise(v W^T), sigma = v W^T u'^T.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FreshSpectralMixin(nn.Module):
    """Adds the buffers `u0` [1, out] and `sv0` [1] to a layer with `weight`; the bias is not scaled.

    Training: each forward stores the new u and sigma. Evaluation: sigma comes from one iteration too, nothing is stored.
    """

    weight: Tensor
    u0: Tensor
    sv0: Tensor
    eps = 1e-8

    def __init__(self, *args: Any, eps: float = 1e-8, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.eps = eps
        # unnormalised standard normals, as the authors start; from torch's global generator like every initial weight
        self.register_buffer("u0", torch.randn(1, self.weight.shape[0], device=self.weight.device))
        self.register_buffer("sv0", torch.ones(1, device=self.weight.device))

    def sigma(self) -> Tensor:
        """The scalar that divides the weight, with gradient through W alone; in training mode u0 and sv0 are advanced."""
        matrix = self.weight.flatten(1)
        with torch.autocast(matrix.device.type, enabled=False):
            with torch.no_grad():
                v = F.normalize(self.u0 @ matrix, dim=1, eps=self.eps)
                u = F.normalize(v @ matrix.t(), dim=1, eps=self.eps)
            sigma = (v @ matrix.t() @ u.t()).squeeze()
            if self.training:
                with torch.no_grad():
                    self.u0.copy_(u)
                    self.sv0.copy_(sigma)
            return sigma

    def normalized_weight(self) -> Tensor:
        """weight / sigma."""
        sigma = self.sigma()  # first: it advances the buffers
        with torch.autocast(self.weight.device.type, enabled=False):
            return self.weight / sigma

    @torch.no_grad()
    def iterate(self, steps: int = 1) -> None:
        """Power iterations on the present weight, into `u0` (for averaged weights, whose singular vectors moved)."""
        matrix = self.weight.flatten(1)
        u = self.u0
        if not u.any() or not torch.isfinite(u).all():
            u = torch.linspace(1.0, 2.0, u.shape[1], device=u.device)[None]
        for _ in range(steps):
            u = F.normalize(F.normalize(u @ matrix, dim=1, eps=self.eps) @ matrix.t(), dim=1, eps=self.eps)
        self.u0.copy_(u)


class FreshSNConv2d(FreshSpectralMixin, nn.Conv2d):
    """`nn.Conv2d` with BigGAN's spectral normalisation."""

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.normalized_weight(), self.bias)


class FreshSNLinear(FreshSpectralMixin, nn.Linear):
    """`nn.Linear` with BigGAN's spectral normalisation."""

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.normalized_weight(), self.bias)
