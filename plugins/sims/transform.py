"""The transformation network: where a retrieved segment is put (docs/papers/sims.md, "Transformation network"). Names are the authors'."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo_plugins.sims.blocks import Trunk, linear_start, resized
from zoo_plugins.sims.warp import warp

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


class TransformNetwork(Trunk):
    """An affine map of each proposal from (the proposal's picture, the mask that it should fill, the whole map). Not random.

    planes: of the map. size: (height, width) at which it looks. State-dict keys are the authors' variables, one of them misspelt.
    """

    def __init__(self, planes: int, widths: Sequence[int], size: tuple[int, int]) -> None:
        super().__init__(lambda n: "g_transfrom_conv2" if n == 2 else f"g_transform_conv{n}", 4 + planes, widths)
        self.size = size
        self.g_transform_param = linear_start(6, widths[3])
        self.g_b_fc1 = nn.Parameter(torch.tensor(IDENTITY))

    def forward(self, proposals: Tensor, masks: Tensor, planes: Tensor) -> Tensor:
        """theta [P, 6], rows of a 2x3 matrix in pixels of the proposals.

        proposals: RGB in [0, 1] on black [P, 3, H, W]; masks: [P, 1, H, W]; planes: of the map, [1 or P, planes, H, W].
        """
        shown = torch.cat([proposals, masks.to(proposals), planes.to(proposals).expand(len(proposals), -1, -1, -1)], 1)
        pooled = self.features(resized(shown, self.size)).mean((2, 3))
        # no matrix product: autocast would round it to eight bits, and these are pixels
        return (pooled.float()[:, None] * self.g_transform_param.float()).sum(2) + self.g_b_fc1.float()


def composite(warped: Tensor, masks: Tensor) -> Tensor:
    """The sum of proposals [P, 3, H, W], each where its mask [P, 1, H, W] is: [3, H, W]."""
    return (warped * masks.to(warped)).sum(0)


def transform_loss(made: Tensor, real: Tensor, masks: Tensor) -> Tensor:
    """The mean difference of colours in 0..255 over the pixels of all masks (one more than there are).

    made: `composite`, real: the photo, both RGB [3, H, W] in [0, 1]. masks: [P, 1, H, W].
    """
    held = masks.sum((0, 1)).to(made)
    difference = 255 * (real - made).abs().mean(0)
    return (difference * held).sum() / (held.sum() + 1)


def placed(proposals: Tensor, theta: Tensor) -> Tensor:
    """Proposals moved as in the authors' tests: all of theta is rounded, so that pixels are moved and not blurred."""
    return warp(proposals, theta.round())
