"""Cases of synthesizers: a picture with a fresh layout and with a kept one, many styles of a map, a stroke to a picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import readings
from benchmarks.cases.case import Case
from benchmarks.cases.maps import read_maps, repeated, stroke
from benchmarks.cases.models import style_of
from zoo.rng import Rng

READINGS = {
    "spade": readings.spade,
    "clvae": readings.clvae,
    "scgan": readings.scgan,
    "oasis": readings.oasis,
    "sean": readings.sean,
    "clade": readings.clade,
    "inade": readings.inade,
    "cc-fpse": readings.cc_fpse,
    "sims": readings.sims,
    "pix2pixhd": readings.pix2pixhd,
    "crn": readings.crn,
    "cimle": readings.cimle,
    "maskgan": readings.maskgan,
    "groupdnet": readings.groupdnet,
}
SYNTHESIZERS = (
    "spade/ade20k",
    "spade/coco",
    "clvae/ade20k",
    "clvae/gta5",
    "scgan/ade20k",
    "scgan/celeba",
    "oasis/ade20k",
    "sean/celeba",
    "clade/ade20k",
    "clade/ade20k-icpe",
    "inade/ade20k",
    "cc-fpse/ade20k",
    "sdm/ade20k",
    "sims/cityscapes-256",
    "pix2pixhd/cityscapes-512",
    "crn/cityscapes-256",
    "cimle/gta5",
    "maskgan/celeba",
    "groupdnet/ade20k",
)

TOGETHER = 4
"""Styles that are one batch."""


def pictures(reference: str, model: Any, data: Path | None, batch: int) -> Iterator[Case]:
    """Maps to pictures, with the layout to make and with it there already; what a layout takes, fresh and after a stroke."""
    reading = READINGS[reference.partition("/")[0]]
    maps, fast = read_maps(reference, model, data, batch), model.optimized()
    style = style_of(model, maps, Rng(0, range(batch)))
    layout, edited = fast.layout(maps), stroke(maps)
    yield Case(
        f"{reference}, batch {batch}",
        {
            "plain": lambda: reading(model, maps, style),
            "form": lambda: fast.synthesize(maps, style),
            "kept": lambda: fast.synthesize(layout, style),
            "layout": lambda: fast.layout(maps),
            "stroke": lambda: fast.layout(edited, reuse=layout),
        },
        (("plain", "form"), ("plain", "kept")),
    )


def styles(reference: str, model: Any, data: Path | None, count: int) -> Iterator[Case]:
    """So many styles of one map: a picture by the plain reading, which makes each anew, one with the layout kept, and all with it."""
    reading, maps, fast = READINGS[reference.partition("/")[0]], read_maps(reference, model, data, 1), model.optimized()
    drawn = style_of(model, repeated(maps, count), Rng(0, range(count)))
    if drawn is None:
        return
    layout = fast.layout(maps)

    def together() -> Tensor:
        parts = (fast.synthesize(layout, drawn[i : i + TOGETHER]) for i in range(0, count, TOGETHER))
        return torch.stack([part[0] for part in parts])[:1]

    yield Case(
        f"{reference}, {count} styles of a map, a picture",
        {
            "plain": lambda: reading(model, maps, drawn[:1]),
            "kept": lambda: fast.synthesize(layout, drawn[:1]),
            "form": together,
        },
        (("plain", "kept"), ("plain", "form")),
        {"form": count},
    )


def strokes(reference: str, model: Any, data: Path | None, batch: int) -> Iterator[Case]:
    """From a stroke on a map whose layout is there to the new picture: "form" makes everything afresh, "kept" renews the layout."""
    reading = READINGS[reference.partition("/")[0]]
    maps, fast = read_maps(reference, model, data, batch), model.optimized()
    edited, layout = stroke(maps), fast.layout(maps)
    style = style_of(model, edited, Rng(0, range(batch)))
    yield Case(
        f"{reference}, stroke to picture, batch {batch}",
        {
            "plain": lambda: reading(model, edited, style),
            "form": lambda: fast.synthesize(edited, style),
            "kept": lambda: fast.synthesize(fast.layout(edited, reuse=layout), style),
        },
        (("plain", "form"), ("plain", "kept")),
    )


def sdm(reference: str, model: Any, data: Path | None, batch: int) -> Iterator[Case]:
    """One guided step, of which sampling has as many as its options say; `form` makes the layout before it, as the first step does."""
    maps, fast = read_maps(reference, model, data, batch), model.optimized()
    style, times = (
        model.sample_style(maps, Rng(0, range(batch))),
        torch.full((batch,), model.config.diffusion_steps // 2),
    )
    layout, edited = fast.layout(maps), stroke(maps)

    def step(planned: Any) -> Tensor:
        return torch.cat(fast.denoiser(planned, batch)(style.tensors["noise"], times, True))

    yield Case(
        f"{reference}, a guided step, batch {batch}",
        {
            "plain": lambda: readings.sdm(model, maps, style, times),
            "form": lambda: step(fast.layout(maps)),
            "kept": lambda: step(layout),
            "layout": lambda: fast.layout(maps),
            "stroke": lambda: fast.layout(edited, reuse=layout),
        },
        (("plain", "form"), ("plain", "kept")),
    )
