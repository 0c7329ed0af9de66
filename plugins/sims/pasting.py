"""What the synthesis network learns from: a photo cut by other photos' shapes (docs/papers/sims.md, "Training")."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.plugin import RngLike
from zoo_plugins.sims.bank import Bank, enlarged
from zoo_plugins.sims.borders import sobel, widened
from zoo_plugins.sims.canvas import Canvas
from zoo_plugins.sims.config import SIMSConfig, SIMSOptions
from zoo_plugins.sims.finding import overlaps_of
from zoo_plugins.sims.roles import Roles
from zoo_plugins.sims.segments import Segments

BAND = 0.05
"""Width of the white band around pieces, as a share of the picture's height."""
WHITE = 0.5
"""Share of its pixels."""


class Shape(NamedTuple):
    """A segment of the bank that cuts one of the photo. row: of the bank; own, other: bool [H, W], the photo's segment, the bank's."""

    row: int
    value: int
    own: Tensor
    other: Tensor


def training_canvas(
    photo: Tensor, labels: Tensor, segments: Segments, asked: Tensor, bank: Bank, sources: Tensor, roles: Roles,
    config: SIMSConfig, options: SIMSOptions, rng: RngLike,
) -> Canvas:  # fmt: skip
    """A canvas of a photo's own pixels, and its map with the faults that retrieved shapes bring.

    photo: RGB [3, H, W] in [0, 1]; labels: its channels int64 [H, W]. asked: rows of its segments from far to near. sources: int64, the
    photos of the bank that shapes are taken from. Random: rng (one stream) `.uniform("white")`, and under ("piece", i) of each segment.
    """
    made, noisy = torch.zeros_like(photo), labels.clone()
    band = max(1, int(BAND * photo.shape[1]))
    white = rng.uniform("white", shape=tuple(photo.shape[1:]))[0].to(photo.device) < WHITE
    for i, shape in enumerate(shapes(segments, asked, bank, sources, config.scale)):
        draws = rng.uniform("piece", i, shape=(4,))[0].tolist()
        kept = (
            shape.own & shape.other & (bank.maps(torch.tensor([shape.row], device=bank.table.device))[0] == shape.value)
        )
        pixels = photo
        if draws[0] < options.recolour:
            target = bank.cut_out(torch.tensor([shape.row], device=bank.table.device), config.scale)[0]
            pixels = recoloured(photo, shape.own, target)
        made = torch.where(kept, pixels, made)
        around = widened(sobel(kept[None]), band)[0]
        made = torch.where(around & white, 1.0, made)
        angle = (2 * draws[1] - 1) * options.turn
        turned = rotated(shape.own, angle, (2 * draws[2] - 1, 2 * draws[3] - 1))
        noisy[(turned | shape.other) & ~shape.own] = roles.classes
    return Canvas(made, noisy)


def shapes(segments: Segments, asked: Tensor, bank: Bank, sources: Tensor, scale: int) -> list[Shape]:
    """The best shape of the sources for each segment; none where no segment of its class meets it."""
    scores = overlaps_of(segments, asked, bank, sources)
    if not scores.numel():
        return []
    best, rows = scores.max(1)
    found = (best > 0).nonzero()[:, 0]
    own = enlarged(segments.masks(asked[found]), scale)
    other = enlarged(bank.masks(rows[found]), scale)
    values = segments.table[asked[found], 1].tolist()
    return [Shape(*parts) for parts in zip(rows[found].tolist(), values, own, other, strict=True)]


def recoloured(photo: Tensor, mask: Tensor, target: Tensor) -> Tensor:
    """The photo [3, H, W] with the colours of a mask's pixels moved linearly so that mean and covariance are those of the target's.

    The map of Monge and Kantorovich between normal distributions; target: [3, H, W] on black. Clipped to [0, 1].
    """
    own, theirs = photo[:, mask].double(), target[:, target.sum(0) > 0].double()
    if own.shape[1] < 2 or theirs.shape[1] < 2:
        return photo
    means = own.mean(1, keepdim=True), theirs.mean(1, keepdim=True)
    small = 1e-5 * torch.eye(3, dtype=torch.float64, device=photo.device)
    spread = [torch.cov(x) + small for x in (own, theirs)]
    root = _root(spread[0])
    inverse = torch.linalg.inv(root)
    matrix = inverse @ _root(root @ spread[1] @ root) @ inverse
    moved = matrix @ (photo.flatten(1).double() - means[0]) + means[1]
    return moved.view_as(photo).to(photo).clamp(0, 1)


def _root(matrix: Tensor) -> Tensor:
    """The root of a symmetric matrix without negative eigenvalues."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T


def rotated(mask: Tensor, degrees: float, crop: tuple[float, float]) -> Tensor:
    """A mask bool [H, W] turned about the picture's centre, then shifted by the share `crop` (x, y, each in (-1, 1)) of what the corners of
    the turned picture need more room."""
    height, width = mask.shape
    angle = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    cos, sin = float(angle.cos()), float(angle.sin())
    room = (height * abs(sin) + width * (cos - 1)) / 2, (width * abs(sin) + height * (cos - 1)) / 2
    x, y = (max(0.0, r) * c for r, c in zip(room, crop, strict=True))
    # in `affine_grid`'s units, in which both half sides are 1
    theta = [[cos, sin * height / width, 2 * x / width], [-sin * width / height, cos, 2 * y / height]]
    grid = F.affine_grid(
        torch.tensor([theta], device=mask.device, dtype=torch.float32), [1, 1, height, width], align_corners=False
    )
    return F.grid_sample(mask[None, None].float(), grid, mode="nearest", align_corners=False)[0, 0] > 0.5
