"""The fitted prior of MaskVAE: where the codes of the training maps lie, and how they move with the classes that a map shows (ours).

The KL term has a small weight, so that codes of real maps are not spread as N(0, I), from which the paper's network would sample. With
the asset, z = mean + (presence - its mean) @ effect + factor @ noise: a linear regression of the codes on presence, and a Gaussian
with the moments of what it leaves, the encoder's own variance included.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.plugin import PairData, RngLike, shape_fault

if TYPE_CHECKING:
    from zoo_plugins.maskgan.vae_model import MaskVAE

BATCH = 16
RIDGE = 1.0
"""As if a map without any effect had been seen so often: classes that hardly vary move no code."""
LEAST_VARIANCE = 1e-6


def prior_fault(model: MaskVAE, tensors: Mapping[str, Tensor]) -> str:
    """What is wrong with an asset that should be one of `fit_prior`, or ""."""
    size, classes = model.config.latent, len(model.channels)
    shapes = {"mean": (size,), "presence": (classes,), "effect": (classes, size), "factor": (size, size)}
    return shape_fault(tensors, shapes)


@torch.no_grad()
def fit_prior(model: MaskVAE, data: PairData, *, mirror: bool) -> dict[str, Tensor]:
    """mean [L], presence [C] (share of maps that show a class), effect [C, L], factor [L, L] lower triangular; float32. Not random.

    mirror: of the maps' mirror images, too.
    """
    codes, variances, shown = [], [], []
    for batch in data.batches(BATCH):
        for maps in (batch.maps, *((batch.maps.mirrored(),) if mirror else ())):
            mu, log_var = model.posterior(maps)
            codes.append(mu.double().cpu())
            variances.append(log_var.double().exp().cpu())
            shown.append(model.shown(maps).double())
    rows, present = torch.cat(codes), torch.cat(shown)
    mean, share = rows.mean(0), present.mean(0)
    x, y = present - share, rows - mean
    effect = torch.linalg.solve(x.T @ x + RIDGE * torch.eye(x.shape[1], dtype=x.dtype), x.T @ y)
    rest = y - x @ effect
    covariance = rest.T @ rest / len(rest) + torch.diag(torch.cat(variances).mean(0) + LEAST_VARIANCE)
    tensors = {"mean": mean, "presence": share, "effect": effect, "factor": torch.linalg.cholesky(covariance)}
    return {name: value.float() for name, value in tensors.items()}


def drawn_codes(prior: Mapping[str, Tensor] | None, present: Tensor, rng: RngLike, size: int) -> Tensor:
    """Codes float32 [B, size] on the CPU for classes present bool [B, C], of the asset, or of N(0, I) (None). Random: `rng.normal("z")`.

    Row by row in float64, so that a sample's code does not depend on its batch.
    """
    noise = rng.normal("z", shape=(size,))
    if prior is None:
        return noise
    mean, share, effect, factor = (prior[n].double().cpu() for n in ("mean", "presence", "effect", "factor"))
    rows = [mean + (p - share) @ effect + factor @ z for p, z in zip(present.double(), noise.double(), strict=True)]
    return torch.stack(rows).float()
