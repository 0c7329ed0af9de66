"""Edits of given maps: what was written becomes what the generator takes, and what came of it is reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from zoo.composition.checks.edits import DRAWN, OF_SHOWN, RANDOM, edited_classes
from zoo.composition.request.requests import EditSpec
from zoo.composition.run.inputs import Given, Loader
from zoo.edits import Add, Edit, Interpolate, Perturb, Redraw, Remove
from zoo.interfaces.capabilities import EditsParts
from zoo.interfaces.models import MaskGenerator
from zoo.labels import LabelSpace
from zoo.maps import SemanticMap
from zoo.rng import Rng


def to_edit(spec: EditSpec, loader: Loader) -> Edit:
    """The written edit as the generator takes it; class names become the generator's, the other map is loaded."""
    space = loader.models.work_space(loader.request)
    classes = edited_classes(spec, space)
    if spec.kind == "perturb":
        return Perturb(classes, 1.0 if spec.value is None else spec.value)
    if spec.kind == "interpolate":
        return Interpolate(
            classes,
            _other(spec, loader),
            1.0 if spec.value is None else spec.value,
        )
    return {"add": Add, "remove": Remove, "redraw": Redraw}[spec.kind](classes)


@dataclass(eq=False)
class Edited:
    """maps: in the generator's space. records: one per map. still: rows that no edit had anything to act on, whose maps are what they
    were. open: rows in which a random edit acts, so that another draw differs."""

    maps: SemanticMap
    records: list[dict[str, Any]]
    still: list[int]
    open: list[int]


def edit_maps(loader: Loader, given: Given, rng: Rng) -> Edited:
    """Edited maps; each record says how much changed outside the edited classes.

    That share is measured before `keep_rest` puts the old pixels back where neither the old nor the new class was edited.
    """
    models, specs = loader.models, loader.request.edits
    generator = models.generator
    assert isinstance(generator, EditsParts) and isinstance(generator, MaskGenerator)
    shown = given.maps.label_sets()
    acting = [_acting(specs, set(names), loader) for names in shown]
    still = [row for row, acts in enumerate(acting) if models.rules >= 2 and not any(acts)]
    if len(still) == len(shown):
        new = given.maps.resize(generator.resolution)
    else:
        edits = [to_edit(spec, loader) for spec in _possible(specs, acting, given.maps, loader)]
        options = models.options(loader.request)["generator"]
        new = generator.edit(given.maps.to(models.device), edits, rng=rng, **options).to("cpu")
    old = given.maps.resize(new.size)
    if still:
        labels = new.labels.clone()
        labels[still] = old.labels[still]
        new = SemanticMap(labels, new.space)
    touched = torch.zeros(256, dtype=torch.bool)
    touched[[new.space.index(c) for spec in specs for c in spec.classes]] = True
    outside = ~touched[old.labels] & ~touched[new.labels]
    shares = ((old.labels != new.labels) & outside).flatten(1).float().mean(1).tolist()
    if loader.request.keep_rest:
        new = SemanticMap(torch.where(outside, old.labels, new.labels), new.space)
    drawn = {n for spec in specs if spec.kind in DRAWN for n in edited_classes(spec, new.space)}
    asked = [n for n in new.space.names if n in drawn]
    written = [str(spec) for spec in specs]
    records: list[dict[str, Any]] = []
    for share, acts, before, after in zip(shares, acting, shown, new.label_sets(), strict=True):
        record: dict[str, Any] = {
            "edits": written,
            "requested": asked,
            "empty": [n for n in asked if n not in after.names],
            "changed_outside_edits": round(share, 6),
        }
        if notes := _idle(specs, acts, set(before.names), new.space):
            record["notes"] = notes
        records.append(record)
    random = [any(a and spec.kind in RANDOM for a, spec in zip(acts, specs, strict=True)) for acts in acting]
    return Edited(new, records, still, [row for row, draws in enumerate(random) if draws])


def _acting(specs: Sequence[EditSpec], present: set[str], loader: Loader) -> list[bool]:
    """Which edits, in their order, have something to act on in a map that shows the classes `present` (of the work space)."""
    space = loader.models.work_space(loader.request)
    acts = []
    for spec in specs:
        names = set(edited_classes(spec, space))
        if spec.kind == "interpolate":
            theirs = names & set(_other(spec, loader).label_set().names)
            weight = 1.0 if spec.value is None else spec.value
            acts.append(bool(names & present or theirs))
            present = (present - names if weight >= 1 else present) | (theirs if weight > 0 else set())
        else:
            acts.append(bool(names - present if spec.kind == "add" else names & present))
            present = present - names if spec.kind == "remove" else present | names if spec.kind == "add" else present
    return acts


def _idle(specs: Sequence[EditSpec], acts: Sequence[bool], before: set[str], space: LabelSpace) -> list[str]:
    """What is to be said of edits that have nothing to act on in a map with the classes `before`."""
    drawn = {n for spec in specs if spec.kind in DRAWN for n in edited_classes(spec, space)}
    gone = {n for spec in specs if spec.kind == "remove" for n in edited_classes(spec, space)}
    notes = []
    if missing := sorted(gone - before - drawn):
        notes.append(f"Nothing to remove: a map shows no {' and no '.join(missing)}.")
    for spec, does in zip(specs, acts, strict=True):
        if does or spec.kind == "remove":
            continue
        names = edited_classes(spec, space)
        none = f"a map shows no {' and no '.join(names)}"
        told = {"add": f"a map shows {' and '.join(names)} already", "interpolate": f"{none}, nor does the other"}
        notes.append(f"Nothing to {spec.kind}: {told.get(spec.kind, none)}.")
    return notes


def _other(spec: EditSpec, loader: Loader) -> SemanticMap:
    """The other map of an interpolation, in the work space."""
    other = loader.read_map(spec.other)
    return other.mapped(loader.models.join(other.space, loader.models.work_space(loader.request)))


def _possible(
    specs: Sequence[EditSpec], acting: Sequence[Sequence[bool]], maps: SemanticMap, loader: Loader
) -> list[EditSpec]:
    """The edits that this batch has parts for: one map's lack must not decide what happens to the others of its batch.

    That some map of the run shows the part was checked before, as far as that was known (not of photos that are parsed).
    """
    if loader.models.rules >= 2:
        used = [any(acts[i] for acts in acting) for i in range(len(specs))]
        return [spec for spec, does in zip(specs, used, strict=True) if does or spec.kind not in OF_SHOWN]
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
