"""The fitted joint prior of the part codes (ours): which codes go together in the faces of the training data.

Samples from N(0, I) look like faces but nearly all the same, because most latents are unused and parts are drawn apart.
Here each part has a mean and a few principal components, taken from the faces that show it, so a part that one face in
sixteen has (glasses) keeps its own moments; between parts the component scores have correlations taken from the faces
that show both, shrunk towards 0 by how few those are (Schäfer & Strimmer 2005), made positive definite.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.plugin import DataError, WeightsError, shape_fault

if TYPE_CHECKING:
    from zoo_plugins.mask_vae.model import SemanticVAE

VARIANCE_KEPT = 0.99
MIN_EIGENVALUE = 1e-3


@dataclass(frozen=True, eq=False)
class LatentPrior:
    """A joint Gaussian over part codes: code = mean + sum_k score_k * std_k * basis_k + residual * noise.

    mean [P, E]; basis [P, K, E] with orthonormal rows; std [P, K] of the components, 0 where unused; residual [P, E], the
    std left in each dimension; correlation [P*K, P*K] of the standard normal scores; counts [P], faces that show the part.
    """

    mean: Tensor
    basis: Tensor
    std: Tensor
    residual: Tensor
    correlation: Tensor
    counts: Tensor

    def __post_init__(self) -> None:
        object.__setattr__(self, "_cache", {})

    @classmethod
    def fit(cls, codes: Tensor, present: Tensor, components: int = 16) -> LatentPrior:
        """Fit to encoder means codes [N, P, E] of faces whose parts are present [N, P] (bool). Not random.

        Raises DataError for fewer than two faces.
        """
        if len(codes) < 2:
            raise DataError(f"A prior needs codes of at least 2 maps, got {len(codes)}.")
        codes, (_, parts, size) = codes.double().cpu(), codes.shape
        present = present.cpu()
        k = min(components, size)
        mean, residual = torch.zeros(parts, size, dtype=torch.float64), torch.ones(parts, size, dtype=torch.float64)
        basis, std = torch.zeros(parts, k, size, dtype=torch.float64), torch.zeros(parts, k, dtype=torch.float64)
        scores = torch.zeros(len(codes), parts, k, dtype=torch.float64)
        for p in range(parts):
            shown = codes[present[:, p], p]
            if len(shown) < 2:  # nothing to fit: N(0, I), or N(its only code, I)
                mean[p] = shown.sum(0)
                continue
            mean[p] = shown.mean(0)
            basis[p], std[p], residual[p] = _components(shown - mean[p], k)
            scores[:, p] = (codes[:, p] - mean[p]) @ basis[p].T / std[p].clamp(min=1e-12)
        used = present[:, :, None] & (std > 0)
        correlation = _correlation(scores.flatten(1), used.flatten(1), k)
        return cls(mean.float(), basis.float(), std.float(), residual.float(), correlation.float(), present.sum(0))

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], parts: int, latent: int) -> LatentPrior:
        """The prior of an asset. Raises WeightsError if it does not fit `parts` codes of `latent` numbers."""
        names = [f.name for f in fields(cls)]
        if sorted(tensors) != sorted(names) or tuple(tensors["mean"].shape) != (parts, latent):
            shapes = {k: tuple(v.shape) for k, v in tensors.items()}
            raise WeightsError(
                f"The prior does not fit this model ({parts} parts of {latent}): expected {names}, got {shapes}. Fit it again."
            )
        return cls(*(tensors[n].cpu().float() if tensors[n].is_floating_point() else tensors[n].cpu() for n in names))

    def tensors(self) -> dict[str, Tensor]:
        """What the asset stores."""
        return {f.name: getattr(self, f.name).contiguous() for f in fields(self)}

    @property
    def components(self) -> int:
        """Scores per part."""
        return self.std.shape[1]

    def draw(self, scores: Tensor, residual: Tensor, wanted: Tensor, kept: Tensor, codes: Tensor) -> Tensor:
        """Replace the wanted parts' codes by draws given the kept parts' codes; all others stay as they are.

        scores: standard normals [B, P, K]; residual: standard normals [B, P, E]; wanted, kept: bool [B, P]; codes [B, P, E].
        Returns float32 [B, P, E] on the CPU. Row by row in float64, so that a sample's numbers do not depend on its batch.
        """
        rows = []
        for row in range(len(scores)):
            s = self._scores(scores[row].double(), wanted[row], kept[row], codes[row].double())
            new = (
                self.mean
                + torch.einsum("pk,pk,pke->pe", s, self.std.double(), self.basis.double())
                + self.residual * residual[row].double()
            )
            rows.append(torch.where(wanted[row][:, None], new, codes[row].double()).float())
        return torch.stack(rows)

    def _scores(self, noise: Tensor, wanted: Tensor, kept: Tensor, codes: Tensor) -> Tensor:
        """Correlated scores [P, K] of the wanted parts, given the scores of the kept ones."""
        if not bool(kept.any()):
            # A subset of a joint Gaussian is drawn by drawing all: so a part's score does not depend on which parts are wanted.
            return (self._factor(None)[0] @ noise.flatten()).view_as(noise)
        a, b = (m[:, None].expand(-1, self.components).flatten() for m in (kept, wanted))
        cholesky, weights = self._factor((tuple(wanted.tolist()), tuple(kept.tolist())))
        given = torch.einsum("pe,pke->pk", codes - self.mean, self.basis.double()) / self.std.double().clamp(min=1e-6)
        given = (
            torch.where(self.std > 0, given, 0.0).clamp(-4, 4).flatten()[a]
        )  # a map may lie far off the training data
        scores = torch.zeros_like(noise).flatten()
        scores[b] = weights @ given + cholesky @ noise.flatten()[b]
        return scores.view_as(noise)

    def _factor(self, pattern: tuple[tuple[bool, ...], tuple[bool, ...]] | None) -> tuple[Tensor, Tensor]:
        """Cholesky factor and regression weights for a (wanted, kept) pattern; None is the unconditional joint."""
        cache: dict[object, tuple[Tensor, Tensor]] = getattr(self, "_cache")  # noqa: B009 - set behind the frozen dataclass
        if pattern not in cache:
            if len(cache) >= 32:  # a stream of edited maps meets many patterns
                cache.clear()
            r = self.correlation.double()
            if pattern is None:
                cache[pattern] = torch.linalg.cholesky(r), r.new_zeros(0, 0)
            else:
                b, a = (torch.tensor(m).repeat_interleave(self.components) for m in pattern)
                weights = torch.linalg.solve(r[a][:, a], r[a][:, b]).T
                rest = r[b][:, b] - weights @ r[a][:, b]
                rest = (rest + rest.T) / 2 + 1e-6 * torch.eye(len(rest), dtype=torch.float64)
                cache[pattern] = torch.linalg.cholesky(rest), weights
        return cache[pattern]


def prior_fault(model: SemanticVAE, tensors: Mapping[str, Tensor]) -> str:
    """What is wrong with an asset that should be the tensors of a `LatentPrior` for this model, or ""."""
    parts, size = len(model.channels), model.config.latent
    std = tensors.get("std")
    k = std.shape[1] if std is not None and std.dim() == 2 else 1
    shapes = {
        "mean": (parts, size), "basis": (parts, k, size), "std": (parts, k), "residual": (parts, size),
        "correlation": (parts * k, parts * k), "counts": (parts,),
    }  # fmt: skip
    fault = shape_fault(tensors, shapes, counts=("counts",))
    if not fault and int(torch.linalg.cholesky_ex(tensors["correlation"].double()).info):
        return "correlation is not positive definite"
    return fault


def _components(centred: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Principal components of [N, E]: orthonormal rows [k, E], their std [k] (0: unused), std of the rest [E]."""
    _, singular, rows = torch.linalg.svd(centred, full_matrices=False)
    std = singular / (len(centred) - 1) ** 0.5
    share = std.square().cumsum(0) / std.square().sum().clamp(min=1e-12)
    most = min(k, max(1, len(centred) // 3), int((share < VARIANCE_KEPT).sum()) + 1, len(std))
    basis, kept = centred.new_zeros(k, centred.shape[1]), centred.new_zeros(k)
    basis[:most], kept[:most] = rows[:most], std[:most]
    rest = centred - centred @ basis.T @ basis
    return basis, kept, rest.square().mean(0).sqrt()


def _correlation(scores: Tensor, used: Tensor, k: int) -> Tensor:
    """Correlations [D, D] of scores [N, D] over rows where both are used, shrunk per pair of parts (blocks of k), positive definite."""
    m = used.double()
    z = scores * m
    n = (m.T @ m).clamp(min=1)
    sums, squares = z.T @ m, z.square().T @ m  # of column i over the rows where j is used too
    covariance = z.T @ z / n - (sums / n) * (sums / n).T
    variance = (squares / n - (sums / n).square()).clamp(min=0)
    r = (covariance / (variance * variance.T).sqrt().clamp(min=1e-9)).clamp(-1, 1)
    r = torch.where(n > 3, r, 0.0)
    r = _shrink(r, n, k)
    values, vectors = torch.linalg.eigh((r + r.T) / 2)
    r = (vectors * values.clamp(min=MIN_EIGENVALUE)) @ vectors.T
    scale = r.diagonal().rsqrt()
    return r * scale[:, None] * scale[None]


def _shrink(r: Tensor, n: Tensor, k: int) -> Tensor:
    """Each block of r times 1 - (expected noise of its entries / their squares); components of one part are uncorrelated."""
    blocks = len(r) // k
    noise = ((1 - r.square()).square() / (n - 1).clamp(min=1)).view(blocks, k, blocks, k)
    real = r.square().view(blocks, k, blocks, k)
    live = (r != 0).view(blocks, k, blocks, k)
    intensity = (noise * live).sum((1, 3)) / real.sum((1, 3)).clamp(min=1e-12)
    r = r * (1 - intensity.clamp(0, 1)).repeat_interleave(k, 0).repeat_interleave(k, 1)
    own = torch.eye(blocks, dtype=torch.bool).repeat_interleave(k, 0).repeat_interleave(k, 1)
    return torch.where(own, torch.eye(len(r), dtype=r.dtype), r)
