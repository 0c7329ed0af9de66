"""What the transformation network learns from: a photo's own segments, moved and scaled (docs/papers/sims.md, "Training")."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.plugin import RngLike
from zoo_plugins.sims.segments import boxes

SCALE = 0.1
"""Largest change of scale."""
SHIFT = 0.03125
"""Largest shift, as a share of the segment's box."""


class Moved(NamedTuple):
    """proposals: RGB in [0, 1] on black [P, 3, H, W]; masks: where they belong, float32 [P, 1, H, W]."""

    proposals: Tensor
    masks: Tensor


def moved_segments(photo: Tensor, masks: Tensor, most: int, rng: RngLike) -> Moved:
    """Segments of a photo [3, H, W] in [0, 1], each scaled by up to a tenth and shifted a little, what would leave the picture undone.

    masks: bool [N, H, W]. Where there are more than `most`, some are drawn; where there is none, a black one comes back, of no place.
    Random: rng (one stream) `.uniform("chosen")`, `.uniform("moved")`.
    """
    if not len(masks):
        return Moved(photo.new_zeros(1, *photo.shape), photo.new_zeros(1, 1, *photo.shape[1:]))
    if len(masks) > most:
        chosen = rng.uniform("chosen", shape=(len(masks),))[0].argsort()[:most].sort().values
        masks = masks[chosen.to(masks.device)]
    draws = rng.uniform("moved", shape=(len(masks), 3))[0].to(photo) * 2 - 1
    edges = boxes(masks).to(photo)
    scales, shifts = changes(edges, draws, photo.shape[1:])
    grid = grid_of(edges, scales, shifts, photo.shape[1:])
    held = F.grid_sample(masks[:, None].to(photo), grid, mode="nearest", align_corners=False)
    pictures = (photo * masks[:, None]).to(photo)
    drawn = F.grid_sample(pictures, grid, mode="bicubic", align_corners=False)
    return Moved(drawn.clamp(0, 1) * held, masks[:, None].to(photo))


def changes(edges: Tensor, draws: Tensor, size: tuple[int, ...] | torch.Size) -> tuple[Tensor, Tensor]:
    """(scale [P], shift in pixels [P, 2] as x, y) of boxes as of `segments.boxes`. draws: [P, 3] in (-1, 1).

    A change of scale that leaves the picture is undone, and so is then a shift that does.
    """
    top, bottom, left, right = edges.unbind(1)
    centre = torch.stack([(left + right) / 2, (top + bottom) / 2], 1)
    half = torch.stack([right - left + 1, bottom - top + 1], 1) / 2
    limit = half.new_tensor([size[1], size[0]])
    scales = 1 + SCALE * draws[:, 0]

    def leaves(scale: Tensor, shift: Tensor) -> Tensor:
        low = centre + 0.5 + shift - scale[:, None] * half
        high = centre + 0.5 + shift + scale[:, None] * half
        return ((low < 0) | (high > limit)).any(1)

    scales = torch.where(leaves(scales, torch.zeros_like(half)), 1.0, scales)
    shifts = 2 * SHIFT * half * draws[:, 1:]
    return scales, torch.where(leaves(scales, shifts)[:, None], 0.0, shifts)


def grid_of(edges: Tensor, scales: Tensor, shifts: Tensor, size: tuple[int, ...] | torch.Size) -> Tensor:
    """For `grid_sample`: places in the picture from which a box scaled about its centre and shifted is taken, [P, H, W, 2]."""
    height, width = size
    top, bottom, left, right = edges.unbind(1)
    centre = torch.stack([(left + right) / 2, (top + bottom) / 2], 1)[:, None, None]
    ys, xs = torch.meshgrid(
        torch.arange(height, device=edges.device), torch.arange(width, device=edges.device), indexing="ij"
    )
    here = torch.stack([xs, ys], 2).to(edges)
    source = (here - centre - shifts[:, None, None]) / scales[:, None, None, None] + centre
    return (2 * source + 1) / source.new_tensor([width, height]) - 1
