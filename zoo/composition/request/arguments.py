"""What a Python caller hands to a composition, as a Request: objects (maps, photos, edits, styles) in their written form."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from zoo.composition.request.fields import several
from zoo.composition.request.requests import (
    ARGUMENTS,
    EditSpec,
    Request,
    StyleSource,
    StyleSpec,
    parse_edit,
    read_request,
)
from zoo.edits import Add, Edit, Interpolate, Perturb, Redraw, Remove
from zoo.errors import DataError, UsageError
from zoo.labels import LabelSpace
from zoo.maps import SemanticMap
from zoo.rng import fresh_seed
from zoo.style import Style

if TYPE_CHECKING:
    from zoo.composition.models import Models


def make_request(
    models: Models,
    *,
    seed: int | None = None,
    maps: Any = None,
    photos: Any = None,
    edits: Any = None,
    style: Any = None,
    style_to: Any = None,
    mask_space: LabelSpace | str | Path | None = None,
    **others: Any,
) -> Request:
    """The Request of a call. Texts are read as on the command line; objects are brought to the form that a manifest keeps.

    others: the arguments that `Request` defines beside these. Raises UsageError, LabelError, DataError.
    """
    space = None if mask_space is None else ARGUMENTS["mask_space"].read(mask_space)
    masks = None if maps is None else _maps(maps)
    objects = [m for m in masks or () if isinstance(m, SemanticMap)]
    if objects and space is None:
        space = objects[0].space
    on_disk = space or models.space
    return read_request(
        {
            **others,
            "seed": fresh_seed() if seed is None else seed,
            "maps": masks and [m.to_space(on_disk) if isinstance(m, SemanticMap) else m for m in masks],
            "mask_space": space,
            "photos": None if photos is None else _photos(photos),
            "edits": None if edits is None else [_edit(e, on_disk) for e in _all("edits", edits, Edit, EditSpec)],
            "style": None
            if style is None
            else [_style(s) for s in _all("style", style, Style, StyleSource, StyleSpec)],
            "style_to": StyleSource("style", style=style_to) if isinstance(style_to, Style) else style_to,
        },
        device=models.device,
    )


def _all(argument: str, value: Any, *single: Any) -> tuple[Any, ...]:
    """One thing or several. Raises UsageError for what is neither."""
    try:
        return several(value, *single)
    except TypeError as error:
        raise UsageError(f"<<{argument}>> takes {ARGUMENTS[argument].kind.what}, got {value!r}.") from error


def _maps(value: Any) -> list[Any]:
    """Paths, and SemanticMaps of one map each."""
    items: list[Any] = []
    for item in _all("maps", value, SemanticMap):
        items += [item[i] for i in range(len(item))] if isinstance(item, SemanticMap) else [item]
    if not items:
        raise UsageError("<<maps>> holds no map: leave it out to draw label sets, or give at least one.")
    wrong = next((i for i in items if not isinstance(i, SemanticMap | str | Path)), None)
    if wrong is not None:
        raise UsageError(f"<<maps>> takes SemanticMaps and PNG paths, got {type(wrong).__name__}.")
    return items


def _photos(value: Any) -> list[Any]:
    """Paths, and tensors [3, H, W] rounded to the 256 levels in which a manifest stores them."""
    items: list[Any] = []
    for item in _all("photos", value, Tensor):
        if not isinstance(item, Tensor):
            items.append(item)
            continue
        if (
            item.dim() not in (3, 4)
            or item.shape[-3] != 3
            or not item.is_floating_point()
            or float(item.min()) < 0
            or float(item.max()) > 1
        ):
            raise DataError(
                f"A photo is a float tensor [3, H, W] (or [B, 3, H, W]) in [0, 1], got {item.dtype} {tuple(item.shape)}."
            )
        items += [(p.float().cpu() * 255).round() / 255 for p in item.reshape(-1, *item.shape[-3:])]
    if not items:
        raise UsageError("<<photos>> holds no photo: leave it out, or give at least one.")
    return items


def _edit(value: Any, on_disk: LabelSpace) -> EditSpec:
    spec = parse_edit(value) if isinstance(value, str) else edit_spec(value)
    if not isinstance(spec.other, SemanticMap):
        return spec
    if len(spec.other) != 1:
        raise UsageError(f"interpolate takes one other map, got {len(spec.other)}.")
    return replace(spec, other=spec.other.to_space(on_disk))


def _style(value: Any) -> Any:
    """Objects as a StyleSpec; texts are read later."""
    source = StyleSource("style", style=value) if isinstance(value, Style) else value
    return StyleSpec(source) if isinstance(source, StyleSource) else source


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
