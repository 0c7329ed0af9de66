"""The ordering network: which of two segments lies in front (docs/papers/sims.md, "Ordering network"). Names are the authors'."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.crn.generator import RefineConv
from zoo_plugins.sims.blocks import Trunk


class OrderNetwork(Trunk):
    """Scores of the class in front: output 0 is that of an empty place in a batch, output c that of class c - 1.

    widths: channels of the stages (four) and before the scores. columns: the share of the last features' columns that is looked at, from
    the left (quirk: officially three quarters). State-dict keys are the authors' variables.
    """

    def __init__(self, classes: int, widths: Sequence[int], columns: float = 0.75) -> None:
        super().__init__(lambda n: f"g_selection_conv{n}", 6, widths)
        self.columns = columns
        self.g_selection_conv6 = RefineConv(widths[3], widths[4], 1)
        self.g_selection_classify = nn.Conv2d(widths[4], classes + 1, 1)
        nn.init.xavier_uniform_(self.g_selection_classify.weight)
        nn.init.zeros_(self.g_selection_classify.bias)  # pyright: ignore[reportArgumentType]

    def pooled(self, features: Tensor) -> Tensor:
        """The mean over all rows and the first columns: [B, C, h, w] -> [B, C, 1, 1]."""
        shown = max(1, int(features.shape[3] * self.columns + 1e-6))
        return features[..., :shown].mean((2, 3), keepdim=True)

    def looked(self, pictures: Tensor) -> Tensor:
        """The features before the scores [B, widths[4], 1, 1]; pictures as in `forward`."""
        return self.g_selection_conv6(self.pooled(self.features(pictures)))

    def scores(self, looked: Tensor, dropped: Tensor | None = None) -> Tensor:
        """Scores [B, classes + 1]. dropped: factors of the features [B, widths[4]] (in training 0 or 2 each, a dropout of one half)."""
        if dropped is not None:
            looked = looked * dropped.to(looked)[:, :, None, None]
        return self.g_selection_classify(looked)[:, :, 0, 0].float()

    def empty(self, size: tuple[int, int]) -> Tensor:
        """`looked` of an empty place, a black picture of (height, width) = size. Without gradient: in a fresh network all that it becomes
        is zero, and norms with an eps of 1e-12 would make the gradient overflow."""
        weight = self.g_selection_classify.weight
        with torch.no_grad():
            return self.looked(torch.zeros(1, 6, *size, device=weight.device))

    def forward(self, pictures: Tensor) -> Tensor:
        """Scores [B, classes + 1] of pictures [B, 6, H, W] in [0, 1]: the two segments in their colours, then the whole map in its."""
        return self.scores(self.looked(pictures))


def order_loss(scores: Tensor, front: Tensor, places: int) -> Tensor:
    """Cross-entropy averaged over so many places of a batch. The last row of `scores` is that of an empty place, for all that are empty.

    scores: [P + 1, outputs]; front: outputs that are right, int64 [P].
    """
    terms = F.cross_entropy(scores[:-1], front, reduction="sum") if len(front) else scores.new_zeros(())
    empty = F.cross_entropy(scores[-1:], front.new_zeros(1))
    return (terms + max(places - len(front), 0) * empty) / max(places, len(front))
