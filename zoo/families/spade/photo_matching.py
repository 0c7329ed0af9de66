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
from zoo.maps import SemanticMap
from zoo.nn.matching import PhotoMatching, descriptors, seen_by

READ = 8
"""Photos that are read at once."""


def common_classes(data: PairData, count: int) -> tuple[int, ...]:
    """The `count` classes with the most pixels in at most 200 maps of a data set, evenly spread: indices in its label space."""
    if not count:
        return ()
    pixels = torch.zeros(len(data.label_space.names))
    chosen = range(0, len(data), math.ceil(len(data) / 200))
    for start in range(0, len(chosen), READ):
        labels = data.batch(chosen[start : start + READ]).maps.labels
        pixels += torch.bincount(labels[labels < len(pixels)].flatten().long(), minlength=len(pixels))
    return tuple(pixels.topk(min(count, int((pixels > 0).sum()))).indices.tolist())


def regions_of(maps: SemanticMap, classes: Sequence[int], gan: LatentSynthesizer) -> Tensor | None:
    """The pixels of each of these classes, and of all others, float32 [B, R + 1, H, W] at the model's resolution; None without classes."""
    if not classes:
        return None
    labels = maps.resize(gan.resolution).labels.to(gan.device)
    found = torch.stack([labels == c for c in classes], 1)
    return torch.cat([found, ~found.any(1, keepdim=True)], 1).float()


def describe(
    images: Tensor,
    networks: Sequence[nn.Module],
    maps: Sequence[Tensor] | None = None,
    regions: Tensor | None = None,
) -> dict[str, Tensor]:
    """The descriptors of images [B, 3, H, W] in [-1, 1], [B, D_i] each, as several networks see them: those of the first under their own names, of
    number i as `i.depth_0`, …. maps: what the first one gives for them, where it is known. regions: of the pictures, see `zoo.nn.matching.seen_by`."""
    first, *others = networks
    found = descriptors(images, first(images) if maps is None else maps, getattr(first, "head", None), regions)
    for i, network in enumerate(others, 1):
        seen = seen_by(network(images), getattr(network, "head", None), regions)
        found |= {f"{i}.{name}": rows for name, rows in seen.items()}
    return found


@torch.no_grad()
def match_photos(
    gan: LatentSynthesizer,
    networks: Sequence[nn.Module],
    data: PairData,
    options: GanOptions,
    classes: Sequence[int] = (),
) -> PhotoMatching:
    """The descriptors (within the regions of `classes` too) of at most `mmd_photos` training photos, without augmentation, in the training's
    precision; with `prior_half` banks for each half of a batch. Raises DataError for fewer than two photos, or a file that cannot be read."""
    if len(data) < 2:
        raise DataError(f"lambda_mmd compares distributions: it needs two training photos or more, got {len(data)}.")
    device = gan.device
    for network in networks:
        network.to(device)
    found: list[dict[str, Tensor]] = []
    chosen = range(0, len(data), math.ceil(len(data) / options.mmd_photos))
    for start in range(0, len(chosen), READ):
        batch = data.batch(chosen[start : start + READ])
        assert batch.images is not None  # the trainer has seen to it
        images, regions = gan.fit_image(batch.images.to(device)) * 2 - 1, regions_of(batch.maps, classes, gan)
        with torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bf16"):
            found.append(describe(images, networks, regions=regions))
    photos = {name: torch.cat([part[name] for part in found]) for name in found[0]}
    return PhotoMatching(photos, 2 if options.prior_half else 1, options.mmd_bank, FEWEST).to(device)


def mismatch(
    matching: PhotoMatching,
    networks: Sequence[nn.Module],
    fake: Tensor,
    maps: Sequence[Tensor],
    own: int | None,
    regions: Tensor | None = None,
) -> Tensor:
    """Its loss for a batch [B, 3, H, W] in [-1, 1], with the first network's feature maps of it. own: how many, the first ones, have their photo's style (None: all)."""
    group = torch.arange(len(fake), device=fake.device) >= (len(fake) if own is None else own)
    return matching(describe(fake, networks, maps, regions), group.long())
