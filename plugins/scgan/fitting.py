"""What SC-GAN computes from a data set with finished weights: a Gaussian over the codes of its photos."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.data import PairData
from zoo.errors import DataError

if TYPE_CHECKING:
    from zoo_plugins.scgan.model import SCGAN

BATCH = 8


@torch.no_grad()
def fit_latent_prior(model: SCGAN, data: PairData) -> dict[str, Tensor]:
    """A Gaussian with the moments of the encoder's posterior over the photos. Not random. Ours, not the paper's.

    mean [z_dim]; factor [z_dim, z_dim], lower triangular, factor @ factor.T = cov(mu) + mean(sigma^2), float32.
    Raises DataError for data without photos.
    """
    means, variances = [], []
    for batch in data.batches(BATCH):
        if batch.images is None:
            raise DataError("The prior of SC-GAN is fitted to codes of photos, and this data set holds maps alone.")
        mu, logvar = model.encode(model.fit_image(batch.images) * 2 - 1)
        means.append(mu.double().cpu())
        variances.append(logvar.double().exp().cpu())
    mu, variance = torch.cat(means), torch.cat(variances).mean(0)
    covariance = torch.cov(mu.T, correction=0) + torch.diag(variance + 1e-6)
    factor = torch.linalg.cholesky(covariance)
    return {"mean": mu.mean(0).float(), "factor": factor.float()}
