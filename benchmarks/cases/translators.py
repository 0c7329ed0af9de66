"""Cases of translators of photos."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import nn

from benchmarks import readings
from benchmarks.cases.case import Case
from zoo.rng import Rng

TRANSLATORS = ("munit/edges2shoes", "dmit/yosemite", "scgan-unpaired/yosemite")
TRANSLATING = {
    "munit": (readings.munit, "style"),
    "dmit": (readings.dmit, "z"),
    "scgan-unpaired": (readings.scgan_unpaired, "z"),
}
"""The reading of each, and the tensor of its styles."""


def translator(reference: str, model: Any, data: Path | None, batch: int) -> Iterator[Case]:
    """Photos of smooth noise; "kept": their content is there already, as for a further style of a photo."""
    fast, (reading, name) = model.optimized(), TRANSLATING[reference.partition("/")[0]]
    coarse = Rng(0, range(batch)).uniform("photos", shape=(3, 8, 8)).float()
    photos = nn.functional.interpolate(coarse, model.resolution, mode="bicubic").clamp(0, 1)
    style = model.sample_style(batch, Rng(0, range(batch)), domain=model.targets[-1])
    content = fast.encode_content(photos)
    yield Case(
        f"{reference}, batch {batch}",
        {
            "plain": lambda: reading(model, photos, style.tensors[name]),
            "form": lambda: fast.translate(photos, style=style),
            "kept": lambda: fast.translate(content, style=style),
        },
        (("plain", "form"), ("plain", "kept")),
    )
