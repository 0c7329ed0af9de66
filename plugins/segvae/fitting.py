"""What SegVAE computes from a data set with finished weights (its fitted prior), and draws with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.plugin import LabelSet, PairData, RngLike
from zoo_plugins.segvae.prior import CONNECTED, LocalPrior, connected_share

if TYPE_CHECKING:
    from zoo_plugins.segvae.model import SegVAE

BATCH = 16
QUANTILE = 0.02
SCALES = (0.5, 0.25, 0.0)
"""How far from their means codes lie that are tried again, one after the other."""


@torch.no_grad()
def fit_prior(
    model: SegVAE, data: PairData, *, mirror: bool, neighbours: int, centres: int, components: int
) -> LocalPrior:
    """The prior over the mean codes of all maps and, with `mirror`, of their mirror images. Not random.

    Raises DataError for fewer than two maps.
    """
    codes, present, connected = [], [], []
    encoder = model.optimized()
    for batch in data.batches(BATCH):
        for maps in (batch.maps, *((batch.maps.mirrored(),) if mirror else ())):
            codes.append(encoder.encode(maps)["z"])
            layers = model.layered(maps)
            present.append(model.shown(model.planes(layers)).cpu())
            connected.append(_connected(model, model.flatten(layers).labels))
    shown = torch.cat(present)
    share = torch.cat(connected)[shown.any(1)]
    least = float(share.quantile(QUANTILE)) if len(share) else CONNECTED
    return LocalPrior.fit(
        torch.cat(codes), shown, neighbours=neighbours, centres=centres, components=components,
        connected=min(CONNECTED, least),
    )  # fmt: skip


def _connected(model: SegVAE, labels: Tensor) -> Tensor:
    return connected_share(labels.cpu(), int(model.values[0]))


@torch.no_grad()
def draw_codes(model: SegVAE, prior: LocalPrior, present: Tensor, sets: Sequence[LabelSet], rng: RngLike) -> Tensor:
    """Codes [B, C, Z] of the prior for label sets present [B, C]. Random: `rng.normal("score")`, K numbers per sample.

    A map that lacks a requested class, or is torn although such maps are not, is drawn again with the same scores: codes of
    what is missing, or of everything, half as far from their means, then a quarter, then the means. One map at a time, so that a
    sample's codes do not depend on its batch.
    """
    scores = rng.normal("score", shape=(prior.components,))
    return torch.stack([
        _codes(model, prior, row, label_set, score) for row, label_set, score in zip(present, sets, scores, strict=True)
    ])  # fmt: skip


def _codes(model: SegVAE, prior: LocalPrior, present: Tensor, label_set: LabelSet, scores: Tensor) -> Tensor:
    scale = torch.ones(len(present))
    codes = prior.codes(present, scores, scale)
    for smaller in SCALES:
        labels = model.decode({"z": codes[None]}, label_sets=[label_set]).labels.cpu()
        missing = present & ~(labels[0].flatten()[:, None] == model.values[1:].cpu()).any(0)
        torn = bool(_connected(model, labels)[0] < prior.connected[0])
        if not torn and not bool(missing.any()):
            break
        scale = torch.where(missing | torn, torch.minimum(scale, torch.tensor(smaller)), scale)
        codes = prior.codes(present, scores, scale)
    return codes
