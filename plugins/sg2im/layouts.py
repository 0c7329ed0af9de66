"""Boxes of training maps, from which those of a label set are drawn: the asset `layouts` (ours; docs/papers/sg2im.md, "Boxes")."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zoo.plugin import PairData, RngLike, shape_fault
from zoo_plugins.sg2im.scenes import scenes_of
from zoo_plugins.sg2im.vocabulary import Vocabulary

LAYOUTS = "layouts"
BATCH = 16
MOST = 100_000
"""Rows that such an asset may have."""


def fit_layouts(data: PairData, vocabulary: Vocabulary, count: int) -> dict[str, Tensor] | None:
    """`boxes` float32 [rows, channels, 4] of up to `count` maps, evenly over the data; a class that a map lacks has a box of no size.
    None where there is nothing."""
    count = min(count, len(data))
    rows = []
    chosen = [i * len(data) // count for i in range(count)]
    places = {value: place for place, value in enumerate(vocabulary.values)}
    for start in range(0, count, BATCH):
        batch = data.batch(chosen[start : start + BATCH])
        for scene in scenes_of(batch.maps, vocabulary.values, 1):
            boxes = torch.zeros(len(places), 4)
            boxes[[places[v] for v in scene.values]] = scene.boxes
            rows.append(boxes)
    found = [r for r in rows if bool(r.any())]
    return {"boxes": torch.stack(found)} if found else None


def layouts_fault(model: Any, asset: Any) -> str:
    """What is wrong with the asset for a model, or ""."""
    boxes = asset.get("boxes") if isinstance(asset, dict) else None
    if not isinstance(boxes, Tensor):
        return "it has no boxes"
    rows = len(boxes) if boxes.dim() == 3 else 0
    if not 1 <= rows <= MOST:
        return f"expected boxes [1 to {MOST:,}, {len(model.channels)}, 4]"
    fault = shape_fault(asset, {"boxes": (rows, len(model.channels), 4)})
    if fault:
        return fault
    return "" if bool(((boxes >= 0) & (boxes <= 1)).all()) else "its boxes lie outside of the picture"


def draw_boxes(asset: Tensor, wanted: list[list[int]], rng: RngLike) -> Tensor:
    """Boxes [B, channels, 4] for rows of wanted channels (places). All of one training map that shows all of them, each such map equally
    often; where there is none, each class's of a map of its own; no size where no map shows the class.

    Random: `rng.uniform("boxes")`, one number for the map and one for each class.
    """
    there = (asset[..., 2] > asset[..., 0]) & (asset[..., 3] > asset[..., 1])
    numbers = rng.uniform("boxes", shape=(1 + asset.shape[1],))
    drawn = torch.zeros(len(wanted), asset.shape[1], 4)
    for row, (places, u) in enumerate(zip(wanted, numbers, strict=True)):
        whole = there[:, places].all(1).nonzero()[:, 0]
        for place in places:
            rows, share = (whole, u[0]) if len(whole) else (there[:, place].nonzero()[:, 0], u[1 + place])
            if len(rows):
                drawn[row, place] = asset[rows[min(int(share * len(rows)), len(rows) - 1)], place]
    return drawn
