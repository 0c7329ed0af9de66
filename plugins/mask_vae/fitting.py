"""What mask-vae computes from a data set with finished weights: the fitted prior of its part codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from zoo.plugin import PairData, SemanticMap
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
        for maps in (batch.maps, *((_mirrored(batch.maps),) if mirror else ())):
            codes.append(model.encode(maps)["z"])
            present.append(maps.present().cpu()[:, model.values[1:].cpu()])
    return LatentPrior.fit(torch.cat(codes), torch.cat(present), components)


def _mirrored(maps: SemanticMap) -> SemanticMap:
    """Flipped left to right, left and right classes exchanged."""
    table = torch.arange(256)
    table[: len(maps.space)] = torch.tensor(maps.space.mirror_table)
    return SemanticMap(table.to(maps.labels.device)[maps.labels.flip(-1)], maps.space)
