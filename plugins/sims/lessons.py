"""One step's loss of the transformation and of the ordering network, on a batch of photos with their maps (docs/papers/sims.md, "Training")."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from zoo.nn.labels import one_hot
from zoo.plugin import Batch, RngLike
from zoo.rng import take_rows
from zoo_plugins.sims.bank import enlarged
from zoo_plugins.sims.config import SIMSOptions
from zoo_plugins.sims.model import SIMS
from zoo_plugins.sims.moving import moved_segments
from zoo_plugins.sims.order import order_loss
from zoo_plugins.sims.ordering import coverings, ground_depth, nearer, neighbours, read_disparity
from zoo_plugins.sims.pairs import coloured, pair_pictures
from zoo_plugins.sims.segments import Segments
from zoo_plugins.sims.transform import composite, transform_loss
from zoo_plugins.sims.warp import warp


def asked(model: SIMS, segments: Segments, pixels: float | None = None) -> Tensor:
    """Rows of one map's segments of more than so many pixels (None: as the config says), from far to near."""
    least = model.config.segment_pixels if pixels is None else pixels
    rows = (segments.table[:, 3] > least).nonzero()[:, 0]
    rank = {value: i for i, value in enumerate(model.roles.order)}
    order = sorted(rows.tolist(), key=lambda row: (rank[int(segments.table[row, 1])], row))
    return torch.tensor(order, dtype=torch.int64, device=rows.device)


def moving_loss(
    model: SIMS, options: SIMSOptions, labels: Tensor, photos: Tensor, segments: list[Segments], rng: RngLike
) -> Tensor:
    """The mean over the batch of how far the composite of moved segments is from the photo.

    labels: channels int64 [B, H, W]. photos: RGB [B, 3, H, W] in [0, 1]. Random: as `moved_segments`, by pair.
    """
    scale, losses = model.config.scale, []
    for i, photo in enumerate(photos):
        # officially counted at the picture's size
        rows = asked(model, segments[i], model.config.segment_pixels / 4**scale)
        masks = enlarged(segments[i].masks(rows), scale)
        moved = moved_segments(photo, masks, options.proposals, take_rows(rng, [i]))
        theta = model.transform(*moved, one_hot(labels[i : i + 1], model.planes))
        made = composite(warp(moved.proposals, theta), moved.masks)
        losses.append(transform_loss(made, photo, moved.masks))
    return torch.stack(losses).mean()


def ordering_loss(model: SIMS, options: SIMSOptions, batch: Batch, segments: list[Segments], rng: RngLike) -> Tensor:
    """The mean over the batch of the cross-entropy over the places for pairs. Random: `rng.uniform("dropout")`, by pair of the batch."""
    losses = []
    maps = model.small(batch.maps)
    low = model.indices(maps.resize(model.config.low))
    values = [model.label_space.index(name) for name in model.classes]
    covers = coverings(batch, values, model.indices(maps), model.planes)
    palette = model.palette
    for i, one in enumerate(segments):
        pairs = neighbours(one, asked(model, one), model.roles.order, options.pairs)
        depth = depth_of(model, options, batch.names[i], one)
        front = nearer(one, pairs, depth, None if covers is None else covers[i], model.roles)
        looked = model.order.empty(model.config.low)
        if pairs:
            pictures = pair_pictures(one, pairs, palette, coloured(low[i], palette))
            looked = torch.cat([model.order.looked(pictures), looked])
        drawn = take_rows(rng, [i]).uniform("dropout", shape=(options.pairs + 1, looked.shape[1]))[0, : len(looked)]
        scores = model.order.scores(looked, 2.0 * (drawn < 0.5).to(looked))
        losses.append(order_loss(scores, front, options.pairs))
    return torch.stack(losses).mean()


def depth_of(model: SIMS, options: SIMSOptions, name: str, segments: Segments) -> Tensor:
    """How near each pixel of a map is, [h, w]: its disparity, or in its place how low its segment reaches."""
    if not options.disparity:
        return ground_depth(segments)
    return read_disparity(Path(options.disparity), name, model.config.low).to(segments.numbers.device)
