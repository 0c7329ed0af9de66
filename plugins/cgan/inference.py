"""The inference form of cgan: equal to the plain network in evaluation mode, with its norms folded."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.nn.spectral import fold_spectral
from zoo_plugins.cgan.networks import ConditionalNorm, ConditionalUpBlock, Generator


class FoldedNorm(nn.Module):
    """A `ConditionalNorm` as x * a(c) + b(c): its running statistics lie in the linear layer that gives a and b."""

    def __init__(self, layer: ConditionalNorm) -> None:
        super().__init__()
        norm, affine = layer.norm, layer.affine
        assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None
        mean, inv_std = norm.running_mean.double(), torch.rsqrt(norm.running_var.double() + norm.eps)
        gamma, beta = affine.weight.detach().double().chunk(2)
        gamma_bias, beta_bias = affine.bias.detach().double().chunk(2)
        scale, scale_bias = gamma * inv_std[:, None], (1 + gamma_bias) * inv_std
        self.affine = nn.Linear(affine.in_features, affine.out_features).to(affine.weight)
        self.affine.weight.data.copy_(torch.cat([scale, beta - mean[:, None] * scale]))
        self.affine.bias.data.copy_(torch.cat([scale_bias, beta_bias - mean * scale_bias]))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        a, b = self.affine(condition)[:, :, None, None].chunk(2, 1)
        return torch.addcmul(b, x, a)


@torch.no_grad()
def fold_generator(generator: Generator) -> None:
    """Fold a generator in place; it must be in evaluation mode and be used for inference only."""
    fold_spectral(generator)
    for block in generator.modules():
        if isinstance(block, ConditionalUpBlock):
            block.norm1, block.norm2 = FoldedNorm(block.norm1), FoldedNorm(block.norm2)  # type: ignore[assignment]
