"""The parser's loss and the class weights of our own training."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.nn.losses import pixel_weights
from zoo.nn.one_batch import batch_mean

OFFICIAL_IGNORE = 250
"""The value that the official loss leaves out; it never occurs in CelebAMask-HQ (docs/papers/face_parser.md, "Losses")."""


def cross_entropy(
    logits: Tensor, labels: Tensor, *, weights: Tensor | None = None, ignore: int = OFFICIAL_IGNORE
) -> Tensor:
    """Mean over all pixels of the batch of the cross entropy, a scalar.

    logits: float [B, C, h, w]; if the size differs from the labels' they are resized (bilinear, corners aligned, as officially).
    labels: int64 [B, H, W], class per pixel or `ignore` (the official 250; -100 is left out too).
    weights: float [C] or None (official: none); with weights the mean is the weighted one.
    Quirk kept: if every pixel is ignored the mean is over nothing and the result is NaN.
    """
    if logits.shape[-2:] != labels.shape[-2:]:
        logits = torch.nn.functional.interpolate(logits, size=labels.shape[-2:], mode="bilinear", align_corners=True)
    labels = labels.masked_fill(labels == ignore, -100)
    loss = torch.nn.functional.cross_entropy(logits.float(), labels, weight=weights)
    return batch_mean(loss, lambda: pixel_weights(labels, weights).sum())


def inverse_frequency_weights(counts: Tensor, power: float) -> Tensor:
    """Class weights frequency ** -power, scaled so that the mean weight of a pixel is 1; float32 [C].

    counts: pixels per class, [C]. power 0 gives the official equal weights, 0.5 was measured best here (docs/papers/face_parser.md, "Our own training"):
    with 0 small classes (eyes) never appear. A class that never occurs takes the largest weight of the others.
    """
    counts = counts.double()
    share = counts / counts.sum().clamp(min=1)
    seen = counts > 0
    weights = torch.where(seen, share.clamp(min=1e-12) ** -power, torch.zeros_like(share))
    weights = torch.where(seen, weights, weights.max())
    return (weights / (weights * share).sum().clamp(min=1e-12)).float()
