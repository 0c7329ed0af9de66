"""The fitted prior of SegVAE's codes (ours): which codes go together in the training maps of similar label sets.

The learned prior draws each class's code given the canvas, from a distribution that is far narrower than the codes of real maps
are: its faces are frontal and alike. Here the codes of all classes are drawn at once, from a Gaussian over the posterior's mean
codes. One Gaussian for all maps serves faces; people in a dress and people in trousers are not one Gaussian, and what is drawn
from one falls apart. So there are several, one for each of a few label sets (the centres), each over the maps nearest to its
centre, and a requested label set takes the nearest centre's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.nn.components import components
from zoo.plugin import DataError, shape_fault

if TYPE_CHECKING:
    from zoo_plugins.segvae.model import SegVAE

RAREST = 0.01
"""Shares of maps count as at least this, and at most 1 minus this, where classes are weighed."""
CONNECTED = 0.98
"""A map counts as whole if so much of what it shows is connected, or as much as 98 % of the training maps have."""


@dataclass(frozen=True, eq=False)
class LocalPrior:
    """Gaussians over the codes of all classes: code = mean + sum_k score_k * direction_k, scores from N(0, I).

    centres: 0 or 1 [G, C], the label sets; weights [C], how much a class counts where two label sets are compared; mean
    [G, C, Z]; directions [G, K, C, Z], the principal components times their standard deviations, most varied first, 0 where
    there are fewer; counts [G, C], maps from which a class's numbers are; connected [1], the share of what a map shows that
    lies in one piece, below which it counts as torn.
    """

    centres: Tensor
    weights: Tensor
    mean: Tensor
    directions: Tensor
    counts: Tensor
    connected: Tensor

    @classmethod
    def fit(
        cls, codes: Tensor, present: Tensor, *, neighbours: int, centres: int, components: int, connected: float
    ) -> LocalPrior:
        """Fit to mean codes [N, C, Z] of maps that show the classes present [N, C] (bool). Not random.

        Each class's mean and deviations come from the `neighbours` maps that show it and whose label sets are nearest to the
        centre (the first maps at equal distances), so that a class that few maps show keeps all of them. Two label sets are as
        far apart as the classes in which they differ weigh: 1 / sqrt(f (1 - f)) for a class in a share f of the maps. So a face
        with a hat is nearer to all faces with hats than to those without. Raises DataError for fewer than two maps.
        """
        if len(codes) < 2:
            raise DataError(f"A prior needs codes of at least 2 maps, got {len(codes)}.")
        codes, present = codes.double().cpu(), present.cpu()
        share = present.double().mean(0).clamp(RAREST, 1 - RAREST)
        weights = (share * (1 - share)).rsqrt()
        chosen = _centres(present, weights, centres)
        fitted = [_gaussian(codes, present, _distance(present, c, weights), neighbours, components) for c in chosen]
        mean, directions, counts = (torch.stack(parts) for parts in zip(*fitted, strict=True))
        least = torch.tensor([connected])
        return cls(chosen.long(), weights.float(), mean.float(), directions.float(), counts, least)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> LocalPrior:
        """The prior of an asset (`prior_fault` says what may be wrong with it)."""
        return cls(*(tensors[f.name].cpu() for f in fields(cls)))

    def tensors(self) -> dict[str, Tensor]:
        """What the asset stores: fractions in float16, which is finer than the estimates are."""
        return {
            f.name: v.half() if (v := getattr(self, f.name)).is_floating_point() else v.contiguous()
            for f in fields(self)
        }

    @property
    def components(self) -> int:
        """Scores per map."""
        return self.directions.shape[1]

    def codes(self, present: Tensor, scores: Tensor, scale: Tensor) -> Tensor:
        """The codes float32 [C, Z] of one map. present: bool [C]; scores: [K]; scale: [C], 1, or less for classes that shall lie nearer
        to their means. Float64 within, so that nothing depends on the batch."""
        nearest = int(_distance(self.centres.bool(), present, self.weights).argmin())  # the first of equals
        deviation = torch.einsum("k,kcz->cz", scores.double(), self.directions[nearest].double())
        return (self.mean[nearest].double() + scale.double()[:, None] * deviation).float()


def _distance(sets: Tensor, other: Tensor, weights: Tensor) -> Tensor:
    """Of label sets [N, C] to one [C]: float64 [N]."""
    return (sets != other).double() @ weights.double()


def _centres(present: Tensor, weights: Tensor, count: int) -> Tensor:
    """Up to `count` of the label sets [N, C] as bool [G, C]: one after the other the set that brings all maps nearest to their
    centres (greedy k-medoids)."""
    sets, numbers = present.unique(dim=0, return_counts=True)
    distance = torch.stack([_distance(sets, row, weights) for row in sets])
    nearest = torch.full((len(sets),), float(weights.sum()), dtype=torch.float64)
    chosen: list[int] = []
    for _ in range(min(count, len(sets))):
        cost = torch.minimum(distance, nearest) @ numbers.double()
        cost[chosen] = torch.inf
        chosen.append(int(cost.argmin()))
        nearest = torch.minimum(nearest, distance[chosen[-1]])
    return sets[chosen]


def _gaussian(
    codes: Tensor, present: Tensor, distance: Tensor, neighbours: int, components: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean [C, Z], directions [K, C, Z] and counts [C] around a label set that lies at a distance [N] from those of the maps."""
    order = distance.argsort(stable=True)
    shown = present[order]
    rows = shown & (shown.cumsum(0) <= neighbours)  # of each class its own nearest maps
    counts = rows.sum(0)
    used = rows[..., None].double()
    mean = (codes[order] * used).sum(0) / counts.clamp(min=1)[:, None]
    deviations = (codes[order] - mean) * used / (counts - 1).clamp(min=1).sqrt()[:, None]
    flat = deviations[rows.any(1)].flatten(1)
    _, singular, vectors = torch.linalg.svd(flat, full_matrices=False)
    directions = flat.new_zeros(components, flat.shape[1])
    most = min(components, len(singular))
    directions[:most] = singular[:most, None] * vectors[:most]
    return mean, directions.view(components, *mean.shape), counts


def prior_fault(model: SegVAE, tensors: Mapping[str, Tensor]) -> str:
    """What is wrong with an asset that should be the tensors of a `LocalPrior` for this model, or ""."""
    classes, size = len(model.channels), model.config.z_dim
    directions = tensors.get("directions")
    groups, k = directions.shape[:2] if directions is not None and directions.dim() == 4 else (1, 1)
    shapes = {
        "centres": (groups, classes), "weights": (classes,), "mean": (groups, classes, size), "directions": (groups, k, classes, size),
        "counts": (groups, classes), "connected": (1,),
    }  # fmt: skip
    fault = shape_fault(tensors, shapes, counts=("centres", "counts"))
    if not fault and not groups:
        return "it has no centre"
    if not fault and not bool(((tensors["centres"] == 0) | (tensors["centres"] == 1)).all()):
        return "centres has other numbers than 0 and 1"
    return fault


def connected_share(labels: Tensor, background: int) -> Tensor:
    """How much of what a map shows (pixels of other classes than the background) is in its largest piece: labels [B, H, W] ->
    [B], 0 for an empty map. At half the size, where pieces that a pixel or two part are one, corners count as contact."""
    shown = F.max_pool2d((labels != background)[:, None].float(), 2)[:, 0]
    shares = []
    for parts, seen in zip(components(shown.long()), shown.bool(), strict=True):
        sizes = parts[seen].unique(return_counts=True)[1]
        shares.append(float(sizes.max() / seen.sum()) if len(sizes) else 0.0)
    return torch.tensor(shares)
