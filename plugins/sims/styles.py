"""Styles of SIMS: which candidate each class takes, which classes are left to the network, which pixels become white."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.plugin import RngLike, Style, UsageError
from zoo_plugins.sims.config import SIMSConfig

DITHER = ((0.125, 0.625), (0.875, 0.375))
"""In place of random numbers in the mean style: of any share of them the pixels lie evenly."""


def style_of(rank: Tensor, left: Tensor, noise: Tensor, classes: Sequence[str]) -> Style:
    """A Style from rank, left [samples, classes] and noise [samples, H, W]."""
    axes = {"rank": ("sample", "class"), "left": ("sample", "class"), "noise": ("sample", "height", "width")}
    return Style({"rank": rank, "left": left, "noise": noise}, axes, tuple(classes))


def drawn_style(config: SIMSConfig, classes: Sequence[str], rng: RngLike) -> Style:
    """All candidates of a class are equally likely; a class is left to the network with the probability `drop`.

    Random: `rng.uniform("rank", class)`, `rng.uniform("left", class)`, by the class's name, `rng.uniform("noise")`.
    """
    rank = torch.cat([rng.uniform("rank", name, shape=(1,)) for name in classes], 1)
    left = torch.cat([rng.uniform("left", name, shape=(1,)) for name in classes], 1) < config.drop
    return style_of(rank.float(), left.float(), rng.uniform("noise", shape=config.size).float(), classes)


def mean_style(config: SIMSConfig, classes: Sequence[str], count: int) -> Style:
    """The best candidate of every class, as the authors take it, and an even pattern in place of noise."""
    height, width = config.size
    noise = torch.tensor(DITHER).repeat((height + 1) // 2, (width + 1) // 2)[:height, :width]
    zeros = torch.zeros(count, len(classes))
    return style_of(zeros, zeros.clone(), noise.expand(count, -1, -1).clone(), classes)


def read_style(config: SIMSConfig, classes: Sequence[str], style: Style) -> tuple[Tensor, Tensor, Tensor]:
    """(rank [samples, classes], left bool [samples, classes], noise [samples, H, W]). Raises UsageError for another model's style."""
    shapes = {"rank": (len(classes),), "left": (len(classes),), "noise": config.size}
    wrong = [n for n, shape in shapes.items() if n not in style.tensors or tuple(style.tensors[n].shape[1:]) != shape]
    if wrong or style.classes != tuple(classes):
        got = ", ".join(f"{n} {list(t.shape)}" for n, t in style.tensors.items())
        height, width = config.size
        raise UsageError(
            f"A style of this SIMS holds rank and left [samples, {len(classes)}] of its classes and noise [samples, {height}, {width}],"
            f" got {got}."
        )
    return style.tensors["rank"], style.tensors["left"] > 0.5, style.tensors["noise"]
