"""What CLVAE computes from a data set with finished weights: Gaussians over the codes of its photos and their classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.plugin import DataError, PairData, shape_fault

if TYPE_CHECKING:
    from zoo_plugins.clvae.model import CLVAE

BATCH = 8
JOINT = 128
"""Numbers per class up to which a class's covariance over all its layers is kept; above, its standard deviations alone."""


class Moments:
    """Sums over posteriors of which only some entries are seen: [G, D] per group, [G, D, D] where `joint`."""

    def __init__(self, groups: int, width: int, joint: bool) -> None:
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(*shape, dtype=torch.float64)

        self.joint = joint
        square = (groups, width, width) if joint else (groups, width)
        self.seen, self.first, self.spread = zeros(groups, width), zeros(groups, width), zeros(groups, width)
        self.both, self.mixed, self.second = zeros(*square), zeros(*square), zeros(*square)

    def add(self, mu: Tensor, logvar: Tensor, seen: Tensor, groups: Tensor) -> None:
        """mu, logvar, seen: [B, K, D]; groups: int64 [K], where each belongs."""
        seen = seen.double().cpu()
        mu, variance, groups = mu.double().cpu() * seen, logvar.double().cpu().exp() * seen, groups.cpu()
        self.seen.index_add_(0, groups, seen.sum(0))
        self.first.index_add_(0, groups, mu.sum(0))
        self.spread.index_add_(0, groups, variance.sum(0))
        pairs = "bki,bkj->kij" if self.joint else "bki,bki->ki"
        for total, a, b in ((self.both, seen, seen), (self.mixed, mu, seen), (self.second, mu, mu)):
            total.index_add_(0, groups, torch.einsum(pairs, a, b))

    def gaussians(self) -> tuple[Tensor, Tensor]:
        """(mean [G, D], factor [G, D, D] lower triangular, or [G, D]), float32; N(0, 1) for entries seen less than twice.

        A pair of entries counts where both are seen; correlations shrink where rows are few.
        """
        rare = self.seen < 2
        mean = torch.where(rare, 0.0, self.first / self.seen.clamp_min(1))
        if not self.joint:
            variance = (self.second + self.spread) / self.seen.clamp_min(1) - mean.square()
            return mean.float(), torch.where(rare, 1.0, variance.clamp_min(1e-6)).sqrt().float()
        a, b = mean[:, :, None], mean[:, None, :]
        covariance = (self.second - self.mixed * b - self.mixed.mT * a + a * b * self.both) / self.both.clamp_min(1)
        trust = self.seen / (self.seen + mean.shape[1])
        own = covariance.diagonal(dim1=1, dim2=2).clamp_min(0) * (1 - trust) + self.spread / self.seen.clamp_min(1)
        covariance = covariance * (trust[:, :, None] * trust[:, None, :]).sqrt() + torch.diag_embed(own)
        covariance = torch.where(rare[:, :, None] | rare[:, None, :], 0.0, covariance)
        covariance += torch.diag_embed(torch.where(rare, 1.0, 1e-6))
        return mean.float(), _factor(covariance).float()


def _factor(covariance: Tensor) -> Tensor:
    """Lower triangular factors [G, D, D]; what pairwise estimates leave of negative eigenvalues is raised to almost 0."""
    values, vectors = torch.linalg.eigh(covariance)
    values = values.clamp_min(1e-6 * float(values.max()))
    return torch.linalg.cholesky(vectors @ torch.diag_embed(values) @ vectors.mT)


def code_prior_fault(model: CLVAE, tensors: Mapping[str, Tensor]) -> str:
    """What is wrong with an asset that should be one of `fit_code_prior`, or ""."""
    z, width = model.config.z_dim, len(model.config.layer_names) * model.n_local
    classes = len(model.channels) if model.config.classwise else 1
    spread = (classes, width, width) if width <= JOINT else (classes, width)
    shapes = {"mean": (z,), "factor": (z, z), "class_mean": (classes, width), "class_factor": spread}
    return shape_fault(tensors, shapes)


@torch.no_grad()
def fit_code_prior(model: CLVAE, data: PairData) -> dict[str, Tensor]:
    """Gaussians with the moments of the encoder's posteriors over the photos. Not random. Ours, not the paper's.

    mean [z_dim], factor [z_dim, z_dim] (lower triangular): the picture's code. class_mean [C, L * N], and class_factor
    [C, L * N, L * N] where L * N <= 128, else [C, L * N]: over the photos that show the class at that layer. Raises DataError
    for data without photos.
    """
    layers, size = len(model.config.layer_names), model.n_local
    whole = Moments(1, model.config.z_dim, joint=True)
    classes = Moments(len(model.channels) if model.config.classwise else 1, layers * size, layers * size <= JOINT)
    for batch in data.batches(BATCH):
        if batch.images is None:
            raise DataError("The prior of CLVAE is fitted to codes of photos, and this data set holds maps alone.")
        posterior = model.encoder(model.fit_image(batch.images) * 2 - 1, model.channel_map(batch.maps))
        whole.add(
            posterior.mu[:, None],
            posterior.logvar[:, None],
            torch.ones_like(posterior.mu)[:, None],
            torch.zeros(1).long(),
        )
        seen = posterior.visible[..., None].expand_as(posterior.class_mu)
        classes.add(
            posterior.class_mu.flatten(2), posterior.class_logvar.flatten(2), seen.flatten(2), posterior.classes
        )
    (mean,), (factor,) = whole.gaussians()
    class_mean, class_factor = classes.gaussians()
    return {"mean": mean, "factor": factor, "class_mean": class_mean, "class_factor": class_factor}
