"""Perceptual losses: features of VGG19 (ImageNet weights through timm) or of a mask parser of the zoo."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.errors import WeightsError
from zoo.nn.losses import weighted_feature_l1

VGG19_WIDTHS: tuple[int | str, ...] = (
    64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512, 512, 512, 512, "M",
)  # fmt: skip
VGG_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
# ends of the slices of vgg19.features after relu1_1, relu2_1, relu3_1, relu4_1, relu5_1
VGG_ENDS = (2, 7, 12, 21, 30)


class VGG19Features(nn.Module):
    """relu1_1 … relu5_1 of VGG19, frozen, in evaluation mode.

    forward: images [B, 3, H, W] in [-1, 1], fed without ImageNet normalisation as pix2pixHD's, SPADE's and SC-GAN's code do
    -> five feature maps. widths: the layer list, for slim test networks; "M" is a 2x2 max pooling.
    """

    def __init__(self, widths: Sequence[int | str] = VGG19_WIDTHS) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in widths:
            if isinstance(width, str):
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
        self.features = nn.Sequential(*layers[: VGG_ENDS[-1]])
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> VGG19Features:
        return super().train(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        x, features = images, []
        for i, layer in enumerate(self.features, 1):
            x = layer(x)
            if i in VGG_ENDS:
                features.append(x)
        return features

    @classmethod
    def pretrained(cls) -> VGG19Features:
        """With timm's ImageNet weights (downloaded once). Raises WeightsError that names the option to train without."""
        return cls.of(pretrained_vgg19())

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> VGG19Features:
        """With the weights of a state dict whose keys are torchvision's (`features.N.weight`), as wide as these are; what lies
        beyond relu5_1 is left out. Raises RuntimeError if one is missing or of another shape."""
        parts = {k: v for k, v in state.items() if k.startswith("features.") and int(k.split(".")[1]) < VGG_ENDS[-1]}
        widths: list[int | str] = []
        at = 0
        for width in VGG19_WIDTHS:
            stored = parts.get(f"features.{at}.weight")
            widths.append(width if stored is None else len(stored))
            at += 1 if isinstance(width, str) else 2  # a ReLU follows each convolution
        network = cls(widths)
        network.load_state_dict(parts, strict=True)
        return network


def pretrained_vgg19() -> dict[str, Tensor]:
    """timm's vgg19 with its ImageNet weights (downloaded once). Raises WeightsError that names the option to train without."""
    try:
        import timm

        return timm.create_model("vgg19", pretrained=True).state_dict()
    except Exception as error:  # no network, no space, a changed hub: the way out is the same
        raise WeightsError(
            f"The perceptual loss needs timm's pretrained vgg19, which could not be loaded ({type(error).__name__}: {error})."
            ' Train without it: <<changes={"perceptual": "none"}>>; or name a trained parser:'
            ' <<changes={"perceptual": "face-parser-celeba"}>>.'
        ) from error


class HasFeatures(Protocol):
    """What a parser offers for a perceptual loss: `features(images [B, 3, H, W] in [0, 1])` -> feature maps."""

    def features(self, images: Tensor) -> Sequence[Tensor]: ...


class ParserFeatures(nn.Module):
    """Features of a trained mask parser, frozen, in place of VGG's; images in [-1, 1] as for VGG19Features."""

    def __init__(self, parser: nn.Module) -> None:
        super().__init__()
        if not callable(getattr(parser, "features", None)):
            raise WeightsError(
                f"{type(parser).__name__} offers no features(images) for a perceptual loss: name another parser,"
                ' or train with <<changes={"perceptual": "vgg"}>> or <<changes={"perceptual": "none"}>>.'
            )
        if getattr(parser, "judges", False):
            raise WeightsError(
                f"{type(parser).__name__} is held back from every loss, because it judges pictures: name another parser,"
                ' such as <<changes={"perceptual": "face-parser-celeba"}>>.'
            )
        self.parser = parser.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> ParserFeatures:
        return super().train(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        return list(self.parser.features((images + 1) / 2))  # type: ignore[operator]


def perceptual_network(choice: str, load: Callable[[str], nn.Module]) -> nn.Module | None:
    """`none` -> None, `vgg` -> VGG19Features, anything else -> ParserFeatures of the parser that `load` gives for it."""
    if choice == "none":
        return None
    if choice == "vgg":
        return VGG19Features.pretrained()
    return ParserFeatures(load(choice))


def perceptual_loss(
    network: nn.Module,
    fake: Tensor,
    real: Tensor,
    loss_mask: Tensor | None = None,
    *,
    vgg_weights: Sequence[float] = VGG_WEIGHTS,
) -> Tensor:
    """Weighted L1 between the features of fake and real images in [-1, 1]; VGG's by `vgg_weights`, others equally (their mean).

    loss_mask: float [B, 1, H, W], nearest-resized to each feature map and multiplied with both sides (no renormalisation).
    """
    with torch.no_grad():
        target = network(real)
    fake_features = network(fake)
    if loss_mask is not None:
        masks = [F.interpolate(loss_mask.to(f), size=f.shape[-2:], mode="nearest") for f in fake_features]
        target = [t * m for t, m in zip(target, masks, strict=True)]
        fake_features = [f * m for f, m in zip(fake_features, masks, strict=True)]
    weights = vgg_weights if isinstance(network, VGG19Features) else [1 / len(fake_features)] * len(fake_features)
    return weighted_feature_l1(fake_features, target, weights)
