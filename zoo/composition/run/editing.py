"""Edits of given maps: what was written becomes what the generator takes, and what came of it is reported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from zoo.composition.checks.edits import DRAWN, OF_SHOWN, edited_classes
from zoo.composition.request.requests import EditSpec
from zoo.composition.run.inputs import Given, Loader
from zoo.edits import Add, Edit, Interpolate, Perturb, Redraw, Remove
from zoo.interfaces.capabilities import EditsParts
from zoo.interfaces.models import MaskGenerator
from zoo.maps import SemanticMap
from zoo.rng import Rng

if TYPE_CHECKING:
    pass


def to_edit(spec: EditSpec, loader: Loader) -> Edit:
    """The written edit as the generator takes it; class names become the generator's, the other map is loaded."""
    space = loader.models.work_space(loader.request)
    classes = edited_classes(spec, space)
    if spec.kind == "perturb":
        return Perturb(classes, 1.0 if spec.value is None else spec.value)
    if spec.kind == "interpolate":
        return Interpolate(
            classes,
            loader.read_map(spec.other).to_space(space),
            1.0 if spec.value is None else spec.value,
        )
    return {"add": Add, "remove": Remove, "redraw": Redraw}[spec.kind](classes)


def edit_maps(loader: Loader, given: Given, rng: Rng) -> tuple[SemanticMap, list[dict[str, Any]]]:
    """Edited maps in the generator's space; each record says how much changed outside the edited classes.

    That share is measured before `keep_rest` puts the old pixels back where neither the old nor the new class was edited.
    """
    models, specs = loader.models, loader.request.edits
    generator = models.generator
    assert isinstance(generator, EditsParts) and isinstance(generator, MaskGenerator)
    edits = [to_edit(spec, loader) for spec in _possible(specs, given.maps, loader)]
    options = models.options(loader.request)["generator"]
    new = generator.edit(given.maps.to(models.device), edits, rng=rng, **options).to("cpu")
    old = given.maps.resize(new.size)
    touched = torch.zeros(256, dtype=torch.bool)
    touched[[new.space.index(c) for spec in specs for c in spec.classes]] = True
    outside = ~touched[old.labels] & ~touched[new.labels]
    shares = ((old.labels != new.labels) & outside).flatten(1).float().mean(1).tolist()
    if loader.request.keep_rest:
        new = SemanticMap(torch.where(outside, old.labels, new.labels), new.space)
    drawn = {n for spec in specs if spec.kind in DRAWN for n in edited_classes(spec, new.space)}
    asked = [n for n in new.space.names if n in drawn]
    written = [str(spec) for spec in specs]
    gone = {n for spec in specs if spec.kind == "remove" for n in edited_classes(spec, new.space)}
    records: list[dict[str, Any]] = []
    for share, before, after in zip(shares, given.maps.label_sets(), new.label_sets(), strict=True):
        record: dict[str, Any] = {
            "edits": written,
            "requested": asked,
            "empty": [n for n in asked if n not in after.names],
            "changed_outside_edits": round(share, 6),
        }
        if missing := sorted(gone - set(before.names) - drawn):
            record["notes"] = [f"Nothing to remove: a map shows no {' and no '.join(missing)}."]
        records.append(record)
    return new, records


def _possible(specs: Sequence[EditSpec], maps: SemanticMap, loader: Loader) -> list[EditSpec]:
    """The edits that this batch has parts for: one map's lack must not decide what happens to the others of its batch.

    That some map of the run shows the part was checked before; where photos are parsed the generator itself complains.
    """
    if loader.request.photos:
        return list(specs)
    present = {n for names in maps.label_sets() for n in names}
    possible = []
    for spec in specs:
        names = set(edited_classes(spec, maps.space))
        if spec.kind not in OF_SHOWN or present & names:
            possible.append(spec)
        present |= names if spec.kind in ("add", "interpolate") else set()
    return possible
