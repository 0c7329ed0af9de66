"""Networks of perceptual distances: LPIPS of the package `lpips`, and features of MobileNetV2 under a name of their own."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import DataError, UsageError
from zoo.evaluation.extractors import MOBILENET_V2, hub_file
from zoo.metrics.images import check_pictures
from zoo.metrics.perceptual import unit
from zoo.metrics.realism import MEAN, STD
from zoo.nn.pretrained import mobilenet_v2

BACKBONES = {
    "alex": ("alexnet-owt-7be5be79.pth", "7be5be79", "alexnet", "244 MB", 63),
    "vgg": ("vgg16-397923af.pth", "397923af", "vgg16", "528 MB", 16),
}
"""By name in `lpips`: torchvision's file, how its sha256 begins, torchvision's function, size, least side of a picture."""


@dataclass(frozen=True)
class Perceptual:
    """features: pictures [B, 3, H, W] in [0, 1] -> the layers' maps, ready for `perceptual_distance`. facts: for protocols."""

    features: Callable[[Tensor], list[Tensor]]
    facts: dict[str, Any]


def open_lpips(net: str) -> Perceptual:
    """LPIPS 0.1 with the backbone `alex` or `vgg`: learned weights from the package, the backbone from torch's cache of downloads.

    Raises UsageError where the backbone is not here, WeightsError for another file.
    """
    file, digest, maker, size, side = BACKBONES[net]
    fetch = (
        f"python -c \"from torchvision.models import {maker} as f; f(weights='IMAGENET1K_V1')\" ({size}). Without them:"
        " the metrics feature_similarity, feature_diversity and top1_feature_similarity."
    )
    path = hub_file(file, digest, f"The backbone's weights of LPIPS ({net})", fetch)
    network = lpips_network(net)
    facts = {"name": f"lpips 0.1 ({net})", "backbone": path.name, "from": "lpips, torchvision", "resize": "none"}
    return Perceptual(lambda images: lpips_features(network, images, side), facts)


def lpips_network(net: str, *, drawn: bool = False) -> nn.Module:
    """The package's own module, frozen. drawn: a random backbone (for tests), so that no file is read."""
    import lpips

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torchvision about the package's use of it
        network = lpips.LPIPS(net=net, version="0.1", pnet_rand=drawn, verbose=False)
    return network.requires_grad_(False).eval()


@torch.no_grad()
def lpips_features(network: Any, images: Tensor, side: int = 1) -> list[Tensor]:
    """Features whose `perceptual_distance` is the package's `network(a, b)` of pictures on [-1, 1]. side: the least that it takes.

    Raises DataError for smaller pictures, and for such as are not finite or not in [0, 1].
    """
    check_pictures(images)
    if min(images.shape[-2:]) < side:
        raise DataError(
            f"LPIPS with this backbone takes pictures of {side} pixels or more a side, got {list(images.shape[-2:])}."
        )
    layers = network.net.forward(network.scaling_layer(2 * images.float() - 1))
    return [unit(layer, lin.model[-1].weight.flatten()) for layer, lin in zip(layers, network.lins, strict=True)]


def open_features() -> Perceptual:
    """MobileNetV2's stages at 1/2 to 1/32 of the picture's own side, by LPIPS' formula without learned weights. It is no LPIPS.

    Raises UsageError where the wheel of the extra `metrics` is not installed.
    """
    network: Any = mobilenet_v2()
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))

    @torch.no_grad()
    def features(images: Tensor) -> list[Tensor]:
        check_pictures(images)
        x, found = network.bn1(network.conv_stem((images.float() - mean) / std)), []
        for i, stage in enumerate(network.blocks):
            x = stage(x)
            if i in (0, 1, 2, 4, 6):
                found.append(unit(x))
        return found

    wheel = f"{MOBILENET_V2.distribution} {MOBILENET_V2.version}"
    facts = {
        "name": "mobilenet-v2 stages, no learned weights",
        "from": wheel,
        "sha256": MOBILENET_V2.sha256,
        "resize": "none",
    }
    return Perceptual(features, facts)


def open_perceptual(name: str) -> Perceptual:
    """`alex`, `vgg` or `mobilenet-v2`. Raises UsageError for another name, and as the networks do."""
    if name in BACKBONES:
        return open_lpips(name)
    if name != "mobilenet-v2":
        raise UsageError(f"No LPIPS {name!r} (known: {', '.join(BACKBONES)}).")
    return open_features()
