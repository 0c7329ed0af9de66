"""Losses of DMIT (docs/papers/dmit.md, "Losses"). All return 0-d float32 tensors, unweighted; scales are summed, not averaged."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.nn.losses import gan_loss
from zoo_plugins.dmit.config import GanMode

Scores = Tensor | Sequence[Tensor]


def _scales(scores: Scores) -> list[Tensor]:
    return [scores] if isinstance(scores, Tensor) else list(scores)


def _towards(scores: Scores, real: bool, mode: GanMode, weight: Tensor | None, *, judge: bool) -> list[Tensor]:
    """The loss of each scale. weight: [B, 1], which scores and labels are multiplied with (official)."""
    terms = []
    for score in _scales(scores):
        if weight is None:
            terms.append(gan_loss(score, real, for_discriminator=judge, mode=mode))
            continue
        factor = weight.view(-1, *[1] * (score.dim() - 1)).to(score)
        weighted, label = score * factor, torch.full_like(score, float(real)) * factor
        if mode == "ls":
            terms.append(F.mse_loss(weighted.float(), label.float()))
        elif mode == "original":
            terms.append(F.binary_cross_entropy_with_logits(weighted.float(), label.float()))
        elif judge:
            terms.append(F.relu(factor - weighted if real else factor + weighted).float().mean())
        else:
            terms.append(-weighted.float().mean())
    return terms


def discriminator_loss(
    real: Scores,
    wrong: Scores | None,
    fake: Scores,
    mode: GanMode,
    *,
    weights: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """What a discriminator learns: the real ones in their own domain are real; the fakes are not, and neither are the real ones in the
    other domain (`wrong`, halves of both; None: fakes alone).

    weights: of the samples, [B, 1], of the real ones and of the fakes.
    """
    of_real, of_fake = weights or (None, None)
    terms = _towards(real, True, mode, of_real, judge=True)
    if wrong is None:
        return torch.stack(terms + _towards(fake, False, mode, of_fake, judge=True)).sum()
    terms += [0.5 * t for t in _towards(wrong, False, mode, of_real, judge=True)]
    terms += [0.5 * t for t in _towards(fake, False, mode, of_fake, judge=True)]
    return torch.stack(terms).sum()


def generator_loss(fake: Scores, mode: GanMode, *, weight: Tensor | None = None) -> Tensor:
    """Fakes towards real; weight: of the samples, [B, 1]."""
    return torch.stack(_towards(fake, True, mode, weight, judge=False)).sum()


def reconstruction(made: Tensor, wanted: Tensor, mode: str) -> Tensor:
    """Mean absolute ("l1") or squared ("mse") difference."""
    return (F.l1_loss if mode == "l1" else F.mse_loss)(made.float(), wanted.float())


def diversity(first: Tensor, second: Tensor, image: Tensor, other: Tensor) -> Tensor:
    """Distance of two drawn styles over the distance of the pictures in them: small where other styles give other pictures."""
    return F.l1_loss(first, second) / (F.l1_loss(image.float(), other.float()) + 1e-5)


def partners(count: int) -> list[int]:
    """Whose domain and style each sample of a batch takes: those half a batch further round (`index_target`), as indices."""
    return [i % count for i in range(math.floor(-count / 2), math.floor(count / 2))]
