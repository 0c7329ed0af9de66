"""MUNIT's perceptual loss: VGG16 of Caffe up to relu5_3, compared without its style (instance-normalised)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.checkpoints.networks import contents
from zoo.checkpoints.reading import read_checkpoint
from zoo.plugin import WeightsError

MEAN = (103.939, 116.779, 123.68)
"""Of Caffe's VGG16, blue first."""
LAYERS = {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}
"""Convolutions of each block."""
POOLED = (1, 2, 3)
"""Quirk kept: no pooling follows block 4."""


class VGG16Features(nn.Module):
    """relu5_3 of VGG16, frozen: photos [B, 3, H, W] in [-1, 1] -> [B, C, H / 8, W / 8]."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        """state: conv1_1.weight … conv5_3.bias, as wide as they are. Raises WeightsError where one is missing or does not fit."""
        super().__init__()
        channels = 3
        for name in (f"conv{block}_{i}" for block, count in LAYERS.items() for i in range(1, count + 1)):
            weight, bias = state.get(f"{name}.weight"), state.get(f"{name}.bias")
            if weight is None or bias is None or tuple(weight.shape) != (len(bias), channels, 3, 3):
                raise WeightsError(
                    f"The perceptual loss's VGG16 lacks a fitting {name}.weight and {name}.bias: take the authors' vgg16.weight."
                )
            conv = nn.Conv2d(channels, len(bias), 3, padding=1)
            conv.load_state_dict({"weight": weight, "bias": bias})
            self.add_module(name, conv)
            channels = len(bias)
        self.requires_grad_(False).eval()

    @classmethod
    def read(cls, path: str) -> VGG16Features:
        """Of a file of torch or safetensors, of which nothing is run. Raises WeightsError."""
        return cls(contents(read_checkpoint(Path(path)).content).tensors)

    def forward(self, images: Tensor) -> Tensor:
        x = to_caffe(images)
        for block, count in LAYERS.items():
            for i in range(1, count + 1):
                x = F.relu(self.get_submodule(f"conv{block}_{i}")(x))
            if block in POOLED:
                x = F.max_pool2d(x, 2)
        return x


def to_caffe(images: Tensor) -> Tensor:
    """[-1, 1] RGB -> 0..255 BGR without the mean."""
    return (images.flip(1) + 1) * 127.5 - images.new_tensor(MEAN)[:, None, None]


def perceptual_loss(network: nn.Module, fake: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of the instance-normalised features; no gradient to the target's."""
    with torch.no_grad():
        wanted = F.instance_norm(network(target).float())
    return (F.instance_norm(network(fake).float()) - wanted).square().mean()
