"""From part scores to a map with smooth outlines and parts of the right size (ours): the asset `outlines`.

The decoder doubles coarse planes, so outlines are staircases; its class weights make small parts too large; and a part that was asked
for may lose every pixel to its neighbours. With the asset the scores are blurred, each part's score is shifted by a constant that was
fitted so that drawn parts are as large as real ones, and a requested part that is still empty gets the pixels where it is nearest to
winning. Without it, and without label sets, a map is what the paper's network gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.plugin import DataError, PairData, Rng, shape_fault

if TYPE_CHECKING:
    from zoo_plugins.mask_vae.model import SemanticVAE

BATCH = 16
MAPS = 120
"""Label sets of the data from which maps are drawn for the fit."""
ROUNDS = 6
SMALLEST = 8
"""A part whose real ones are mostly below so many pixels is not forced to appear."""
QUANTILE = 0.1
CELLS = 32
COMMON = 0.02
"""A part may be forced to appear where at least this share of the real ones cover the cell."""


@dataclass(frozen=True, eq=False)
class Outlines:
    """sigma [1], of the blur in pixels; offsets [P], added to the scores; least [P], pixels of a part that is forced to appear (0: it
    is not); places 0 or 1 [P, 32, 32], where that may be."""

    sigma: Tensor
    offsets: Tensor
    least: Tensor
    places: Tensor

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Outlines:
        """Those of an asset."""
        return cls(*(tensors[f.name].cpu() for f in fields(cls)))

    def tensors(self) -> dict[str, Tensor]:
        """What the asset stores."""
        return {f.name: getattr(self, f.name).contiguous() for f in fields(self)}

    def classes(self, scores: Tensor, present: Tensor, rule: str) -> Tensor:
        """Part scores [B, P, H, W] and the requested parts, bool [B, P] -> classes [B, H, W], 0 the background. Each map by itself."""
        rows = [self._one(s, p, rule) for s, p in zip(blurred(scores.float().cpu(), self.sigma), present, strict=True)]
        return torch.stack(rows).to(scores.device)

    def _one(self, scores: Tensor, present: Tensor, rule: str) -> Tensor:
        floor = (scores.sum(0) <= 0).float() if rule == "sum" else torch.zeros_like(scores[0])
        parts = present.nonzero()[:, 0]
        if not len(parts):
            return torch.zeros(floor.shape, dtype=torch.long)
        scores = scores[parts] + self.offsets[parts, None, None]
        top = scores.amax(0)
        # the first of equals, by a maximum alone, which is several times faster than one with its place; a map has fewer than 255 parts
        countdown = (254 - parts).to(torch.uint8)[:, None, None]
        first = 254 - (scores == top).to(torch.uint8).mul_(countdown).amax(0).long()
        found = torch.where(floor >= top, 0, first + 1)
        top, shown = torch.maximum(floor, top), torch.bincount(found.flatten(), minlength=len(present) + 1)
        for row, part in enumerate(parts.tolist()):
            if self.least[part] > 0 and not shown[part + 1]:
                self._force(found, scores[row], top, part)
                shown = torch.bincount(found.flatten(), minlength=len(present) + 1)
        return found

    def _force(self, found: Tensor, scores: Tensor, top: Tensor, part: int) -> None:
        """Give a part of these scores [H, W] its `least` best pixels around the best of all, at its places."""
        places = F.interpolate(self.places[part, None, None].float(), size=found.shape, mode="nearest")[0, 0] > 0
        margin = torch.where(places, scores - top, -torch.inf)
        row, column = divmod(int(margin.argmax()), margin.shape[1])
        y, x = (torch.arange(n) for n in margin.shape)
        count = int(self.least[part])
        near = (y - row)[:, None].square() + (x - column).square() <= max(count, 2)
        best = torch.where(near, margin, -torch.inf).flatten()
        chosen = best.topk(min(count, int((best > -torch.inf).sum()))).indices
        found.view(-1)[chosen] = part + 1


def blurred(scores: Tensor, sigma: Tensor | float) -> Tensor:
    """Scores [B, P, H, W] under a Gaussian of this sigma in pixels, edges continued."""
    width = float(sigma)
    if width <= 0:
        return scores
    # as products with banded matrices, in half the time of two convolutions of one channel
    down, across = (_band(side, width).to(scores.dtype) for side in scores.shape[-2:])
    return torch.matmul(down, torch.matmul(scores, across.t()))


def _band(side: int, width: float) -> Tensor:
    """float64 [side, side]: the shares of a line's pixels in each of its blurred ones."""
    radius, places = int(3 * width + 0.5), torch.arange(side)
    steps = torch.arange(-radius, radius + 1)
    kernel = torch.exp(-steps.double().square() / (2 * width**2))
    kernel = kernel / kernel.sum()
    band = torch.zeros(side, side, dtype=torch.float64)
    for step, share in zip(steps.tolist(), kernel, strict=True):
        band.index_put_((places, (places + step).clamp(0, side - 1)), share.expand(side), accumulate=True)
    return band


@torch.no_grad()
def fit_outlines(model: SemanticVAE, data: PairData, sigma: float) -> Outlines:
    """Offsets with which parts that the model draws for label sets of the data have the mean areas of the data's own parts.

    Random: nothing but the drawn codes, of seed 0. Raises DataError for data whose maps show no part.
    """
    numbers = torch.cat([model.part_numbers(b.maps) for b in data.batches(BATCH)])
    areas = part_areas(numbers, len(model.channels))
    shown = areas > 0
    if not bool(shown.any()):
        raise DataError("Outlines are fitted to maps with parts, and these maps show none.")
    counts = shown.sum(0).clamp(min=1)
    real = areas.sum(0) / counts
    least = torch.stack([a[a > 0].quantile(QUANTILE) if bool((a > 0).any()) else a.new_zeros(()) for a in areas.T])
    least = torch.where(least < SMALLEST, 0, least.round()).long()
    cells = torch.stack([
        F.adaptive_avg_pool2d((numbers == p + 1).float()[:, None], CELLS).gt(0).float().sum((0, 1)) / counts[p]
        for p in range(len(counts))
    ])  # fmt: skip
    places = (cells >= COMMON).long()
    present = shown[:: -(-len(shown) // MAPS)]
    present = present[present.any(1)]
    scores = blurred(model.drawn_scores(present, Rng(0, range(len(present)))), torch.tensor([sigma]))
    unblurred, offsets = torch.zeros(1), torch.zeros(len(counts))
    for _ in range(ROUNDS):
        made = Outlines(unblurred, offsets, least, places).classes(scores, present, model.config.background)
        asked = present.sum(0)
        mean = (part_areas(made, len(counts)) * present).sum(0) / asked.clamp(min=1)
        step = (real.clamp(min=1).log() - mean.clamp(min=1).log()).clamp(-1, 1)
        offsets = offsets + torch.where((asked > 3) & (least > 0), step, 0.0)
    return Outlines(torch.tensor([sigma]), offsets, least, places)


def part_areas(numbers: Tensor, parts: int) -> Tensor:
    """Pixels of each part in maps of part numbers [B, H, W], 0 none: float [B, P]."""
    return torch.stack([(numbers == p + 1).flatten(1).sum(1) for p in range(parts)], 1).float()


def outlines_fault(model: SemanticVAE, tensors: Mapping[str, Tensor]) -> str:
    """What is wrong with an asset that should be the tensors of `Outlines` for this model, or ""."""
    parts = len(model.channels)
    shapes = {"sigma": (1,), "offsets": (parts,), "least": (parts,), "places": (parts, CELLS, CELLS)}
    fault = shape_fault(tensors, shapes, counts=("least", "places"))
    if not fault and not 0 <= float(tensors["sigma"]) <= model.config.side / 8:
        return f"sigma is {float(tensors['sigma']):g}, expected 0 to {model.config.side / 8:g}"
    return fault
