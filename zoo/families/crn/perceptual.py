"""CRN's perceptual loss: VGG19 with average pooling on pictures in 0..255, divided term by term (docs/papers/crn.md, "Losses")."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.errors import ConfigError, WeightsError
from zoo.files.tensors import read_tensors
from zoo.nn.perceptual import ParserFeatures, pretrained_vgg19

LAYERS = tuple(f"conv{block}_{i}" for block, count in enumerate((2, 2, 4, 4, 2), 1) for i in range(1, count + 1))
"""Convolutions up to conv5_2; the second of each block is looked at."""
CAFFE_MEAN = (123.68, 116.779, 103.939)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class AverageVGG(nn.Module):
    """relu1_2, relu2_2, relu3_2, relu4_2 and relu5_2 of VGG19 with average instead of max pooling, frozen.

    forward: pictures [B, 3, H, W] in 0..255 -> (the picture less the mean, then the five feature maps). mean, std: of the weights'
    own normalisation, in 0..255.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, weights: Mapping[str, Tensor], mean: Sequence[float], std: Sequence[float]) -> None:
        """weights: `convB_I.weight` and `.bias` of `LAYERS`, of any width. Raises WeightsError if one lacks or does not fit."""
        super().__init__()
        self.convs = nn.ModuleDict()
        for name in LAYERS:
            if f"{name}.weight" not in weights or f"{name}.bias" not in weights:
                raise WeightsError(f"VGG19's weights lack {name}: expected convB_I.weight and .bias up to conv5_2.")
            weight = weights[f"{name}.weight"]
            if weight.dim() != 4 or weight.shape[2:] != (3, 3):
                raise WeightsError(f"VGG19's {name} has the shape {list(weight.shape)}, expected [out, in, 3, 3].")
            conv = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
            conv.load_state_dict({"weight": weight, "bias": weights[f"{name}.bias"]})
            self.convs[name] = conv
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        self.requires_grad_(False).eval()

    def forward(self, pictures: Tensor) -> list[Tensor]:
        centred = pictures - self.mean
        x, found = centred / self.std, [centred]
        for name, conv in self.convs.items():
            if name.endswith("_1") and not name.startswith("conv1"):
                x = F.avg_pool2d(x, 2)
            x = F.relu(conv(x))
            if name.endswith("_2"):
                found.append(x)
        return found


class Pixels(nn.Module):
    """The picture alone, or with the features of a parser: pictures in 0..255."""

    def __init__(self, parser: ParserFeatures | None = None) -> None:
        super().__init__()
        self.parser = parser

    def forward(self, pictures: Tensor) -> list[Tensor]:
        return [pictures] if self.parser is None else [pictures, *self.parser(pictures / 127.5 - 1)]


def of_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """VGG19's weights under the names of `LAYERS`, from a state dict whose keys are torchvision's."""
    weights = [k for k in state if k.startswith("features.") and k.endswith(".weight")]
    found: dict[str, Tensor] = {}
    for name, key in zip(LAYERS, sorted(weights, key=lambda k: int(k.split(".")[1])), strict=False):
        found |= {f"{name}.weight": state[key], f"{name}.bias": state[key.removesuffix("weight") + "bias"]}
    return found


def refinement_features(choice: str, load: Callable[[str], nn.Module]) -> nn.Module:
    """What the loss looks at. none: the picture alone. vgg: timm's VGG19 with its own normalisation. A path that ends in .safetensors:
    VGG19's weights as CRN used them (converted Caffe weights, under the names of `LAYERS`). Anything else: the parser that `load` gives.

    Raises WeightsError for weights that are not there or do not fit.
    """
    if choice == "none":
        return Pixels()
    if choice == "vgg":
        return AverageVGG(
            of_torchvision(pretrained_vgg19()), [255 * m for m in IMAGENET_MEAN], [255 * s for s in IMAGENET_STD]
        )
    if choice.endswith(".safetensors"):
        return AverageVGG(read_tensors(Path(choice)), CAFFE_MEAN, (1.0, 1.0, 1.0))
    return Pixels(ParserFeatures(load(choice)))


def differences(network: nn.Module, fakes: Tensor, real: Tensor) -> list[Tensor]:
    """Per level, |phi(fake) - phi(real)| averaged over channels [K, h, w]; no gradient to the real side.

    fakes: [K, 3, H, W], real: [1 or K, 3, H, W], both in [-1, 1].
    """
    with torch.no_grad():
        target = network((real.float() + 1) * 127.5)
    seen = network((fakes.float() + 1) * 127.5)
    return [(f.float() - t.float()).abs().mean(1) for f, t in zip(seen, target, strict=True)]


def check_divisors(divisors: Sequence[float], levels: int) -> None:
    """Raise ConfigError unless there is one divisor per level."""
    if len(divisors) != levels or min(divisors) <= 0:
        raise ConfigError(
            f"divisors: these features have {levels} levels (the picture is the first), so {levels} positive numbers are needed,"
            f" got {', '.join(f'{d:g}' for d in divisors) or 'none'}."
        )
