"""What keeps commands quick changes no number: what is imported, forms made in place, pages kept, planes resized by steps."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch.nn import functional as F

import zoo
from zoo.environment import keep_pages, uncollected
from zoo.families.spade.blocks import resize_planes
from zoo.families.spade.window_blocks import WindowBlock
from zoo.inference.optimize import _leave_uncompiled
from zoo.labels import LabelSpace
from zoo.maps import SemanticMap
from zoo_plugins.scgan.tiled import TiledBlock
from zoo_plugins.scgan.tiled_svg import TiledSVG

LOADING = """
import sys, zoo
zoo.compose("mask-vae+scgan")
needless = {"torch._dynamo", "torch._inductor", "sympy", "rich", "torchvision", "tensorboard"} & sys.modules.keys()
assert not needless, needless
"""


def test_loading_a_pair_imports_no_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", LOADING], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_form_made_in_place_gives_the_same_bits() -> None:
    plain: Any = zoo.load("scgan-celeba")
    copied: Any = zoo.optimize(plain)
    alone: Any = zoo.load("scgan-celeba")
    placed: Any = zoo.optimize(alone, in_place=True)
    assert placed is alone and copied is not plain
    assert (
        type(plain.generator.svg) is not TiledSVG
        and type(copied.generator.svg) is type(placed.generator.svg) is TiledSVG
    )
    maps = stripes(plain.label_space, plain.resolution)
    with torch.inference_mode():
        assert torch.equal(copied.synthesize(maps, rng=0), placed.synthesize(maps, rng=0))
        assert float((plain.synthesize(maps, rng=0) - placed.synthesize(maps, rng=0)).abs().max()) < 1e-5


def stripes(space: LabelSpace, size: tuple[int, int]) -> SemanticMap:
    rows = torch.arange(size[0])[:, None] // 9 + torch.arange(size[1])[None] // 21
    return SemanticMap((rows % len(space))[None], space)


@pytest.mark.parametrize("kind", [WindowBlock, TiledBlock])
def test_blocks_of_pieces_are_not_compiled(kind: type[torch.nn.Module]) -> None:
    class Block(kind):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)

        def forward(self, x: torch.Tensor) -> bool:
            return torch.compiler.is_compiling()

    model = torch.nn.Sequential(Block(), torch.nn.Identity())
    _leave_uncompiled(model)
    model[0].compile(backend="eager")
    assert model[0](torch.ones(1)) is False
    assert "forward" not in vars(model[1])


@pytest.mark.parametrize("size", [(8, 8), (4, 16), (16, 16), (6, 5), (1, 1)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_planes_by_steps_are_the_nearest_ones(size: tuple[int, int], layout: torch.memory_format) -> None:
    planes = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)).contiguous(memory_format=layout)
    resized, expected = resize_planes(planes, size), F.interpolate(planes, size=size, mode="nearest")
    assert torch.equal(resized, expected)
    assert resized.is_contiguous(memory_format=layout)


def test_garbage_is_looked_for_again_after_loading() -> None:
    with pytest.raises(ZeroDivisionError), uncollected():
        assert not gc.isenabled()
        raise ZeroDivisionError
    assert gc.isenabled()


def test_pages_are_kept_where_the_system_can(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_pages()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "ctypes", None)
    keep_pages()  # nothing is imported there
