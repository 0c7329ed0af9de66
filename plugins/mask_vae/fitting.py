"""What mask-vae computes from a data set with finished weights: the fitted prior of its part codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from zoo.plugin import PairData
from zoo_plugins.mask_vae.prior import LatentPrior

if TYPE_CHECKING:
    from zoo_plugins.mask_vae.model import SemanticVAE

BATCH = 16


@torch.no_grad()
def fit_prior(model: SemanticVAE, data: PairData, *, mirror: bool, components: int) -> LatentPrior:
    """The joint prior over the mean codes of all maps and, with `mirror`, of their mirror images. Not random.

    Raises DataError for fewer than two maps.
    """
    codes, present = [], []
    for batch in data.batches(BATCH):
        for maps in (batch.maps, *((batch.maps.mirrored(),) if mirror else ())):
            codes.append(model.encode(maps)["z"])
            present.append(maps.present().cpu()[:, model.values[1:].cpu()])
    return LatentPrior.fit(torch.cat(codes), torch.cat(present), components)
