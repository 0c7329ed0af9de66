"""The asset `latent_prior`: a Gaussian over the codes of the training photos (ours; the paper has no prior of styles)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.plugin import DataError, PairData, RngLike, shape_fault

if TYPE_CHECKING:
    from zoo_plugins.maskgan.model import MaskGAN

BATCH = 8
LEAST_VARIANCE = 1e-6


def prior_fault(model: MaskGAN, tensors: Mapping[str, Tensor]) -> str:
    """What is wrong with an asset that should be one of `fit_prior`, or ""."""
    size = 4 * model.config.style_width
    return shape_fault(tensors, {"mean": (size,), "factor": (size, size)})


@torch.no_grad()
def fit_prior(model: MaskGAN, data: PairData) -> dict[str, Tensor]:
    """mean [K], and factor [K, K], lower triangular, of the photos' codes: factor @ factor.T is their covariance. float32; not random.

    Raises DataError for data without photos.
    """
    codes = []
    for batch in data.batches(BATCH):
        if batch.images is None:
            raise DataError("The styles of MaskGAN are those of photos, and this data set holds maps alone.")
        photos = model.fit_image(batch.images) * 2 - 1
        codes.append(model.generator.code(photos, model.planes(batch.maps)).double().cpu())
    rows = torch.cat(codes)
    covariance = torch.cov(rows.T, correction=0) + LEAST_VARIANCE * torch.eye(rows.shape[1], dtype=torch.float64)
    return {"mean": rows.mean(0).float(), "factor": torch.linalg.cholesky(covariance).float()}


def drawn_codes(prior: Mapping[str, Tensor], rng: RngLike | None, count: int) -> Tensor:
    """Codes float64 [count, K] of the prior, on the CPU; its mean where there is no rng. Random: `rng.normal("code")`.

    Row by row, so that a sample's code does not depend on its batch.
    """
    mean, factor = (prior[n].double().cpu() for n in ("mean", "factor"))
    if rng is None:
        return mean.expand(count, -1).clone()
    return torch.stack([mean + factor @ row.double() for row in rng.normal("code", shape=(len(mean),))])
