"""What a composition starts from besides label sets: maps and photos on disk, edits of them, pixels to keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo import cards
from zoo.errors import LabelError, UsageError
from zoo.images import read_photo
from zoo.interfaces import Add, Edit, EditsParts, Interpolate, MaskGenerator, Perturb, Redraw, Remove
from zoo.labels import LabelSpace
from zoo.maps import SemanticMap
from zoo.registry import registry
from zoo.requests import EditSpec, Request

if TYPE_CHECKING:
    from zoo.composition import Composition

NOWHERE = Path("/nonexistent")


@dataclass(eq=False)
class Given:
    """The maps [B, H, W] (output space, at the composition's resolution) and photos [B, 3, H, W] a batch starts from."""

    maps: SemanticMap
    photos: Tensor | None


def default_parser(space: LabelSpace) -> str:
    """The published parser whose label space can be mapped to `space`, preferring the same space. Raises UsageError."""
    found = cards.search("*", kind="mask-parser")
    for card in sorted(found, key=lambda c: c.facts.get("label_space") != space.name):
        try:
            registry().label_space(card.facts["label_space"]).mapping_to(space)
        except (LabelError, UsageError):
            continue
        return card.model_id
    raise UsageError(f"No published parser knows the classes of {space.name!r}: give the photo's map (PHOTO::MASK.png, or --mask) or name one with --parser.")


def crop_to(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """The largest centred crop of [..., H, W] with the aspect ratio of `size` (height, width)."""
    height, width = picture.shape[-2:]
    scale = min(height / size[0], width / size[1])
    h, w = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    top, left = (height - h) // 2, (width - w) // 2
    return picture[..., top : top + h, left : left + w]


def load_map(source: Any, space: LabelSpace, target: LabelSpace, size: tuple[int, int], instances: str | None = None) -> SemanticMap:
    """One map [1, H, W] from a PNG (values of `space`) or a SemanticMap, in `target`, cropped to the aspect and resized."""
    found = source if isinstance(source, SemanticMap) else SemanticMap.from_png(source, space, instances=instances)
    found = found.to("cpu").to_space(target)
    cropped = None if found.instances is None else crop_to(found.instances, size)
    return SemanticMap(crop_to(found.labels, size), target, cropped).resize(size)


def load_photo(source: Any, size: tuple[int, int]) -> Tensor:
    """One photo [1, 3, H, W] in [0, 1], cropped to the aspect of `size` and resized (bicubic, antialiased)."""
    photo = source if isinstance(source, Tensor) else read_photo(source)
    photo = crop_to(photo.reshape(1, *photo.shape[-3:]).float(), size)
    return F.interpolate(photo, size=size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def photo_with_map(composition: Composition, photo: Any, mask: Any | None, mask_space: LabelSpace) -> Given:
    """A photo and its map: the one given (same size as the photo), else what the parser reads in it."""
    size = composition.resolution
    source = photo if isinstance(photo, Tensor) else read_photo(photo)
    if mask is None:
        cropped = crop_to(source[None] if source.dim() == 3 else source, size)
        parsed = composition.parser.parse(cropped.to(composition.device)).to("cpu")
        return Given(parsed.to_space(composition.space).resize(size), load_photo(source, size))
    found = mask if isinstance(mask, SemanticMap) else SemanticMap.from_png(mask, mask_space)
    if found.size != tuple(source.shape[-2:]):
        raise UsageError(
            f"The photo {photo} has {source.shape[-1]} x {source.shape[-2]} pixels, its map {mask} {found.size[1]} x {found.size[0]}:"
            " they must show the same picture at the same size."
        )
    return Given(load_map(found, mask_space, composition.space, size), load_photo(source, size))


def space_of_masks(composition: Composition, request: Request) -> LabelSpace:
    """The label space of the given maps."""
    return request.mask_space or composition.space


def load_given(composition: Composition, request: Request, items: Sequence[int]) -> Given | None:
    """The maps and photos of a batch (item numbers, repeated per sample), or None if it starts from label sets."""
    if not request.masks and not request.photos:
        return None
    space = space_of_masks(composition, request)
    loaded: dict[int, Given] = {}
    for item in items:
        if item in loaded:
            continue
        if request.photos:
            mask = request.masks[item] if request.masks else None
            loaded[item] = photo_with_map(composition, request.photos[item], mask, space)
        else:
            loaded[item] = Given(load_map(request.masks[item], space, composition.space, composition.resolution, request.instances), None)
    photos = [loaded[i].photos for i in items]
    joined = torch.cat([p for p in photos if p is not None]) if request.photos else None
    return Given(SemanticMap.cat([loaded[i].maps for i in items]), joined)


# --- edits --------------------------------------------------------------------------------------------------------


def check_edits(generator: MaskGenerator | None, edits: Sequence[EditSpec]) -> None:
    """Raise UsageError if there is no generator, it cannot edit, or it lacks a kind; LabelError for an unknown class."""
    if generator is None:
        raise UsageError("Editing a map takes a mask generator: use zoo compose GENERATOR+SYNTHESIZER.")
    if not isinstance(generator, EditsParts):
        raise UsageError(f"{type(generator).__name__} cannot edit maps (see 'can' in: zoo list --json).")
    for spec in edits:
        if spec.kind not in generator.edits:
            raise UsageError(f"{type(generator).__name__} has no edit {spec.kind!r} (it has: {', '.join(sorted(generator.edits))}).")
        for name in spec.classes:
            generator.label_space.index(name)
        if spec.kind == "interpolate" and not isinstance(spec.other, SemanticMap) and not Path(str(spec.other)).is_file():
            raise UsageError(f"The edit {spec}: there is no file {spec.other}.")


def to_edit(spec: EditSpec, space: LabelSpace, mask_space: LabelSpace, count: int) -> Edit:
    """The written edit as the generator takes it; class names become the generator's, the other map is loaded."""
    classes = tuple(space.names[space.index(c)] for c in spec.classes)
    if spec.kind == "perturb":
        return Perturb(classes, 1.0 if spec.value is None else spec.value)
    if spec.kind == "interpolate":
        other = spec.other if isinstance(spec.other, SemanticMap) else SemanticMap.from_png(spec.other, mask_space)
        other = other.to_space(space)
        return Interpolate(classes, other if len(other) == count else other.repeat_interleave(count), 1.0 if spec.value is None else spec.value)
    return {"add": Add, "remove": Remove, "redraw": Redraw}[spec.kind](classes)


def edit_spec(edit: Edit | EditSpec) -> EditSpec:
    """An edit of the Python caller in its written form."""
    if isinstance(edit, EditSpec):
        return edit
    if isinstance(edit, Perturb):
        return EditSpec("perturb", edit.classes, edit.strength)
    if isinstance(edit, Interpolate):
        return EditSpec("interpolate", edit.classes, edit.t, edit.other)
    return EditSpec({Add: "add", Remove: "remove", Redraw: "redraw"}[type(edit)], edit.classes)


def keep_pixels(images: Tensor, given: Given, maps: SemanticMap, classes: Sequence[str]) -> Tensor:
    """Paste the photo's pixels where the photo's map and the new map both show one of these classes."""
    assert given.photos is not None
    kept = torch.zeros(256, dtype=torch.bool)
    kept[[maps.space.index(c) for c in classes]] = True
    mask = kept[given.maps.labels] & kept[maps.labels]
    return torch.where(mask[:, None], given.photos, images)
