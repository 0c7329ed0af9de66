"""The asset `clusters`: k-means centres of the training objects' features, by class (paper section 3.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.nn.kmeans import kmeans
from zoo.plugin import DataError, PairData, RngLike, shape_fault

if TYPE_CHECKING:
    from zoo_plugins.pix2pixhd.model import Pix2PixHD

BATCH = 4
LEAST = 0.5 / 32
"""Share of the picture that an object must exceed to count (officially more than half of a 32nd)."""


def clusters_fault(model: Pix2PixHD, tensors: Mapping[str, Tensor]) -> str:
    """What is wrong with an asset that should be one of `fit_clusters`, or ""."""
    centres = tensors.get("centres")
    most = centres.shape[1] if centres is not None and centres.dim() == 3 else 1
    classes = len(model.channels)
    shapes = {"centres": (classes, most, model.config.feat_num), "objects": (classes, most)}
    fault = shape_fault(tensors, shapes, counts=("objects",))
    return fault or ("" if bool((tensors["objects"] >= 0).all()) else "objects holds negative numbers")


def object_rows(model: Pix2PixHD, images: Tensor, regions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Every object of photos [B, 3, H, W] in [-1, 1]: (its class's channel [N], its features [N, feat_num], its share of the picture [N]).

    regions: as `model.regions`. The share is by 1/32 of the photo, as in the authors' code: 1 is one 32nd.
    """
    means, pixels = model.pooled(images, regions)
    sample, region = pixels.nonzero(as_tuple=True)
    area = pixels.sum(1) // 32
    return region // model.config.slots, means[sample, region], pixels[sample, region] / area[sample].clamp_min(1)


@torch.no_grad()
def fit_clusters(model: Pix2PixHD, data: PairData, clusters: int) -> dict[str, Tensor]:
    """centres [classes, clusters, feat_num] float32: k-means centres of the features of objects that fill more than 1/64 of their photo,
    zeros where a class has fewer; objects [classes, clusters] int64: how many are behind each. Not random.

    Raises DataError for data without photos, and where no object is large enough.
    """
    rows: list[list[Tensor]] = [[] for _ in model.channels]
    for batch in data.batches(BATCH):
        if batch.images is None:
            raise DataError("The clusters of pix2pixHD are those of photos, and this data set holds maps alone.")
        found = object_rows(model, model.fit_image(batch.images) * 2 - 1, model.regions(batch.maps))
        for channel, features, share in zip(*(t.cpu() for t in found), strict=True):
            if share > LEAST * 32:
                rows[int(channel)].append(features)
    if not any(rows):
        raise DataError("No object of these maps fills more than 1/64 of its photo: there is nothing to cluster.")
    centres = torch.zeros(len(rows), clusters, model.config.feat_num)
    objects = torch.zeros(len(rows), clusters, dtype=torch.int64)
    for channel, own in enumerate(rows):
        if own:
            means, counts = kmeans(torch.stack(own), min(len(own), clusters))
            centres[channel, : len(means)], objects[channel, : len(means)] = means.float(), counts
    return {"centres": centres, "objects": objects}


def drawn_styles(
    clusters: Mapping[str, Tensor], channels: Sequence[str], rng: RngLike, slots: int
) -> tuple[Tensor, Tensor]:
    """A centre of its class for every place: (rows [samples, classes * slots, feat_num], present [samples, classes])."""
    centres, objects = clusters["centres"].float().cpu(), clusters["objects"].cpu()
    counts = (objects > 0).sum(1)
    rows = []
    for channel, name in enumerate(channels):
        drawn = (rng.uniform("cluster", name, shape=(slots,)) * max(int(counts[channel]), 1)).long()
        rows.append(centres[channel][drawn])
    return torch.stack(rows, 1).flatten(1, 2), (counts > 0).expand(len(rng.samples), -1).clone()


def mean_styles(clusters: Mapping[str, Tensor], count: int, slots: int) -> tuple[Tensor, Tensor]:
    """The centres' mean by the objects behind them, at every place: as `drawn_styles`."""
    centres, objects = clusters["centres"].double().cpu(), clusters["objects"].double().cpu()
    total = objects.sum(1)
    mean = ((centres * objects[:, :, None]).sum(1) / total.clamp_min(1)[:, None]).float()
    rows = mean[None, :, None].expand(count, -1, slots, -1)
    return rows.flatten(1, 2).clone(), (total > 0).expand(count, -1).clone()
