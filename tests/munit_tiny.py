"""A tiny MUNIT and drawn photos of two domains for the tests of translators: white discs on blue (A) and on orange (B)."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
from fixtures_models import shake
from PIL import Image, ImageDraw

import zoo
from zoo_plugins.munit.model import MUNIT

GROUND = {"A": (30, 60, 170), "B": (200, 120, 40)}
CONFIG = {"resolution": 32, "dim": 4, "mlp_dim": 8, "style_dim": 3, "n_res": 1}


def tiny_munit() -> MUNIT:
    """Random weights, always the same, large enough that styles show."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = cast(MUNIT, zoo.create("munit", **CONFIG))
    shake(model, 1.4, 0)
    return model.eval()


def drawn(domain: str, number: int, size: tuple[int, int] = (40, 32)) -> Image.Image:
    """Photo `number` of a domain, (width, height) `size`."""
    rng = np.random.default_rng([number, ord(domain)])
    colour = tuple(int(c + rng.integers(-20, 20)) for c in GROUND[domain])
    image = Image.new("RGB", size, colour)  # type: ignore[arg-type]
    x, y, r = rng.integers(8, size[0] - 8), rng.integers(8, size[1] - 8), rng.integers(4, 9)
    ImageDraw.Draw(image).ellipse((x - r, y - r, x + r, y + r), fill="white")
    return image


def write_domains(folder: Path, train: int = 8, held: int = 4) -> Path:
    """The authors' layout: trainA, trainB, valA, valB; returns the folder."""
    for split, first, count in (("train", 0, train), ("val", 1000, held)):
        for domain in GROUND:
            place = folder / f"{split}{domain}"
            place.mkdir(parents=True)
            for i in range(count):
                drawn(domain, first + i).save(place / f"{i:03d}.png")
    return folder
