"""SPADE's block and course, and the systems whose norms are SPADEs: SPADE, OASIS, CLVAE, GroupDNet, CC-FPSE."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.maps import SemanticMap
from zoo.nn.labels import one_hot


def spade_norm(norm: Any, x: Tensor, planes: Tensor) -> Tensor:
    """SPADE: the planes are resized here, gamma and beta are two convolutions."""
    normalized = norm.param_free_norm(x)
    hidden = F.relu(norm.mlp_shared(F.interpolate(planes, size=x.shape[2:], mode="nearest")))
    return normalized * (1 + norm.mlp_gamma(hidden)) + norm.mlp_beta(hidden)


def spade_block(block: Any, x: Tensor, planes: Tensor) -> Tensor:
    """The residual block; its convolutions divide their kernels at every call."""
    shortcut = block.conv_s(spade_norm(block.norm_s, x, planes)) if block.learned else x
    dx = block.conv_0(F.leaky_relu(spade_norm(block.norm_0, x, planes), 0.2))
    return shortcut + block.conv_1(F.leaky_relu(spade_norm(block.norm_1, dx, planes), 0.2))


def painted(generator: Any, x: Tensor, block: Any) -> Tensor:
    """Features x through the blocks, `block(module, step, x)`, with a doubling where one is due, and to images in [-1, 1]."""
    scale = 0
    for module, step in generator.blocks():
        if step.scale > scale:
            x, scale = F.interpolate(x, scale_factor=2.0, mode="nearest"), step.scale
        x = block(module, step, x)
    return generator.activation(generator.conv_img(F.leaky_relu(x, 0.2)))


def spade(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """SPADE and GauGAN: images [B, 3, H, W] in [0, 1]."""
    planes, generator = model.planes(maps), model.generator
    if style is None:
        x = generator.fc(F.interpolate(planes, size=generator.grid, mode="nearest"))
    else:
        x = generator.start(style.tensors["z"])
    return (painted(generator, x, lambda module, _, x: spade_block(module, x, planes)) + 1) / 2


def oasis(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """OASIS: planes of noise, the same number at every pixel of a picture, in front of the map's."""
    planes, generator = model.planes(maps), model.generator
    if style is not None:
        noise = style.tensors["z"][:, 0, :, None, None].expand(-1, -1, *planes.shape[2:])
        planes = torch.cat([noise, planes], 1)
    x = generator.fc(F.interpolate(planes, size=generator.grid, mode="nearest"))
    return (painted(generator, x, lambda module, _, x: spade_block(module, x, planes)) + 1) / 2


def clvae(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """CLVAE: at each level a map of the classes' latents (without the loops over images and classes, 5 % of the authors' time)."""
    generator, numbers = model.generator, model.channel_map(maps)
    planes, codes = one_hot(numbers, len(model.channels)), style.tensors["codes"]

    def block(module: Any, step: Any, x: Tensor) -> Tensor:
        level = generator.level(step)
        if not level:
            return spade_block(module, x, planes)
        side = (numbers.shape[1] >> level, numbers.shape[2] >> level)
        small = F.interpolate(numbers[:, None].float(), size=side, mode="nearest")[:, 0].long()
        rows = torch.arange(len(small))[:, None, None]
        seen = generator.cse.embedding(small) + codes[:, :, generator.layer_of(level)][rows, small]
        return spade_block(module, x, seen.permute(0, 3, 1, 2).contiguous())

    return (painted(generator, generator.start(style.tensors["z"]), block) + 1) / 2


def pixelwise(x: Tensor, kernels: Tensor) -> Tensor:
    """CC-FPSE's conditional convolution: the unfolded copy of x times the kernels, summed over the taps."""
    unfolded = F.unfold(x, 3, padding=1).unflatten(1, (x.shape[1], 9)).unflatten(3, x.shape[2:])
    return (unfolded * kernels.unflatten(1, (x.shape[1], 9))).sum(2)


def cc_fpse(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """CC-FPSE: every branch of a block is a network of its own over the resized planes of all classes and the pyramid's features."""
    planes, generator = model.planes(maps), model.generator
    levels = generator.pyramid(planes)

    def conv(layer: Any, x: Tensor, seen: Tensor) -> Tensor:
        x = layer.pointwise(pixelwise(layer.norm(x), layer.kernels(seen)))
        return F.leaky_relu(x * layer.attention(seen), 0.2)

    def block(module: Any, step: Any, x: Tensor) -> Tensor:
        small = F.interpolate(planes, size=x.shape[2:], mode="nearest")
        seen = torch.cat([small, levels[step.scale]], 1)
        shortcut = module.conv_s(spade_norm(module.norm_s, x, seen)) if module.learned else x
        return shortcut + conv(module.conv_1, conv(module.conv_0, x, seen), seen)

    if style is None:
        x = generator.fc(F.interpolate(planes, size=generator.grid, mode="nearest"))
    else:
        x = generator.start(style.tensors["z"])
    return (painted(generator, x, block) + 1) / 2


def groupdnet(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """GroupDNet: CG-Norms are SPADEs over the planes of all classes, in groups; the codes go into the first convolution as they are."""
    generator = model.generator
    planes = generator.read_planes(model.planes(maps))
    x = generator.fc(style.tensors["codes"].flatten(1, 2))
    return (painted(generator, x, lambda module, _, x: spade_block(module, x, planes)) + 1) / 2
