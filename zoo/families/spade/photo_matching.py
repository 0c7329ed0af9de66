"""Pictures matched to the training photos as a distribution (`lambda_mmd`): what `zoo.nn.matching` needs of a model, its data and a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.data import PairData
from zoo.errors import DataError
from zoo.families.spade.options import FEWEST, GanOptions
from zoo.families.spade.synthesizer import LatentSynthesizer
from zoo.nn.matching import PhotoMatching, descriptors

READ = 8
"""Photos that are read at once."""


@torch.no_grad()
def match_photos(gan: LatentSynthesizer, features: nn.Module, data: PairData, options: GanOptions) -> PhotoMatching:
    """The descriptors of at most `mmd_photos` training photos, without augmentation, in the training's precision; with `prior_half` banks for
    each half of a batch. Raises DataError for fewer than two photos, or a file that cannot be read."""
    if len(data) < 2:
        raise DataError(f"lambda_mmd compares distributions: it needs two training photos or more, got {len(data)}.")
    device = gan.device
    features.to(device)
    found: list[dict[str, Tensor]] = []
    chosen = range(0, len(data), math.ceil(len(data) / options.mmd_photos))
    for start in range(0, len(chosen), READ):
        images = data.batch(chosen[start : start + READ]).images
        assert images is not None  # the trainer has seen to it
        images = gan.fit_image(images.to(device)) * 2 - 1
        with torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bf16"):
            found.append(descriptors(images, features(images), getattr(features, "head", None)))
    photos = {name: torch.cat([part[name] for part in found]) for name in found[0]}
    return PhotoMatching(photos, 2 if options.prior_half else 1, options.mmd_bank, FEWEST).to(device)


def mismatch(
    matching: PhotoMatching, features: nn.Module, fake: Tensor, maps: Sequence[Tensor], own: int | None
) -> Tensor:
    """Its loss for a batch [B, 3, H, W] in [-1, 1], with the feature maps of it. own: how many, the first ones, have their photo's style (None: all)."""
    group = torch.arange(len(fake), device=fake.device) >= (len(fake) if own is None else own)
    return matching(descriptors(fake, maps, getattr(features, "head", None)), group.long())
