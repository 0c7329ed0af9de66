"""Parts of the inference forms: large memory, memory used again, the layer to the colours."""

from __future__ import annotations

import copy
import mmap

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from zoo.inference import memory, pictures
from zoo.inference.memory import Scratch, bordered, uninitialised
from zoo.inference.pictures import PictureConv


@pytest.mark.parametrize("least", [1, 1 << 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64])
def test_memory_has_the_shape_and_type_asked_for(
    least: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "LEAST", least)
    x = uninitialised(torch.zeros(1, dtype=dtype), (3, 5, 7))
    assert x.shape == (3, 5, 7) and x.dtype == dtype and x.is_contiguous()
    x.copy_(torch.arange(105).view(3, 5, 7))
    assert torch.equal(copy.deepcopy(x), x) and x.sum() == torch.arange(105).to(dtype).sum()


def test_memory_without_large_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LEAST", 1)

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no memory of this kind")

    monkeypatch.setattr(mmap, "mmap", refuse)
    assert uninitialised(torch.zeros(1), (4, 2)).shape == (4, 2)


@pytest.mark.parametrize("least", [1, 1 << 40])
def test_a_border_of_zeros(least: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LEAST", least)
    padded = bordered(torch.zeros(1), (2, 3, 4, 5))
    padded[:, 1:-1, 1:-1] = 1
    assert padded.shape == (2, 5, 6, 5) and padded.sum() == 2 * 3 * 4 * 5


def test_scratch_memory_grows_and_is_used_again() -> None:
    scratch, like = Scratch(), torch.zeros(1)
    first = scratch.take("a", like, (4, 5))
    assert scratch.take("a", like, (3,)).data_ptr() == first.data_ptr() != scratch.take("b", like, (3,)).data_ptr()
    assert scratch.take("a", like, (100, 2)).shape == (100, 2)
    assert scratch.take("a", like.double(), (2,)).dtype == torch.float64


@pytest.mark.parametrize("size", [(1, 1), (3, 8), (9, 5)])
@pytest.mark.parametrize("piece", [1, 100, 1 << 16])
@pytest.mark.parametrize("bias", [True, False])
@torch.no_grad()
def test_colours_are_those_of_the_convolution(
    size: tuple[int, int], piece: int, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "PIECE", piece)
    torch.manual_seed(0)
    conv, x = nn.Conv2d(6, 3, 3, padding=1, bias=bias), torch.randn(2, 6, *size)
    expected, layer = conv(F.leaky_relu(x, 0.2)), PictureConv(conv)
    for seen in (x, x.contiguous(memory_format=torch.channels_last)):
        before = seen.clone()
        torch.testing.assert_close(layer(seen), expected, rtol=0, atol=1e-6)
        assert torch.equal(seen, before)
    double = PictureConv(conv.double())
    assert double(x.double()).dtype == torch.float64  # the plain convolution
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(PictureConv(conv.float())(x).float(), expected, rtol=0, atol=0.05)
