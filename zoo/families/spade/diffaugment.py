"""DiffAugment (Zhao et al. 2020): colour, shift and cutout on what the discriminator sees; differentiable, explicit draws."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.rng import RngLike

DRAWS = 7
SHIFT = 1 / 8
CUTOUT = 1 / 2


def draw(rng: RngLike, *key: str | int) -> Tensor:
    """Uniform numbers [B, 7] that decide one augmentation per sample."""
    return rng.uniform(*key, shape=(DRAWS,)).float()


def augment(planes: Tensor, images: Tensor, draws: Tensor, *, cutout: bool = True) -> Tensor:
    """cat(planes, images) as the discriminator sees it, changed sample by sample.

    planes [B, C, H, W] and images [B, 3, H, W] in [-1, 1] move and are cut out together, so that the pair stays a pair;
    brightness, saturation and contrast change in the images alone. draws: [B, 7] uniform numbers; the same draws change fakes
    and reals alike, which keeps feature matching meaningful. Shifts by up to 1/8 of the side, zeros beyond; the hole has half
    the side and may reach out of the picture; `cutout` False: no hole.
    """
    d = draws.to(images.device, images.dtype).view(len(draws), DRAWS, 1, 1, 1)
    images = images + (d[:, 0] - 0.5)
    grey = images.mean(1, keepdim=True)
    images = (images - grey) * (2 * d[:, 1]) + grey
    mean = images.mean((1, 2, 3), keepdim=True)
    images = (images - mean) * (d[:, 2] + 0.5) + mean
    return _move_and_cut(torch.cat([planes.to(images.dtype), images], 1), draws, cutout)


def _move_and_cut(x: Tensor, draws: Tensor, cutout: bool) -> Tensor:
    height, width = x.shape[-2:]
    hole_h, hole_w = int(height * CUTOUT + 0.5), int(width * CUTOUT + 0.5)
    keep = torch.ones(len(x), 1, height, width, device=x.device, dtype=x.dtype)
    moved = []
    for i, (sample, row) in enumerate(zip(x.unbind(0), draws.tolist(), strict=True)):
        down, across, top, left = row[3:]
        dy, dx = round((2 * down - 1) * SHIFT * height), round((2 * across - 1) * SHIFT * width)
        part = sample[:, max(-dy, 0) : height - max(dy, 0), max(-dx, 0) : width - max(dx, 0)]
        moved.append(F.pad(part, (max(dx, 0), max(-dx, 0), max(dy, 0), max(-dy, 0))))
        if not cutout:
            continue
        y, x0 = int(top * height) - hole_h // 2, int(left * width) - hole_w // 2
        keep[i, :, max(y, 0) : max(y + hole_h, 0), max(x0, 0) : max(x0 + hole_w, 0)] = 0
    out = torch.stack(moved) * keep
    return (
        out.contiguous(memory_format=torch.channels_last) if x.is_contiguous(memory_format=torch.channels_last) else out
    )


def augmented(planes: Tensor, images: Tensor, draws: Tensor | None, cutout: bool) -> tuple[Tensor, Tensor]:
    """Planes and images as `diffaugment` shows them to a discriminator; as they are without draws."""
    if draws is None:
        return planes, images
    both = augment(planes, images, draws, cutout=cutout)
    return both[:, :-3], both[:, -3:]
