"""What a Python caller hands to a composition, as a Request: texts, paths, maps, photos, edits and styles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from zoo.composition.request.requests import (
    EditSpec,
    Request,
    Source,
    StyleSpec,
    parse_edit,
    parse_source,
    parse_style,
    split_names,
)
from zoo.edits import Add, Edit, Interpolate, Perturb, Redraw, Remove
from zoo.errors import DataError, UsageError
from zoo.labels import LabelSpace
from zoo.maps import SemanticMap
from zoo.registry import label_space
from zoo.rng import fresh_seed
from zoo.style import Style

if TYPE_CHECKING:
    from zoo.composition.models import Models


def make_request(
    models: Models,
    *,
    labels: Sequence[str] | str | None = None,
    maps: Any = None,
    photos: Any = None,
    seed: int | None = None,
    edits: Any = (),
    style: Any = None,
    style_to: Any = None,
    keep: Sequence[str] | str = (),
    options: Mapping[str, Any] | None = None,
    mask_space: LabelSpace | str | None = None,
    **fields: Any,
) -> Request:
    """The Request of a call. Texts are read as on the command line; objects are brought to the form that a manifest keeps.

    Raises UsageError, LabelError, DataError.
    """
    known = ("n", "instances", "keep_rest", "same_style", "prior", "batch_size")
    unknown = [f for f in fields if f not in known]
    if unknown:
        raise UsageError(
            f"No option {', '.join(map(repr, unknown))} (further options: mask_space, style_to, keep, options, {', '.join(known)})."
        )
    space = label_space(mask_space) if isinstance(mask_space, str) else mask_space
    masks = _maps(maps)
    objects = [m for m in masks if isinstance(m, SemanticMap)]
    if objects and space is None:
        space = objects[0].space
    on_disk = space or models.space
    return Request(
        seed=fresh_seed() if seed is None else seed,
        labels=_names(labels),
        masks=tuple(m.to_space(on_disk) if isinstance(m, SemanticMap) else m for m in masks),
        mask_space=space,
        photos=_photos(photos),
        edits=tuple(_edit(e, on_disk) for e in _sequence(edits, Edit | EditSpec)),
        styles=tuple(_style(s) for s in _sequence(style, Style | Source | StyleSpec)),
        style_to=None if style_to is None else _source(style_to),
        keep=_names(keep) or (),
        options=tuple(dict(options or {}).items()),
        device=models.device,
        **fields,
    )


def _sequence(value: Any, single: Any) -> Iterable[Any]:
    """Nothing, one thing or several as a sequence."""
    if value is None:
        return ()
    return (value,) if isinstance(value, (str, Path, single)) else value


def _names(value: Sequence[str] | str | None) -> tuple[str, ...] | None:
    return split_names(value) if isinstance(value, str) else None if value is None else tuple(value)


def _maps(value: Any) -> tuple[Any, ...]:
    """Paths, and SemanticMaps of one map each."""
    items: list[Any] = []
    for item in _sequence(value, SemanticMap):
        items += [item[i] for i in range(len(item))] if isinstance(item, SemanticMap) else [item]
    if value is not None and not items:
        raise UsageError("maps holds no map: leave it out to draw label sets, or give at least one.")
    wrong = next((i for i in items if not isinstance(i, SemanticMap | str | Path)), None)
    if wrong is not None:
        raise UsageError(f"maps takes SemanticMaps and PNG paths, got {type(wrong).__name__}.")
    return tuple(items)


def _photos(value: Any) -> tuple[Any, ...]:
    """Paths, and tensors [3, H, W] rounded to the 256 levels in which a manifest stores them."""
    items: list[Any] = []
    for item in _sequence(value, Tensor):
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
    if value is not None and not items:
        raise UsageError("photos holds no photo: leave it out, or give at least one.")
    return tuple(items)


def _edit(value: Any, on_disk: LabelSpace) -> EditSpec:
    spec = parse_edit(value) if isinstance(value, str) else edit_spec(value)
    if not isinstance(spec.other, SemanticMap):
        return spec
    if len(spec.other) != 1:
        raise UsageError(f"interpolate takes one other map, got {len(spec.other)}.")
    return replace(spec, other=spec.other.to_space(on_disk))


def _source(value: Any) -> Source:
    if isinstance(value, Source):
        return value
    return Source("style", style=value) if isinstance(value, Style) else parse_source(str(value))


def _style(value: Any) -> StyleSpec:
    if isinstance(value, StyleSpec):
        return value
    return parse_style(value) if isinstance(value, str) else StyleSpec(_source(value))


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
