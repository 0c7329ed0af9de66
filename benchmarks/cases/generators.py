"""Cases of generators of maps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import readings
from benchmarks.cases.case import Case
from benchmarks.cases.maps import read_maps
from zoo.graphs import scene_graph
from zoo.rng import Rng

GENERATORS = ("segvae/celeba", "mask-vae/celeba", "maskgan-vae/celeba", "sg2im/coco64")
PORTRAIT = (
    "skin", "nose", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear", "mouth", "u_lip", "l_lip", "hair", "neck", "cloth",
)  # fmt: skip


def segvae(reference: str, model: Any, data: Path | None, batch: int) -> Iterator[Case]:
    """Batch 1: a usual portrait. More: maps of the data set give the label sets, or portraits with random classes left out."""
    fast = model.optimized()
    if batch == 1 or data is None:
        left_out = np.random.default_rng(0).random((batch, len(PORTRAIT))) < (0.2 if batch > 1 else 0)
        sets = [
            model.label_space.label_set([n for n, out in zip(PORTRAIT, row, strict=True) if not out or n == "skin"])
            for row in left_out
        ]
    else:
        maps = read_maps(reference, model, data, batch)
        sets = model.label_sets_of(maps)
    vector = model.vector(model.presence(sets))
    latents = model.sample_latents(sets, Rng(0, range(batch)))
    yield Case(
        f"{reference}, batch {batch}",
        {
            "plain": lambda: readings.segvae(model, vector, latents["eps"]),
            "form": lambda: fast.shapes(vector, latents),
        },
    )


def mask_vae(reference: str, model: Any, data: Path | None, batch: int) -> Iterator[Case]:
    """Maps to codes and back; "kept": the codes are there already."""
    maps, fast = read_maps(reference, model, data, batch), model.optimized()
    states = model.start_states(batch, None)
    codes = fast.encode(maps)

    def plain() -> Tensor:
        return model.values[readings.mask_vae(model, maps, **states)]

    yield Case(
        f"{reference}, batch {batch}",
        {
            "plain": plain,
            "form": lambda: fast.decode(fast.encode(maps)).labels,
            "kept": lambda: fast.decode(codes).labels,
        },
        (("plain", "form"), ("plain", "kept")),
    )


def sg2im(reference: str, model: Any, data: Path | None, batch: int) -> Iterator[Case]:
    """A graph of eight objects and eight relations, to a map and to a picture. Nothing of it comes from data."""
    del data
    fast, space = model.optimized(), model.label_space
    relationships = [(i, model.predicates[i % len(model.predicates)], (i + 3) % 8) for i in range(8)]
    conditions = [scene_graph(space, model.channels[:8], relationships)] * batch
    graphs, noise = (
        model.vocabulary.encode(conditions)[0],
        torch.randn(batch, model.config.noise_dim, *model.resolution),
    )

    def form() -> Tensor:
        read = fast.generator.read(graphs)
        layout = fast.generator.layout(graphs, read.vectors, read.boxes, read.masks)
        return fast.generator.paint(layout, noise)

    yield Case(f"{reference}, batch {batch}", {"plain": lambda: readings.sg2im(model, graphs, noise)[1], "form": form})


def maskgan_vae(reference: str, model: Any, data: Path | None, batch: int) -> Iterator[Case]:
    """As `mask_vae`."""
    maps, fast = read_maps(reference, model, data, batch), model.optimized()
    codes = fast.encode(maps)
    yield Case(
        f"{reference}, batch {batch}",
        {
            "plain": lambda: model.values[readings.maskgan_vae(model, maps)],
            "form": lambda: fast.decode(fast.encode(maps)).labels,
            "kept": lambda: fast.decode(codes).labels,
        },
        (("plain", "form"), ("plain", "kept")),
    )
