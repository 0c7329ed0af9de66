"""Edits of given maps: what was written becomes what the generator takes, and what came of it is reported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from zoo.composition.request.requests import EditSpec
from zoo.composition.run.inputs import Given, Loader, read_map
from zoo.edits import Add, Edit, Interpolate, Perturb, Redraw, Remove
from zoo.errors import UsageError
from zoo.interfaces.capabilities import EditsParts
from zoo.interfaces.models import MaskGenerator
from zoo.maps import SemanticMap
from zoo.rng import Rng

if TYPE_CHECKING:
    from zoo.labels import LabelSpace

RANDOM = ("add", "redraw", "perturb")
DRAWN = ("add", "redraw")
OF_SHOWN = ("redraw", "perturb")


def check_edits(generator: MaskGenerator | None, edits: Sequence[EditSpec]) -> None:
    """Raise UsageError if there is no generator, it cannot edit, or it lacks a kind of edit."""
    if generator is None:
        raise UsageError("Editing a map takes a mask generator: use zoo compose GENERATOR+SYNTHESIZER.")
    if not isinstance(generator, EditsParts):
        raise UsageError(f"{type(generator).__name__} cannot edit maps (see 'can' in: zoo list --json).")
    for spec in edits:
        if spec.kind not in generator.edits:
            raise UsageError(
                f"{type(generator).__name__} has no edit {spec.kind!r} (it has: {', '.join(sorted(generator.edits))})."
            )


def check_shown(edits: Sequence[EditSpec], space: LabelSpace, shown: set[str] | None) -> None:
    """Raise UsageError for a redraw or perturb of classes that no given map shows (shown None: not known yet)."""
    present = set(shown or ())
    for spec in edits:
        names = class_names(spec, space)
        if shown is not None and spec.kind in OF_SHOWN and not present & set(names):
            raise UsageError(
                f"Nothing to {spec.kind}: no map shows {' or '.join(names)}. To put it there use --edit add:{','.join(names)}."
            )
        present |= set(names) if spec.kind in ("add", "interpolate") else set()


def class_names(spec: EditSpec, space: LabelSpace) -> tuple[str, ...]:
    """The classes of an edit by the space's own names."""
    return tuple(space.names[space.index(c)] for c in spec.classes)


def to_edit(spec: EditSpec, loader: Loader) -> Edit:
    """The written edit as the generator takes it; class names become the generator's, the other map is loaded."""
    space = loader.work_space
    classes = class_names(spec, space)
    if spec.kind == "perturb":
        return Perturb(classes, 1.0 if spec.value is None else spec.value)
    if spec.kind == "interpolate":
        return Interpolate(
            classes, read_map(spec.other, loader.space).to_space(space), 1.0 if spec.value is None else spec.value
        )
    return {"add": Add, "remove": Remove, "redraw": Redraw}[spec.kind](classes)


def edit_spec(edit: Edit | EditSpec) -> EditSpec:
    """An edit of the Python caller in its written form."""
    if isinstance(edit, EditSpec):
        return edit
    if isinstance(edit, Perturb):
        return EditSpec("perturb", edit.classes, edit.strength)
    if isinstance(edit, Interpolate):
        return EditSpec("interpolate", edit.classes, edit.t, edit.other)
    if not isinstance(edit, Add | Remove | Redraw):
        raise UsageError(
            f"An edit is Add, Remove, Redraw, Perturb, Interpolate or a text such as 'redraw:hair', got {edit!r}."
        )
    return EditSpec({Add: "add", Remove: "remove", Redraw: "redraw"}[type(edit)], edit.classes)


def edit_maps(loader: Loader, given: Given, rng: Rng) -> tuple[SemanticMap, list[dict[str, Any]]]:
    """Edited maps in the generator's space; each record says how much changed outside the edited classes.

    That share is measured before `keep_rest` puts the old pixels back where neither the old nor the new class was edited.
    """
    composition, specs = loader.composition, loader.request.edits
    generator = composition.generator
    assert isinstance(generator, EditsParts) and isinstance(generator, MaskGenerator)
    edits = [to_edit(spec, loader) for spec in _possible(specs, given.maps, loader)]
    options = composition.options(loader.request)["generator"]
    new = generator.edit(given.maps.to(composition.device), edits, rng=rng, **options).to("cpu")
    old = given.maps.resize(new.size)
    touched = torch.zeros(256, dtype=torch.bool)
    touched[[new.space.index(c) for spec in specs for c in spec.classes]] = True
    outside = ~touched[old.labels] & ~touched[new.labels]
    shares = ((old.labels != new.labels) & outside).flatten(1).float().mean(1).tolist()
    if loader.request.keep_rest:
        new = SemanticMap(torch.where(outside, old.labels, new.labels), new.space)
    drawn = {n for spec in specs if spec.kind in DRAWN for n in class_names(spec, new.space)}
    asked = [n for n in new.space.names if n in drawn]
    written = [str(spec) for spec in specs]
    gone = {n for spec in specs if spec.kind == "remove" for n in class_names(spec, new.space)}
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
        names = set(class_names(spec, maps.space))
        if spec.kind not in OF_SHOWN or present & names:
            possible.append(spec)
        present |= names if spec.kind in ("add", "interpolate") else set()
    return possible
