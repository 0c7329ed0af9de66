"""Which square of each photo is worked on, as a request says it. No torch in here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import UsageError, shown
from zoo.files.runfiles import NAMES
from zoo.files.squares import Frame, read_frame

if TYPE_CHECKING:
    from zoo.composition.request.requests import Request

AUTO = "auto"


@dataclass(frozen=True)
class Framing:
    """auto: the frames are those of the faces that are found. frames: one for each photo in the order of `framed_photos`; with auto none
    as long as nobody has looked."""

    auto: bool
    frames: tuple[Frame, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For a manifest, which thus needs no detector to be replayed."""
        return {"auto": self.auto, "frames": [[f.x, f.y, f.side, f.angle] for f in self.frames]}


def framing_from_json(values: Any) -> Framing:
    """From a manifest. Raises KeyError, TypeError, ValueError."""
    if not isinstance(values, dict) or set(values) != {"auto", "frames"} or type(values["auto"]) is not bool:
        raise TypeError(f"{shown(repr(values), 200)} is no frame")
    frames = values["frames"]
    if not isinstance(frames, list) or len(frames) > NAMES or not (frames or values["auto"]):
        raise TypeError("frames are a list of numbers for each photo")
    return Framing(values["auto"], tuple(_read(frame) for frame in frames))


def _read(numbers: Any) -> Frame:
    if not isinstance(numbers, list) or any(type(n) not in (int, float) for n in numbers):
        raise TypeError(f"{shown(repr(numbers), 200)} is no frame")
    return read_frame(numbers)


def read_framing(value: Any) -> Framing:
    """`auto`, `X,Y,SIDE[,ANGLE]`, the same as numbers, a Frame, or several of those, one for each photo. Raises TypeError, UsageError."""
    if isinstance(value, Framing):
        return value
    given = [value] if _is_one(value) else list(value)
    if not given:
        raise TypeError
    if any(item == AUTO for item in given if isinstance(item, str)):
        if len(given) > 1:
            raise UsageError("<<frame>> is auto for all photos, or numbers for each: the two do not mix.")
        return Framing(True)
    return Framing(False, tuple(_frame(item) for item in given))


def _is_one(value: Any) -> bool:
    return isinstance(value, str | Frame) or all(isinstance(item, int | float) for item in value)


def _frame(value: Any) -> Frame:
    if isinstance(value, Frame):
        return value
    try:
        return read_frame([float(part) for part in (value.split(",") if isinstance(value, str) else value)])
    except ValueError as error:
        raise UsageError(
            f"<<frame>> takes auto, X,Y,SIDE or X,Y,SIDE,ANGLE (pixels of the upright photo, degrees), got {shown(repr(value), 200)}: {error}."
        ) from error


def framed_photos(request: Request) -> list[Any]:
    """The photos of a request that frames are for, each once: those that it starts from, then those of styles; paths, or the tensors of a
    Python caller."""
    ends = () if request.style_to is None else (request.style_to,)
    sources = (*(spec.source for spec in request.styles), *ends)
    found = list(request.photos)
    for path in (source.path for source in sources if source.kind == "photo"):
        if not any(isinstance(known, str | Path) and str(known) == str(path) for known in found):
            found.append(path)
    return found


def frame_of(request: Request, photo: Any) -> Frame | None:
    """The frame of one of these photos; None where the request has none. Raises ValueError while nobody has looked for faces."""
    if request.frame is None:
        return None
    for known, frame in zip(framed_photos(request), request.frame.frames, strict=True):
        if known is photo or (
            isinstance(photo, str | Path) and isinstance(known, str | Path) and str(known) == str(photo)
        ):
            return frame
    return None


def parse_crop(text: str) -> tuple[int, int, int, int]:
    """x, y, width and height of a window as they are written: `120,40,512,512`. Raises UsageError."""
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f'<<crop="{text}">>: expected x,y,width,height in pixels, for example 120,40,512,512.'
        ) from None
    return x, y, width, height
