"""Draws the contact sheets of styles: some classes' style varied in a row per map, or layer by layer on one map.

    python benchmarks/styles_sheet.py mask-vae+clvae --out docs/styles.png
    python benchmarks/styles_sheet.py clvae-celeba --data celebamask-hq:DIR#test --classes hair --out hair.png
    python benchmarks/styles_sheet.py mask-vae+clvae --layers shallow --layers middle --layers deep --classes all --out layers.png

The first column shows the map, the second its picture in the base style (`--style seed:N`), the others the same with a style of
their own for the classes (`--style CLASSES=prior`), with `--layers` a row for each choice of layers on the first map. Maps are
drawn by the generator, or those of a data set; no photo is shown. Prints how far the change reaches (`style_change`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import torch
from edits_sheet import Column, sheet
from torch import Tensor

import zoo
from zoo.data.specs import parse_spec
from zoo.errors import DataError
from zoo.files.images import save_image
from zoo.maps import SemanticMap
from zoo.rng import Rng
from zoo.training.session import open_pairs

CANDIDATES = 16
"""Maps looked at per map of the sheet, until enough show the classes."""


def candidates(pipe: zoo.Composition, data: str | None, count: int, seed: int) -> SemanticMap:
    """Maps in the synthesizer's space and size: the data set's first ones, or drawn for label sets as in the training data."""
    assert pipe.synthesizer is not None
    if data is not None:
        pairs = open_pairs(parse_spec(data), pipe.synthesizer, pipe.resolution)
        return SemanticMap.cat([batch.maps for batch in islice(pairs.batches(8), -(-count // 8))])
    if pipe.generator is None:
        raise DataError("A synthesizer alone needs --data; or name a composition, GEN+SYN.")
    rng = Rng(seed, range(count))
    sets = pipe.generator.sample_label_sets(count, rng)
    drawn = pipe.generator.generate(sets, rng=rng.within("map")).to("cpu")
    return drawn.to_space(pipe.space).resize(pipe.resolution)


def maps_that_show(
    pipe: zoo.Composition, data: str | None, classes: Sequence[str], count: int, seed: int
) -> SemanticMap:
    """The first maps that show all these classes. Raises DataError if there are too few."""
    maps = candidates(pipe, data, count * CANDIDATES, seed)
    fitting = [i for i, shown in enumerate(maps.label_sets()) if set(classes) <= set(shown.names)][:count]
    if len(fitting) < count:
        raise DataError(f"Only {len(fitting)} of {len(maps)} maps show {', '.join(classes)}.")
    return maps[fitting]


def vary(pipe: zoo.Composition, maps: SemanticMap, head: str, base: str, n: int, seed: int) -> tuple[list[Tensor], Any]:
    """n pictures [3, H, W] per map with the style `head=prior`, and how far the change reached."""
    made = pipe(maps=maps, n=n, seed=seed, style=[base, f"{head}=prior"])
    assert made.images is not None
    return list(made.images), made.report["style_change"]


def columns(titles: Sequence[str], rows: Sequence[Sequence[Tensor]]) -> list[Column]:
    return [Column(title, list(cells)) for title, cells in zip(titles, zip(*rows, strict=True), strict=True)]


def by_map(
    pipe: zoo.Composition, maps: SemanticMap, head: str, base: str, n: int, seed: int
) -> tuple[list[Column], dict[str, Any]]:
    """A row for each map."""
    plain = pipe(maps=maps, seed=seed, style=base).images
    assert plain is not None
    pictures, change = vary(pipe, maps, head, base, n, seed)
    rows = [[c, p, *pictures[i * n : i * n + n]] for i, (c, p) in enumerate(zip(maps.colorize(), plain, strict=True))]
    return columns(["map", base, f"{head}=prior", *[""] * (n - 1)], rows), {head: change}


def by_layers(
    pipe: zoo.Composition, one: SemanticMap, head: str, layers: Sequence[str], base: str, n: int, seed: int
) -> tuple[list[Column], dict[str, Any]]:
    """A row for each choice of layers, all on one map."""
    plain = pipe(maps=one, seed=seed, style=base).images
    assert plain is not None
    rows, report = [], {}
    for chosen in layers:
        pictures, report[f"@{chosen}"] = vary(pipe, one, f"{head}@{chosen}", base, n, seed)
        rows.append([written(f"@{chosen}", pipe.resolution), one.colorize()[0], plain[0], *pictures])
    return columns(["", "map", base, *[str(i + 1) for i in range(n)]], rows), report


def written(text: str, size: tuple[int, int]) -> Tensor:
    """A word as a picture."""
    image = PIL.Image.new("RGB", (size[1], size[0]), "white")
    PIL.ImageDraw.Draw(image).text(
        (4, size[0] // 2 - 8), text, fill="black", font=PIL.ImageFont.load_default(size[1] // 7)
    )
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 255


def main(argv: list[str] | None = None) -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("composition", metavar="GEN+SYN|SYN")
    arguments.add_argument("--data", help="take the maps of a data set, e.g. celebamask-hq:DIR#test")
    arguments.add_argument("--classes", default="hair", help="C[,C], or all: those that the first map shows")
    arguments.add_argument("--layers", action="append", help="repeatable: shallow, middle, deep or numbers")
    arguments.add_argument("--base", default="seed:1", help="the style that stays")
    arguments.add_argument("--maps", type=int, default=6)
    arguments.add_argument("-n", type=int, default=8, help="pictures per row")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--cell", type=int, default=96, help="side of one picture in pixels")
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--out", type=Path, required=True)
    given = arguments.parse_args(argv)
    models = given.composition if "+" in given.composition else (None, given.composition)
    pipe = zoo.compose(models, device=given.device)
    every = given.classes == "all"
    classes = () if every else tuple(given.classes.split(","))
    maps = maps_that_show(pipe, given.data, classes, 1 if given.layers else given.maps, given.seed)
    head = ",".join(maps[0].label_set().names if every else classes)
    if given.layers:
        made, report = by_layers(pipe, maps, head, given.layers, given.base, given.n, given.seed)
    else:
        made, report = by_map(pipe, maps, head, given.base, given.n, given.seed)
    save_image(sheet(made, given.cell), given.out, optimize=True)
    print(json.dumps({"model": pipe.name, "maps": len(maps), "n": given.n, "style_change": report}, indent=2))


if __name__ == "__main__":
    main()
