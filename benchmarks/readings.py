"""Plain readings of the papers' code: what it computes, line by line, on the same weights.

One-hot planes of all classes through every label convolution, gamma and beta by two convolutions, every spectrally normalised kernel
divided at every call, the stack of SC-GAN's candidates, the decoder's upsampling before its 1x1 convolutions. `docs/papers/` says
where each of them stands. They serve as yardsticks, and their pictures are what the inference forms have to equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.maps import SemanticMap
from zoo.nn.labels import one_hot
from zoo.nn.positions import class_positions
from zoo_plugins.mask_vae.networks import with_background
from zoo_plugins.scgan.svg import pool_channels, semantic_vectors
from zoo_plugins.segvae.networks import sample_code


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


def class_block(block: Any, x: Tensor, norm: Callable[[Any, Tensor], Tensor]) -> Tensor:
    """The residual block around another norm, `norm(module, x)`."""
    shortcut = block.conv_s(norm(block.norm_s, x)) if block.learned else x
    dx = block.conv_0(F.leaky_relu(norm(block.norm_0, x), 0.2))
    return shortcut + block.conv_1(F.leaky_relu(norm(block.norm_1, dx), 0.2))


def clade(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """CLADE: planes of all classes are resized in every norm, their largest picks rows of the tables; position maps are there already
    (the authors read them from files)."""
    generator, planes = model.generator, model.planes(maps)
    positions = class_positions(planes[:, : generator.classes].argmax(1)) if model.config.positions else None

    def norm(layer: Any, x: Tensor) -> Tensor:
        normalized, size = layer.param_free_norm(x), x.shape[2:]
        seen = F.interpolate(planes, size=size, mode="nearest")
        classes = seen[:, : generator.classes].argmax(1)
        gamma, beta = (table[classes].permute(0, 3, 1, 2) for table in (layer.weight, layer.bias))
        if positions is not None:
            here = F.interpolate(positions, size=size, mode="nearest")
            gamma, beta = gamma * (1 + layer.scale_position(here)), beta * (1 + layer.shift_position(here))
        out = normalized * gamma + beta
        return out if layer.edge_conv is None else torch.cat([out, layer.edge_conv(seen[:, -1:])], 1)

    if style is None:
        x = generator.fc(F.interpolate(planes, size=generator.grid, mode="nearest"))
    else:
        x = generator.start(style.tensors["z"])
    return (painted(generator, x, lambda module, _, x: class_block(module, x, norm)) + 1) / 2


def inade(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """INADE: planes of all classes and of all instances are resized in every norm, scales and shifts are sums over them."""
    generator, planes = model.generator, model.planes(maps)[:, :-1]
    places = model.places(maps)
    shown = places.unique()
    instances = one_hot(torch.searchsorted(shown, places), len(shown))
    noise = torch.stack([style.tensors[k] for k in ("scale", "shift")], 3).flatten(1, 2)[:, shown]

    def norm(layer: Any, x: Tensor) -> Tensor:
        size = x.shape[2:]
        here = [F.interpolate(p, size=size, mode="nearest") for p in (planes, instances)]
        scale, shift = layer.soft_affine(*here, noise)
        return layer.param_free_norm(x) * scale + shift

    x = generator.start(style.tensors["z"])
    return (painted(generator, x, lambda module, _, x: class_block(module, x, norm)) + 1) / 2


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


def scc(layer: Any, x: Tensor, v: Tensor) -> Tensor:
    """SCC: all candidates side by side in one tensor [B, n, C, H, W], then the weighted sum."""
    stack = torch.stack([F.conv2d(x, kernel, padding=1) for kernel in layer.kernels()], 1)
    return (stack * v[:, :, None]).sum(1)


def scn(norm: Any, x: Tensor, v: Tensor) -> Tensor:
    """SCN: every pixel's row of the table by a matrix product [B H W, m] x [m, 2 C]."""
    normalized = norm.param_free_norm(x)
    rows = v.permute(0, 2, 3, 1).reshape(-1, v.shape[1]) @ norm.table
    gamma, beta = rows.view(len(v), *v.shape[2:], -1).permute(0, 3, 1, 2).chunk(2, 1)
    return normalized * (1 + gamma) + beta


def scgan(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """SC-GAN: semantic vectors, then the blocks; the learned shortcut is a SPADE over all planes."""
    planes, generator, config = model.planes(maps), model.generator, model.config
    _, features = generator.svg(planes)
    vectors = [
        [semantic_vectors(pool_channels(f, n), config.temperature, config.weight_type) for f in features]
        for n in (config.n_conv, config.n_norm)
    ]

    def block(module: Any, step: Any, x: Tensor) -> Tensor:
        v_conv, v_norm = (v[step.scale] for v in vectors)
        shortcut = module.conv_s(spade_norm(module.norm_s, x, planes)) if module.learned else x
        for norm, conv in ((module.norm_0, module.conv_0), (module.norm_1, module.conv_1)):
            modulated = scn(norm, x, v_norm) if hasattr(norm, "table") else spade_norm(norm, x, planes)
            x = scc(conv, F.leaky_relu(modulated, 0.2), v_conv)
        return shortcut + x

    start = generator.start(style.tensors["z"]) if style is not None else generator.start_from_map(planes)
    return (painted(generator, start, block) + 1) / 2


def sean_norm(norm: Any, x: Tensor, planes: Tensor, codes: Tensor, noise: Tensor) -> Tensor:
    """SEAN: noise, norm, the map of each pixel's style vector through two convolutions, mixed with SPADE's. codes: [B, planes, S]."""
    normalized = norm.param_free_norm(x + noise * norm.noise_var[:, None, None])
    small = F.interpolate(planes, size=x.shape[2:], mode="nearest")
    hidden = F.relu(norm.spade.mlp_shared(small))
    gamma, beta = norm.spade.mlp_gamma(hidden), norm.spade.mlp_beta(hidden)
    if norm.style is not None:
        seen = x.new_zeros(len(x), codes.shape[2], *x.shape[2:])
        for k in small.flatten(2).any(2).any(0).nonzero()[:, 0].tolist():
            vector = F.relu(norm.style.regions[k](codes[:, k]))
            seen = torch.where(small[:, k : k + 1] > 0, vector[:, :, None, None], seen)
        a, b = torch.sigmoid(norm.blending_gamma), torch.sigmoid(norm.blending_beta)
        gamma = a * norm.style.conv_gamma(seen) + (1 - a) * gamma
        beta = b * norm.style.conv_beta(seen) + (1 - b) * beta
    return normalized * (1 + gamma) + beta


def sean(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """SEAN: style codes of all classes, the same for all blocks (without the loop over images)."""
    planes, generator = model.planes(maps), model.generator
    codes, noise = style.tensors["codes"][:, :, 0], iter(generator.split_noise(model.noise(style.rng)))

    def block(module: Any, step: Any, x: Tensor) -> Tensor:
        drawn = next(noise)
        shortcut = module.conv_s(sean_norm(module.norm_s, x, planes, codes, drawn["norm_s"])) if module.learned else x
        dx = module.conv_0(F.leaky_relu(sean_norm(module.norm_0, x, planes, codes, drawn["norm_0"]), 0.2))
        return shortcut + module.conv_1(F.leaky_relu(sean_norm(module.norm_1, dx, planes, codes, drawn["norm_1"]), 0.2))

    start = generator.fc(F.interpolate(planes, size=generator.grid, mode="nearest"))
    return (painted(generator, start, block) + 1) / 2


def segvae(model: Any, label_set: Tensor, eps: Tensor) -> Tensor:
    """SegVAE: soft shapes [B, N, R, R]; every step for the whole batch, shapes decoded where some sample has the class."""
    canvas = label_set.new_zeros(*label_set.shape, model.config.size, model.config.size)
    shapes, state, before = canvas.clone(), None, None
    for channel in model.order:
        if before is not None:
            canvas[:, before] = shapes[:, before]
        present = label_set[:, channel] > 0
        target = torch.zeros_like(label_set)
        target[:, channel] = present.to(target)
        code = model.context(canvas, label_set, target)
        mu, log_var, state = model.prior(code, state)
        if present.any():
            logits = model.decoder(code, sample_code(mu, log_var, eps[:, channel - 1]))
            shapes[:, channel] = (torch.sigmoid(logits) * present[:, None, None, None])[:, 0]
        before = channel
    return shapes


def mask_vae(model: Any, maps: SemanticMap, h0: Tensor, c0: Tensor) -> Tensor:
    """Semantic-VAE: a map's codes and the map that they give, class numbers [B, side, side].

    All planes through the encoder, the empty ones too; each block resizes before its 1x1 convolution.
    """
    planes = one_hot(maps.labels.long(), len(maps.space))[:, 1:]
    codes, _ = model.encoder(planes)
    decoder = model.generator
    x = decoder.tokens(decoder.recur(codes, h0, c0)).view(len(codes), -1, decoder.grid, decoder.grid)
    x = decoder.convs.in_conv(x)
    for block in decoder.convs.blocks:
        up = F.interpolate(x, scale_factor=2.0, mode="nearest")
        h = block.conv1(F.interpolate(F.silu(block.norm1(x)), scale_factor=2.0, mode="nearest"))
        x = block.skip(up) + block.conv2(F.silu(block.norm2(h)))
    return with_background(decoder.convs.out_conv(x)).argmax(1)
