"""Parts of the inference forms: large memory, memory used again, the layer to the colours."""

from __future__ import annotations

import copy
import mmap
from concurrent.futures import ThreadPoolExecutor

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


def test_memory_that_no_tensor_uses_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        pytest.skip("no memory of its own on this system")
    monkeypatch.setattr(memory, "LEAST", 1)
    monkeypatch.setattr(memory, "_unused", [])
    like = torch.zeros(1)
    first = uninitialised(like, (100,)).fill_(3)
    part, place = first[10:20], first.data_ptr()
    del first
    assert not memory._unused and (part == 3).all()  # a part of it is still in use
    other = uninitialised(like, (100,))
    assert other.data_ptr() != place
    del part
    assert uninitialised(like, (20,)).data_ptr() != place  # it would hold five times as much
    assert len(memory._unused) == 2
    again = uninitialised(like, (90,))
    assert again.data_ptr() == place and again.shape == (90,) and len(memory._unused) == 1
    del again, other
    assert len(memory._unused) == 3


def test_unused_memory_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LEAST", 1)
    monkeypatch.setattr(memory, "_unused", [])
    monkeypatch.setattr(memory, "KEPT", 1000)
    for size in (100, 150, 200, 500):
        uninitialised(torch.zeros(1), (size,))
    assert sum(map(len, memory._unused)) <= 1000


def test_threads_share_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LEAST", 1)
    monkeypatch.setattr(memory, "_unused", [])

    def write(number: int) -> bool:
        right = True
        for _ in range(50):
            x = uninitialised(torch.zeros(1), (64,)).fill_(number)
            y = uninitialised(torch.zeros(1), (64,)).fill_(-number)
            right &= bool((x == number).all() and (y == -number).all())
        return right

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(write, range(1, 33)))
