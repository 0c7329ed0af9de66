"""From masks in boxes to one class per pixel (docs/papers/sg2im.md, "Masks to a map"); nothing of it is published."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo_plugins.sg2im.placing import compose

VISIBLE = 0.5
FOREGROUND = 0.4


def recipe(
    rule: str,
    placed: Tensor,
    values: Tensor,
    boxes: Tensor,
    images: Tensor,
    count: int,
    classes: int,
    background: int | None,
) -> Tensor:
    """Label maps int64 [count, H, W].

    rule: painter, argmax or sum (`Sg2imOptions.flatten`). placed: [O, H, W]; values: int64 [O], label values; boxes: [O, 4]; images:
    int64 [O]. background: what uncovered pixels become; None: the class of the largest value.
    """
    soft = compose(F.one_hot(values, classes).to(placed), placed, images, count)
    strongest = soft.argmax(1)
    if background is None:
        labels = strongest
    elif rule == "sum":
        labels = torch.where(soft.sum(1) > FOREGROUND, strongest, background)
    elif rule == "argmax":
        labels = torch.where(soft.amax(1) > VISIBLE, strongest, background)
    else:
        labels = torch.full_like(strongest, background)
    if rule != "painter":
        return labels
    areas = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).abs()
    for place in areas.argsort(descending=True, stable=True).tolist():
        image = images[place]
        labels[image] = torch.where(placed[place] > VISIBLE, values[place], labels[image])
    return labels
