"""Losses of the synthesis network (docs/papers/sims.md, "Losses")."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.crn.generator import every_second
from zoo.families.crn.perceptual import differences
from zoo_plugins.sims.blocks import resized
from zoo_plugins.sims.synthesis import Made


def levels(features: nn.Module, picture: Tensor, real: Tensor, *, halved: bool) -> list[Tensor]:
    """Per level |phi(picture) - phi(real)| averaged over channels [B, h, w]; the first is that of the pictures themselves.

    features: of `zoo.families.crn.perceptual`. picture, real: RGB in [-1, 1]. halved: pictures are looked at at half their size, but
    compared whole (official at 1024p). Quirk: the network of the features, trained on RGB, is given BGR.
    """
    picture, real = picture.float().flip(1), real.float().flip(1)
    if not halved:
        return differences(features, picture, real)
    size = picture.shape[-2] // 2, picture.shape[-1] // 2
    seen = differences(features, resized(picture, size), resized(real, size))
    return [127.5 * (picture - real).abs().mean(1), *seen[1:]]


def synthesis_terms(made: Made, differing: Sequence[Tensor], planes: Tensor, divisors: Sequence[float]) -> list[Tensor]:
    """The terms of the loss: each level's mean difference over its divisor, then the cross-entropy of what the picture shows.

    differing: `levels`. planes: of the unchanged map [B, planes, H, W], of which every second pixel is taken where the scores are half
    the size.
    """
    terms = [level.mean() / divisor for level, divisor in zip(differing, divisors, strict=True)]
    if planes.shape[-1] > made.labels.shape[-1]:
        planes = every_second(planes, 2)[0]
    return [*terms, F.cross_entropy(made.labels, planes.argmax(1))]
