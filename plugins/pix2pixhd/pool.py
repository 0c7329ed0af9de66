"""The pool of earlier fakes (Shrivastava et al., CVPR 2017), from which the discriminator sees some again."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ImagePool(nn.Module):
    """Up to `size` earlier inputs of the discriminator. Its tensors are buffers, so that a resumed run goes on with the same pool."""

    images: Tensor
    stored: Tensor

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("stored", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def query(self, images: Tensor, draws: Tensor) -> Tensor:
        """[B, ...] -> as many: until the pool is full, what comes in is kept and given back; then half of the time a kept one is given
        back, and what came in takes its place.

        draws: uniform numbers in (0, 1), [B, 2]: whether (above 1/2), and which.
        """
        given = []
        for image, (coin, place) in zip(images.detach(), draws.tolist(), strict=True):
            if (count := int(self.stored)) < len(self.images):
                self.images[count] = image
                self.stored += 1
            elif coin > 0.5:
                index = min(int(place * count), count - 1)
                image, self.images[index] = self.images[index].to(image, copy=True), image
            given.append(image)
        return torch.stack(given)
