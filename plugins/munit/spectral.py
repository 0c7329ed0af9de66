"""Spectral norm as MUNIT's discriminators may have it: a power iteration at every forward, in evaluation too.

Keys as the authors write them: `module.weight_bar`, `module.weight_u`, `module.weight_v`, `module.bias`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPS = 1e-12


def _unit(vector: Tensor) -> Tensor:
    return vector / (vector.norm() + EPS)


class _Sigma(torch.autograd.Function):
    """u^T W v, whose gradient u v^T takes the vectors as they are at the time of the backward pass.

    Quirk kept: the authors swap u and v in place, so that of two forwards before one backward both have the gradient with the second
    forward's vectors.
    """

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, u: Tensor, v: Tensor) -> Tensor:
        ctx.vectors = u, v  # not saved as tensors: they may change
        return torch.dot(u, matrix @ v)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        u, v = ctx.vectors
        return grads[0] * torch.outer(u, v), None, None


class SpectralWeight(nn.Module):
    """The parameters of a convolution or linear layer under spectral norm; called, it gives (weight / sigma, bias)."""

    weight_u: Tensor
    weight_v: Tensor

    def __init__(self, layer: nn.Conv2d | nn.Linear) -> None:
        super().__init__()
        matrix = layer.weight.detach().flatten(1)
        self.bias = layer.bias
        self.register_buffer("weight_u", _unit(torch.randn(matrix.shape[0], device=matrix.device)))
        self.register_buffer("weight_v", _unit(torch.randn(matrix.shape[1], device=matrix.device)))
        self.weight_bar = layer.weight

    def forward(self) -> tuple[Tensor, Tensor | None]:
        with torch.autocast(self.weight_bar.device.type, enabled=False):
            matrix = self.weight_bar.flatten(1)
            with torch.no_grad():
                self.weight_v.copy_(_unit(matrix.t() @ self.weight_u))
                self.weight_u.copy_(_unit(matrix @ self.weight_v))
            return self.weight_bar / _Sigma.apply(matrix, self.weight_u, self.weight_v), self.bias


class SpectralConv(nn.Module):
    """A convolution without padding under spectral norm."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.stride = conv.stride
        self.module = SpectralWeight(conv)

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.module()
        return F.conv2d(x, weight, bias, self.stride)  # pyright: ignore[reportArgumentType]


class SpectralLinear(nn.Module):
    """A linear layer under spectral norm."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.module = SpectralWeight(layer)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, *self.module())
