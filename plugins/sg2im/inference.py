"""The inference form of sg2im: batch norms of the cascade folded into its convolutions, kernels packed, equal objects' masks made once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.inference.packed import pack
from zoo_plugins.sg2im.network import Sg2imNetwork


def fold_network(network: Sg2imNetwork) -> None:
    """In place; evaluation mode. The norms of the mask network stay: they stand in front of zero borders, which they do not move."""
    for module in network.refinement_net.refinement_modules:
        module.net = nn.Sequential(*_folded(list(module.net)))  # pyright: ignore[reportArgumentType]
    for name, layer in list(network.named_modules()):
        if isinstance(layer, nn.Conv2d):
            above, _, own = name.rpartition(".")
            setattr(network.get_submodule(above), own, pack(layer))
    if network.mask_net is not None:
        network.mask_net = OncePerVector(network.mask_net)  # pyright: ignore[reportAttributeAccessIssue]


def _folded(layers: list[nn.Module]) -> list[nn.Module]:
    """Without the batch norms, each folded into the convolution in front of it."""
    kept: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d) and isinstance(kept[-1], nn.Conv2d):
            fold_norm(kept[-1], layer)
        else:
            kept.append(layer)
    return kept


@torch.no_grad()
def fold_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """norm(conv(x)) as one convolution, in float64."""
    assert norm.running_mean is not None and norm.running_var is not None and conv.bias is not None
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    shift = norm.bias.double() - norm.running_mean.double() * scale
    conv.weight.copy_(conv.weight.double() * scale[:, None, None, None])
    conv.bias.copy_(conv.bias.double() * scale + shift)


class OncePerVector(nn.Module):
    """A mask network that runs once for equal vectors: all objects of a class in graphs of one kind have the same."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """As the network: [O, D, 1, 1] -> [O, 1, M, M]."""
        vectors, places = torch.unique(x[:, :, 0, 0], dim=0, return_inverse=True)
        return self.net(vectors[:, :, None, None])[places] if len(vectors) < len(x) else self.net(x)
