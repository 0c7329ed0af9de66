"""Translators of photos: MUNIT and DMIT."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def munit_block(block: Any, x: Tensor, affine: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """A block of MUNIT (reflection, ReLU or tanh, without spectral norm): the norm line by line."""
    pad = block.pad.padding[0]
    x = F.conv2d(F.pad(x, (pad,) * 4, mode="reflect"), block.conv.weight, block.conv.bias, block.conv.stride)
    if affine is not None:
        mean, var = x.mean((2, 3), keepdim=True), x.var((2, 3), keepdim=True, correction=0)
        x = (x - mean) / torch.sqrt(var + 1e-5) * affine[0][:, :, None, None] + affine[1][:, :, None, None]
    elif hasattr(block.norm, "gamma"):
        flat = x.flatten(1)
        mean, std = (v.view(-1, 1, 1, 1) for v in (flat.mean(1), flat.std(1)))
        x = (x - mean) / (std + 1e-5) * block.norm.gamma[:, None, None] + block.norm.beta[:, None, None]
    elif block.norm is not None:
        x = F.instance_norm(x)
    return x if block.activation is None else block.activation(x)


def munit(model: Any, photos: Tensor, styles: Tensor) -> Tensor:
    """MUNIT: photos of the first domain in styles of the second, in [0, 1]; doublings before their 5x5 convolutions."""
    first, second = model.generators["a"].enc_content.model, model.generators["b"]
    x = photos * 2 - 1
    for block in first[:-1]:
        x = munit_block(block, x)
    for pair in first[-1].model:
        x = munit_block(pair.model[1], munit_block(pair.model[0], x)) + x
    affines = second.dec.split(second.mlp(styles))
    blocks, *others = second.dec.model
    for i, pair in enumerate(blocks.model):
        x = munit_block(pair.model[1], munit_block(pair.model[0], x, affines[2 * i]), affines[2 * i + 1]) + x
    for layer in others:
        x = F.interpolate(x, scale_factor=2.0) if not hasattr(layer, "conv") else munit_block(layer, x)
    return (x + 1) / 2


def dmit_conv(block: Any, x: Tensor) -> Tensor:
    """A convolution of DMIT behind its padding by reflection, its kernel divided at every call, without what follows it."""
    if block.padding:
        x = F.pad(x, (block.padding,) * 4, mode="reflect")
    return F.conv2d(x, block.conv.normalized_weight(), block.conv.bias, block.conv.stride)


def dmit_norm(norm: Any, x: Tensor, code: Tensor) -> Tensor:
    """An instance norm and the shift of the code."""
    shift = F.linear(code, norm.shift.normalized_weight(), norm.shift.bias)
    return F.instance_norm(x) + torch.tanh(shift)[:, :, None, None]


def dmit(model: Any, photos: Tensor, styles: Tensor) -> Tensor:
    """DMIT (cbin, transposed convolutions): photos as of the last domain, in [0, 1]."""
    x = photos * 2 - 1
    for layer in model.content_encoder.layers:
        if hasattr(layer, "conv"):
            x = F.leaky_relu(F.instance_norm(dmit_conv(layer, x)), 0.2)
        else:
            inner = F.leaky_relu(F.instance_norm(dmit_conv(layer.conv_0, x)), 0.2)
            x = x + F.instance_norm(dmit_conv(layer.conv_1, inner))
    code = torch.cat([model.attributes(model.channels[-1], len(x)), styles], 1)
    *layers, last = model.decoder.layers
    for layer in layers:
        if hasattr(layer, "norm_0"):
            inner = F.relu(dmit_norm(layer.norm_0, dmit_conv(layer.conv_0, x), code))
            x = x + dmit_norm(layer.norm_1, dmit_conv(layer.conv_1, inner), code)
        else:
            x = F.conv_transpose2d(x, layer.conv.normalized_weight(), None, 2, 1)
            x = F.relu(F.layer_norm(x, x.shape[1:]) * layer.norm.weight + layer.norm.bias)
    return (torch.tanh(dmit_conv(last, x)) + 1) / 2
