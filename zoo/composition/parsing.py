"""Photos to label maps from Python: `zoo.parse`."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from zoo.api import pick_device
from zoo.composition.checks.faces import face_frame, is_face_space, name_of, pixels_of
from zoo.composition.models import load_named
from zoo.composition.parsers import default_parser
from zoo.composition.request.framing import Framing, read_framing
from zoo.composition.roles import check_kind
from zoo.errors import UsageError, plain
from zoo.files.frames import cut, place
from zoo.files.images import photo_tensor
from zoo.files.opened import OpenedFiles
from zoo.files.squares import Frame, check_inside
from zoo.interfaces.models import MaskParser, Model
from zoo.labels import IGNORE, LabelSpace
from zoo.maps import SemanticMap
from zoo.registry import label_space
from zoo.registry.kinds import of_role

if TYPE_CHECKING:
    import PIL.Image


def parse(
    photo: str | Path | PIL.Image.Image | Tensor,
    *,
    parser: str | Path | Model | None = None,
    space: LabelSpace | str | None = None,
    frame: Any = None,
    crop: tuple[int, int, int, int] | None = None,
    device: str = "auto",
) -> SemanticMap:
    """The label map of a photo, at its size: what `zoo parse` writes.

    photo: a file, a PIL picture, or a float tensor [3, H, W] or [B, 3, H, W] in [0, 1] (then one map for each).
    parser: a model id, a folder or a loaded model; default: the published one that reads the classes of `space` best, those of faces where
    no space is given.
    space: label space of the result (default: the parser's). Not random.
    frame: read this square of the photo alone: "auto" (where its face is found; extra `faces`) or X,Y,SIDE[,ANGLE] as a text or numbers; the
    map still has the photo's size, and background around the frame. One frame for all photos of a tensor; a warning tells what was found.
    crop: x, y, width and height in pixels of the part that the parser reads, as it lies; the rest of the map is background. Not beside `frame`.
    Raises UsageError for a model that is no parser, a tensor of another form and a frame or crop outside the photo, DataError for a file
    that is no picture or, with `auto`, shows no face,
    LabelError for a space that shares no class with the parser's.
    """
    target = label_space(space) if isinstance(space, str) else space
    images = _tensor(photo)
    where = str(pick_device(device))
    chosen: str | Model = str(parser) if isinstance(parser, Path) else parser or default_parser(target)
    model = cast(MaskParser, load_named(chosen, where, partial(check_kind, of_role("parser"))).model)
    files = OpenedFiles()
    if frame is not None and crop is not None:
        raise UsageError(
            "<<crop>> is a part of the photo as it lies, <<frame>> a square that may be turned: give one of them."
        )
    framing = None if frame is None else read_framing(frame)
    with torch.inference_mode():
        if framing is None:
            parsed = parse_window(model, images.to(where), crop).to("cpu")
        else:
            name = name_of(photo)
            parsed = SemanticMap.cat([parse_framed(model, image, name, framing, files)[0] for image in images])
    for note in files.take_notes():
        warnings.warn(plain(note), stacklevel=2)
    return parsed if target is None else parsed.to_space(target)


def parse_framed(
    model: MaskParser, image: Tensor, name: str, framing: Framing, files: OpenedFiles
) -> tuple[SemanticMap, Frame, SemanticMap]:
    """The map of a photo float [3, H, W] in [0, 1] of which the frame alone is read: at the photo's size, background around the frame; the
    frame; and the map of the frame. Raises UsageError, DataError; what was found is noted in `files`."""
    pixels = pixels_of(image, files)
    space = model.label_space
    if space.background_index is None:
        raise UsageError(
            f"<<frame>> leaves the photo around the frame without a class, and the parser's classes ({space.name}) have no background."
        )
    if framing.auto and not is_face_space(space):
        raise UsageError(
            f'<<frame="auto">> finds faces, and the classes of the parser ({space.name}) are no parts of a face.'
        )
    frame = face_frame(pixels, name, files) if framing.auto else framing.frames[0]
    check_inside(frame, (pixels.shape[0], pixels.shape[1]), name)
    inner = model.parse(photo_tensor(cut(pixels, frame))[None].to(model.device)).to("cpu")
    cells = place(inner.labels[0].numpy(), frame, (pixels.shape[0], pixels.shape[1]), space.background_index)
    return SemanticMap.from_arrays(cells, space), frame, inner


def parse_window(model: MaskParser, images: Tensor, crop: tuple[int, int, int, int] | None) -> SemanticMap:
    """Maps [B, H, W] of photos [B, 3, H, W]; with `crop` (x, y, width, height) of this window alone, background around it (unlabeled where
    the parser's space has no background). Raises UsageError for a window that does not lie in the photo."""
    if crop is None:
        return model.parse(images)
    x, y, width, height = crop
    rows, columns = images.shape[-2:]
    if min(x, y) < 0 or min(width, height) < 1 or x + width > columns or y + height > rows:
        raise UsageError(
            f"The window {width} x {height} at {x}, {y} (<<crop>>) does not lie in the photo of {columns} x {rows} pixels."
        )
    parsed = model.parse(images[..., y : y + height, x : x + width])
    space = parsed.space
    if space.background_index is None and not space.ignore:
        raise UsageError(
            f"{space.name!r} has no background for what lies outside the window (<<crop>>): cut the photo instead."
        )
    around = IGNORE if space.background_index is None else space.background_index
    labels = torch.full((len(images), rows, columns), around, device=parsed.labels.device)
    labels[:, y : y + height, x : x + width] = parsed.labels
    return SemanticMap(labels, space)


def _tensor(photo: Any) -> Tensor:
    """float32 [B, 3, H, W] in [0, 1]. Raises UsageError, DataError."""
    if isinstance(photo, str | Path):
        return photo_tensor(OpenedFiles().photo(photo).pixels)[None]
    if isinstance(photo, Tensor):
        return _checked(photo)
    if hasattr(photo, "convert"):  # PIL, which need not be imported to be recognised
        return photo_tensor(np.array(photo.convert("RGB")))[None]
    raise UsageError(
        f"A photo is a file, a PIL picture or a float tensor [3, H, W] in [0, 1], got {type(photo).__name__}."
    )


def _checked(photo: Tensor) -> Tensor:
    fits = photo.dim() in (3, 4) and photo.shape[-3] == 3 and photo.numel() and photo.is_floating_point()
    if not fits:
        raise UsageError(
            f"A photo is a float tensor [3, H, W] or [B, 3, H, W], got {photo.dtype} {tuple(photo.shape)}."
        )
    low, high = (float(x) for x in torch.aminmax(photo.detach().float()))
    if not (low >= 0 and high <= 1):
        raise UsageError(f"The photo's values go from {low:.4g} to {high:.4g}, expected 0 to 1.")
    return photo.detach().float().reshape(-1, *photo.shape[-3:])
