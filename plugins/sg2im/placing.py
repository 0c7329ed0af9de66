"""Objects put into the picture, and cut out of it: bilinear sampling of masks in boxes (docs/papers/sg2im.md, "Layout").

A box is x0, y0, x1, y1, where 0 is the first row or column of the picture and 1 the last one.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

FLAT_SIDE = 8
"""Side of the constant mask of a box that has none."""
Degenerate = Literal["nan", "drop"]


def spread(
    masks: Tensor, boxes: Tensor, size: tuple[int, int], *, align_corners: bool = True, degenerate: Degenerate = "nan"
) -> Tensor:
    """Each mask in its box, zero outside: [O, H, W].

    masks: [O, M, M]; boxes: [O, 4]; a box with x1 < x0 mirrors its mask. align_corners: the corner cells' centres lie on the box's corners
    (the released models), else their corners do (what torch since 1.3 makes of the same code). degenerate: what becomes of a box without
    width or height: NaN everywhere, as in the authors' code, or nothing. The bilinear weights are a product of one for the rows
    and one for the columns, so that two products of matrices do.
    """
    x0, y0, x1, y1 = boxes.unbind(1)
    rows = _weights(y0, y1, size[0], masks.shape[1], align_corners)
    columns = _weights(x0, x1, size[1], masks.shape[2], align_corners)
    placed = rows @ masks.to(rows) @ columns.transpose(1, 2)
    flat = ((x1 == x0) | (y1 == y0))[:, None, None]
    return placed.masked_fill(flat, float("nan") if degenerate == "nan" else 0.0)


def _weights(start: Tensor, end: Tensor, pixels: int, cells: int, align_corners: bool) -> Tensor:
    """The share of each cell in each pixel [O, pixels, cells]. Linear between a cell and the next, as `grid_sample` has it, gradients
    included."""
    places = torch.linspace(0, 1, pixels, dtype=start.dtype, device=start.device)
    extent = end - start
    inside = (places - start[:, None]) / torch.where(extent == 0, 1, extent)[:, None]
    at = inside * (cells - 1) if align_corners else inside * cells - 0.5
    lower = at.detach().floor()
    share = (at - lower)[..., None]
    cell = torch.arange(cells, dtype=at.dtype, device=at.device)
    zero = torch.zeros((), dtype=at.dtype, device=at.device)
    above = torch.where(cell == (lower + 1)[..., None], share, zero)
    return torch.where(cell == lower[..., None], 1 - share, above)


def compose(
    vectors: Tensor, placed: Tensor, images: Tensor, count: int, *, pooling: Literal["sum", "avg"] = "sum"
) -> Tensor:
    """The sum (or mean) over a picture's objects of vector times placed mask: [count, D, H, W].

    vectors: [O, D]; placed: [O, H, W]; images: int64 [O], the picture of each object. A picture without objects is zero.
    """
    height, width = placed.shape[1:]
    flat, planes = placed.flatten(1), []
    for number in range(count):
        rows = (images == number).nonzero()[:, 0]
        plane = vectors[rows].T @ flat[rows]
        planes.append(plane / max(len(rows), 1) if pooling == "avg" else plane)
    return torch.stack(planes).view(count, -1, height, width)


def flat_masks(boxes: Tensor) -> Tensor:
    """The masks of boxes that have none: [O, 8, 8] of ones."""
    return boxes.new_ones(len(boxes), FLAT_SIDE, FLAT_SIDE)


def crop(
    pictures: Tensor, boxes: Tensor, images: Tensor, size: tuple[int, int], *, align_corners: bool = True
) -> Tensor:
    """What lies in each box, resampled to `size`: [O, C, *size]; zero outside of the picture.

    pictures: [N, C, H, W]; boxes: [O, 4]; images: int64 [O].
    """
    x0, y0, x1, y1 = boxes.unbind(1)
    columns, rows = _between(x0, x1, size[1]), _between(y0, y1, size[0])
    grid = torch.stack([columns[:, None, :].expand(-1, size[0], -1), rows[:, :, None].expand(-1, -1, size[1])], -1)
    return F.grid_sample(pictures[images], 2 * grid - 1, align_corners=align_corners)


def _between(start: Tensor, end: Tensor, steps: int) -> Tensor:
    share = torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device)
    return (1 - share) * start[:, None] + share * end[:, None]
