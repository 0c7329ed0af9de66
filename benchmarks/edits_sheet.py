"""Draws the contact sheet of edits on generated faces: maps and pictures before and after, the style kept.

    python benchmarks/edits_sheet.py segvae+scgan --out docs/edits.png
    python benchmarks/edits_sheet.py mask-vae+scgan --edit add:eye_g --edit remove:hat --edit redraw:hair --faces 6 --seed 3

Rows are faces, drawn by the generator itself from label sets as in its training data; no picture of a data set is shown.
An edit starts from the face without what it adds and with what it removes or redraws: the same draw, another label set.
Taken are the first faces whose maps show what the edits start from; what an edit then makes of them is shown as it came.
Before and after have the same style, so that only the shape changes. Prints how much changed outside the edited classes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import torch
from torch import Tensor

import zoo
from zoo.composition.request.requests import EditSpec, parse_edit
from zoo.data.sheets import grid
from zoo.edits import Add, Edit, Perturb, Redraw, Remove
from zoo.errors import DataError, UsageError
from zoo.files.images import save_image, to_pil
from zoo.interfaces.capabilities import EditsParts
from zoo.interfaces.models import ImageSynthesizer, MaskGenerator
from zoo.labels import LabelSet
from zoo.maps import SemanticMap
from zoo.registry.capabilities import edits
from zoo.rng import Rng
from zoo.style import Style

CANDIDATES = 16
"""Drawn faces per face of the sheet."""
KINDS = {"add": Add, "remove": Remove, "redraw": Redraw, "perturb": Perturb}
GAP, HEAD = 2, 18


@dataclass
class Column:
    """One column of the sheet: a title over a picture per face [3, H, W]."""

    title: str
    pictures: list[Tensor]


@dataclass
class Faces:
    """The chosen faces: their numbers in the seed's streams, and the label set of each without any edit."""

    numbers: list[int]
    sets: list[LabelSet]


def edit_of(spec: EditSpec) -> Edit:
    """The written edit as the generator takes it. Raises UsageError for a kind that needs a second map."""
    if spec.kind not in KINDS:
        raise UsageError(f"{spec}: this sheet shows {', '.join(KINDS)}.")
    return KINDS[spec.kind](spec.classes)


def start(specs: Sequence[EditSpec], spec: EditSpec | None, label_set: LabelSet) -> LabelSet:
    """The label set that an edit starts from (None: the face before any): nothing that is added, and only its own removals."""
    names = {n for n in label_set if not any(n in s.classes for s in specs if s.kind in ("add", "remove"))}
    if spec is not None and spec.kind != "add":
        names |= set(spec.classes)
    return label_set.space.label_set(names)


def draw(generator: MaskGenerator, sets: Sequence[LabelSet], seed: int, numbers: Sequence[int]) -> SemanticMap:
    """The maps of these faces for these label sets; equal numbers give equal shapes where the label sets allow it."""
    return generator.generate(sets, rng=Rng(seed, numbers).within("map")).to("cpu")


def faces_that_show(generator: MaskGenerator, specs: Sequence[EditSpec], count: int, seed: int) -> Faces:
    """The first `count` faces whose maps show the classes that the edits start from. Raises DataError if there are too few."""
    numbers = list(range(count * CANDIDATES))
    drawn = generator.sample_label_sets(len(numbers), Rng(seed, numbers))
    shown_classes = {n for s in specs if s.kind != "add" for n in s.classes}
    redrawn = {n for s in specs if s.kind in ("redraw", "perturb") for n in s.classes}
    faces = Faces([], [])
    for number, label_set in zip(numbers, drawn, strict=True):
        if not redrawn <= set(label_set.names):
            continue
        wanted = [start(specs, s, label_set) for s in (None, *specs)]
        maps = draw(generator, wanted, seed, [number] * len(wanted))
        shown = [set(s.names) for s in maps.label_sets()]
        if all(set(w.names) & shown_classes <= s for w, s in zip(wanted, shown, strict=True)):
            faces.numbers.append(number)
            faces.sets.append(label_set)
        if len(faces.numbers) == count:
            return faces
    raise DataError(f"Only {len(faces.numbers)} of {len(numbers)} faces show what the edits start from.")


def columns(
    pipe: zoo.Composition, specs: Sequence[EditSpec], faces: Faces, seed: int
) -> tuple[list[Column], dict[str, float]]:
    """The sheet's columns, and for each edit the mean share of pixels that changed outside its classes."""
    generator, synthesizer = pipe.generator, pipe.synthesizer
    assert generator is not None and synthesizer is not None
    if not edits(generator.capabilities()):
        raise UsageError(f"{pipe.name}: the generator cannot edit maps.")
    assert isinstance(generator, EditsParts)
    made: list[Column] = []
    changed: dict[str, float] = {}
    shown: tuple[LabelSet, ...] | None = None
    style: Style | None = None
    for spec in sorted(specs, key=lambda s: s.kind != "add"):  # edits with one start stand side by side
        sets = tuple(start(specs, spec, s) for s in faces.sets)
        before = draw(generator, sets, seed, faces.numbers)
        style = _style(synthesizer, _fitting(before, pipe), seed, faces.numbers) if style is None else style
        if sets != shown:
            made += _pair("before", before, pipe, style)
            shown = sets
        rng = Rng(seed, faces.numbers).within("edit")
        after = generator.edit(before, [edit_of(spec)], rng=rng).to("cpu")
        made += _pair(str(spec), after, pipe, style)
        changed[str(spec)] = outside(before, after, spec)
    return made, changed


def _style(synthesizer: ImageSynthesizer, maps: SemanticMap, seed: int, numbers: Sequence[int]) -> Style | None:
    """One look per face, None for a synthesizer without a prior."""
    if "style:prior" not in synthesizer.capabilities():
        return None
    return synthesizer.sample_style(maps, Rng(seed, numbers).within("style"))  # type: ignore[attr-defined]


def _fitting(maps: SemanticMap, pipe: zoo.Composition) -> SemanticMap:
    return maps.to_space(pipe.space).resize(pipe.resolution)


def _pair(title: str, maps: SemanticMap, pipe: zoo.Composition, style: Style | None) -> list[Column]:
    """The maps and the pictures that they become."""
    assert pipe.synthesizer is not None
    fitting = _fitting(maps, pipe)
    images = pipe.synthesizer.synthesize(fitting, style).cpu()
    return [Column(title, list(fitting.colorize())), Column("", list(images))]


def outside(before: SemanticMap, after: SemanticMap, spec: EditSpec) -> float:
    """Share of pixels that changed although neither their old nor their new class was edited, mean over the faces."""
    touched = torch.zeros(256, dtype=torch.bool)
    touched[[after.space.index(c) for c in spec.classes]] = True
    old, new = before.resize(after.size).labels, after.labels
    return float(((old != new) & ~touched[old] & ~touched[new]).double().mean())


def sheet(made: Sequence[Column], cell: int) -> PIL.Image.Image:
    """The columns side by side under their titles; a wider gap stands before each start."""
    body = to_pil(
        grid([list(row) for row in zip(*(c.pictures for c in made), strict=True)], gap=GAP, cell=(cell, cell))
    )
    image = PIL.Image.new("RGB", (body.width, body.height + HEAD), "white")
    image.paste(body, (0, HEAD))
    pen, font = PIL.ImageDraw.Draw(image), PIL.ImageFont.load_default(13)
    for position, column in enumerate(made):
        left = GAP + position * (cell + GAP)
        pen.text((left + 2, 1), column.title, fill="black", font=font)
        if column.title == "before" and position:
            pen.line([(left - GAP, 0), (left - GAP, image.height)], fill="black", width=GAP)
    return image


def main(argv: list[str] | None = None) -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("composition", metavar="GEN+SYN")
    arguments.add_argument("--edit", action="append", help="repeatable (default: add:eye_g, redraw:hair, remove:hat)")
    arguments.add_argument("--faces", type=int, default=6)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--cell", type=int, default=96, help="side of one picture in pixels")
    arguments.add_argument("--out", type=Path, required=True)
    given = arguments.parse_args(argv)
    specs = [parse_edit(e) for e in given.edit or ("add:eye_g", "redraw:hair", "remove:hat")]
    with torch.inference_mode():
        pipe = zoo.compose(given.composition, device="cpu")
        assert pipe.generator is not None
        faces = faces_that_show(pipe.generator, specs, given.faces, given.seed)
        made, changed = columns(pipe, specs, faces, given.seed)
    save_image(sheet(made, given.cell), given.out, optimize=True)
    report = {
        "faces": faces.numbers,
        "seed": given.seed,
        "changed_outside_edits": {k: round(v, 5) for k, v in changed.items()},
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
