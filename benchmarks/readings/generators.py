"""Generators of maps: SegVAE, Semantic-VAE, MaskVAE, sg2im."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.maps import SemanticMap
from zoo.nn.labels import one_hot
from zoo_plugins.mask_vae.networks import with_background
from zoo_plugins.segvae.networks import sample_code


def maskgan_vae(model: Any, maps: SemanticMap) -> Tensor:
    """MaskVAE: a map's code and the map that it gives, class numbers [B, side, side]; norms by themselves."""
    z, _ = model.encoder(one_hot(maps.labels.long(), len(model.channels)))
    x = F.relu(model.decoder.start(z)).unflatten(1, (-1, 4, 4))
    for layer in [*model.decoder.layers, model.decoder.out]:
        x = layer(F.pad(F.interpolate(x, scale_factor=2.0, mode="nearest"), (1, 1, 1, 1), mode="replicate"))
    return x.argmax(1)


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


def sg2im(model: Any, graphs: Any, noise: Tensor) -> tuple[Tensor, Tensor]:
    """sg2im: masks in their boxes [O, H, W], and pictures [N, 3, H, W], normalised as ImageNet's.

    Every object's mask is made, `grid_sample` lays vector times mask on the picture for each object, and these are summed.
    """
    network = model.generator
    read = network.read(graphs)
    x0, y0, x1, y1 = read.boxes.unbind(1)
    height, width = model.resolution
    across = (torch.linspace(0, 1, width) - x0[:, None]) / (x1 - x0)[:, None]
    down = (torch.linspace(0, 1, height) - y0[:, None]) / (y1 - y0)[:, None]
    places = torch.stack([across[:, None].expand(-1, height, -1), down[:, :, None].expand(-1, -1, width)], 3)
    objects = read.vectors[:, :, None, None] * read.masks[:, None]
    laid = F.grid_sample(objects, 2 * places - 1, align_corners=model.config.align_corners)
    layout = torch.zeros(graphs.count, *laid.shape[1:]).index_add(0, graphs.images, laid)
    masks = F.grid_sample(read.masks[:, None], 2 * places - 1, align_corners=model.config.align_corners)[:, 0]
    x = layout.new_zeros(
        len(layout), 1, *(side >> len(network.refinement_net.refinement_modules) for side in model.resolution)
    )
    planes = torch.cat([layout, noise], 1)
    for module in network.refinement_net.refinement_modules:
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        x = module.net(torch.cat([F.avg_pool2d(planes, height // x.shape[2]), x], 1))
    return masks, network.refinement_net.output_conv(x)
