"""Is there a face, and where? The frames of photos, found or held against them; what is no face is told. No torch in here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo.composition.request.framing import Framing, framed_photos
from zoo.composition.request.requests import Request
from zoo.errors import DataError, UsageError
from zoo.files import faces
from zoo.files.opened import OpenedFiles
from zoo.files.squares import Frame, check_inside
from zoo.labels import LabelSpace

EYES, NOSE = ("l_eye", "r_eye"), "nose"
LISTED = 12
NEAR = 0.5
"""A face whose own frame covers less of the photo than this share, in pixels, is told: models expect CelebA-HQ's framing."""


def is_face_space(space: LabelSpace) -> bool:
    """Whether its classes are the parts of a face: an eye and the nose, under any of their names."""
    return any(space.find(name) is not None for name in EYES) and space.find(NOSE) is not None


def check_frame(request: Request, space: LabelSpace) -> None:
    """Raise UsageError for `auto` where the models know no faces, or where faces are to be found and no detector is installed."""
    if request.frame is None or not request.frame.auto:
        return
    if not is_face_space(space):
        raise UsageError(
            f'<<frame="auto">> finds faces, and the classes of these models ({space.name}) are no parts of a face:'
            ' give the square in numbers (<<frame="X,Y,SIDE">>), or leave <<frame>> out.'
        )
    if not request.frame.frames:
        check_detector()


def check_detector() -> None:
    """Raise UsageError that says how to get one where there is no detector."""
    if not faces.installed():
        raise UsageError(faces.LACKING)


def with_frames(request: Request, space: LabelSpace, files: OpenedFiles) -> Request:
    """The request with a frame for each photo, where it asks for frames: those that it has (a replay), or those of the faces found.

    Several faces, and photos that seem to show none, are noted in `files`. Raises UsageError as `check_frame` does and for a frame outside
    its photo, DataError for a photo without a face.
    """
    check_frame(request, space)
    photos = framed_photos(request)
    if request.frame is None:
        return request
    frames = request.frame.frames
    if request.frame.auto and not frames:
        frames = tuple(face_frame(pixels_of(photo, files), name_of(photo), files) for photo in photos)
    if len(frames) != len(photos):
        raise UsageError(f"<<frame>> takes one frame for each photo (here {len(photos)}) or auto, got {len(frames)}.")
    for photo, frame in zip(photos, frames, strict=True):
        check_inside(frame, pixels_of(photo, files).shape[:2], name_of(photo))
    return replace(request, frame=Framing(request.frame.auto, frames))


def note_faces(request: Request, space: LabelSpace, files: OpenedFiles) -> None:
    """Note photos that are read whole, by a parser of faces, and seem to show none; only where a detector is installed."""
    if request.frame is not None or not is_face_space(space) or not faces.installed() or files.trusted:
        return
    mapped = _with_maps(request)
    for photo in framed_photos(request):
        if not any(photo is known for known in mapped):
            note_face(pixels_of(photo, files), name_of(photo), files)


def face_frame(pixels: np.ndarray, name: str, files: OpenedFiles) -> Frame:
    """The frame of the largest face of a photo; that there are several is noted. Raises DataError where there is none."""
    found = faces.find_faces(pixels)
    if not found:
        raise DataError(
            f"No face was found in {name}: nothing in it looks to the detector like two eyes and a nose. If there is one, say where:"
            ' <<frame="X,Y,SIDE">> (pixels of the upright photo).'
        )
    chosen = found[0].frame
    if len(found) > 1:
        listed = "; ".join(str(face.frame) for face in found[:LISTED]) + ("; …" if len(found) > LISTED else "")
        files.note(
            f'{len(found)} faces are in {name}: the largest was taken. Another one: <<frame="X,Y,SIDE,ANGLE">> with one of {listed}.'
        )
    else:
        files.note(f"The face in {name} was found in the frame {chosen}.")
    return chosen


def note_face(pixels: np.ndarray, name: str, files: OpenedFiles) -> None:
    """Note a photo that is to be read whole and seems to show no face, or one that is not framed as the models expect."""
    found = faces.find_faces(pixels, turned=False)
    if not found:
        files.note(f"{name} shows no upright face that the detector finds: what is read there may mean nothing.")
        return
    side = found[0].frame.side
    if side * side < NEAR * min(pixels.shape[:2]) ** 2:
        files.note(
            f"The face in {name} is framed by {side:g} of {pixels.shape[1]} x {pixels.shape[0]} pixels, and these models know faces"
            ' that fill the picture: <<frame="auto">> takes that part of it.'
        )


def no_face(shown: Collection[str], space: LabelSpace, name: str = "the photo") -> str:
    """What to say of a parsed map in which nothing of a face was found, or "". shown: names of the classes that it shows."""
    if not is_face_space(space):
        return ""
    parts = {space.names[i] for n in (*EYES, NOSE) if (i := space.find(n)) is not None}
    if parts & set(shown):
        return ""
    return (
        f"No eye and no nose was found in {name}: it shows no face, or none that fills the picture as in CelebA-HQ."
        ' <<frame="auto">> looks for one (extra faces), <<frame="X,Y,SIDE">> says where it is.'
    )


def pixels_of(photo: Any, files: OpenedFiles) -> np.ndarray:
    """A photo, a path or the tensor of a Python caller, as uint8 RGB [H, W, 3], upright."""
    if isinstance(photo, str | Path):
        return files.photo(photo).pixels
    values = photo.reshape(photo.shape[-3:]).permute(1, 2, 0).numpy()
    return np.rint(values * 255).clip(0, 255).astype(np.uint8)


def name_of(photo: Any) -> str:
    """How a photo is called in a sentence."""
    return str(photo) if isinstance(photo, str | Path) else "the photo"


def _with_maps(request: Request) -> list[Any]:
    """Photos whose map is given, so that nothing is read in them."""
    ends = () if request.style_to is None else (request.style_to,)
    sources = [
        s for s in (*(spec.source for spec in request.styles), *ends) if s.kind == "photo" and s.mask is not None
    ]
    return [*(request.photos if request.masks else ()), *(source.path for source in sources)]
