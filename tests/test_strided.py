"""Strided and transposed convolutions as matrix products equal torch's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from zoo.inference.strided import DoublingProducts, StridedProducts, padded

SIZES = [(4, 4), (5, 3), (1, 1), (2, 7)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("batch", [1, 3])
@torch.no_grad()
def test_a_strided_convolution(size: tuple[int, int], batch: int) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 5, 3, 2, 1, bias=False).double()
    x = torch.randn(batch, 6, 2 * size[0], 2 * size[1], dtype=torch.float64)
    layer, expected = StridedProducts(conv), conv(x)
    assert torch.equal(layer.kernel, conv.weight)
    torch.testing.assert_close(layer.plain(x), expected, rtol=0, atol=1e-12)
    room, inside = padded((batch, x.shape[2], x.shape[3], 6), x, low=True)
    inside.copy_(x.permute(0, 2, 3, 1))
    torch.testing.assert_close(layer(room).permute(0, 3, 1, 2), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("batch", [1, 3])
@torch.no_grad()
def test_a_transposed_convolution(size: tuple[int, int], batch: int) -> None:
    torch.manual_seed(0)
    conv = nn.ConvTranspose2d(6, 5, 3, 2, 1, 1, bias=False).double()
    x = torch.randn(batch, 6, *size, dtype=torch.float64)
    layer, expected = DoublingProducts(conv), conv(x)
    assert torch.equal(layer.kernel, conv.weight)
    torch.testing.assert_close(layer.plain(x), expected, rtol=0, atol=1e-12)
    room, inside = padded((batch, *size, 6), x, low=False)
    inside.copy_(x.permute(0, 2, 3, 1))
    y = layer(room).unflatten(1, (2, 2)).permute(0, 5, 3, 1, 4, 2).flatten(4, 5).flatten(2, 3)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
