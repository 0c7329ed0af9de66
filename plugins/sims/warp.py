"""The spatial transformer of SIMS: affine maps in pixels about the picture's centre (docs/papers/sims.md, "Transformation network")."""

from __future__ import annotations

import torch
from torch import Tensor


def warp(pictures: Tensor, theta: Tensor) -> Tensor:
    """Pictures [P, C, H, W] sampled at theta [x, y, 1]: [P, C, H, W]; theta: [P, 6], the rows of a 2x3 matrix. Differentiable in both.

    Quirks of the authors' code: the four corners around a place are clamped to the picture after they were found, and weights are taken
    from the clamped ones, so that places outside give 0, and so do the last row and column of an even side under the identity; an odd
    side is shifted by half a step.
    """
    count, channels, height, width = pictures.shape
    x, y = places(theta, height, width)
    left, top = x.detach().floor().long(), y.detach().floor().long()
    columns = [left.clamp(0, width - 1), (left + 1).clamp(0, width - 1)]
    rows = [top.clamp(0, height - 1), (top + 1).clamp(0, height - 1)]
    across, down = [columns[1] - x, x - columns[0]], [rows[1] - y, y - rows[0]]
    flat = pictures.flatten(2)
    total = torch.zeros_like(flat)
    for row, high in zip(rows, down, strict=True):
        for column, wide in zip(columns, across, strict=True):
            index = (row * width + column)[:, None].expand(-1, channels, -1)
            total = total + (high * wide)[:, None].to(flat) * flat.gather(2, index)
    return total.view(count, channels, height, width)


def places(theta: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Where each pixel of a warped picture is taken from, (x, y) in pixels of the source, [P, H * W] each."""
    half_x, half_y = width // 2, height // 2
    # TensorFlow counts from -floor(W / 2) and from -ceil(H / 2): on odd sides the steps are not whole
    xs = torch.linspace(-float(half_x), float(half_x - 1), width, device=theta.device, dtype=theta.dtype)
    ys = torch.linspace(-float(height - half_y), float(half_y - 1), height, device=theta.device, dtype=theta.dtype)
    x, y = xs.repeat(height), ys.repeat_interleave(width)
    # summed in this order: places that lie just on the border fall as they do in TensorFlow's product
    a, b, c, d, e, f = theta[:, :, None].unbind(1)
    return a * x + b * y + c + half_x, d * x + e * y + f + half_y
