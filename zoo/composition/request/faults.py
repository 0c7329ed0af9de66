"""What no model could answer: numbers out of bounds, and arguments that exclude or need each other. No torch in here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.composition.request.framing import framed_photos
from zoo.errors import UsageError
from zoo.files.mapformats import MAP_FORMATS
from zoo.files.pictureformats import PICTURE_FORMATS

if TYPE_CHECKING:
    from zoo.composition.request.requests import Request

TRIES = 100
"""How often a sample is drawn at most until it shows the required classes."""
MOST = {"n": 10_000_000, "seed": 2**64 - 1, "batch_size": 65_536, "tries": 10_000, "reject_empty": 10_000}
SAMPLES = 10_000_000
SIDES = (8, 8192)
"""Pixels of a side of a picture that may be asked for."""


def check_fields(request: Request) -> None:
    """Raise UsageError for what no model could answer."""
    maps = bool(request.masks or request.photos)
    named = [name for name in ("labels", "label_sets", "labels_like", "graphs") if getattr(request, name) is not None]
    faults = {
        f"<<n>> must be at least 1, got {request.n}": request.n < 1,
        **{
            f"<<{name}>> may be at most {most}, got {getattr(request, name)}": getattr(request, name) > most
            for name, most in MOST.items()
        },
        f"a run makes at most {SAMPLES} samples, got {request.samples}": request.samples > SAMPLES
        and request.n <= MOST["n"],
        f"<<seed>> must be 0 or more, got {request.seed}": request.seed < 0,
        f"<<batch_size>> must be at least 1, got {request.batch_size}": request.batch_size < 1,
        'the label set is empty: name at least one class (<<labels="skin,hair">>)': request.labels is not None
        and not request.labels,
        f"<<{named[0] if named else ''}>> with <<maps>> or <<photos>>: a map says itself which classes it has": bool(
            named
        )
        and maps,
        f"{' and '.join(f'<<{name}>>' for name in named)} both say the label sets: give one of the two": len(named) > 1,
        "<<tries>> counts how often <<require>> draws: name classes there": not request.require
        and request.tries != TRIES,
        f"<<tries>> must be at least 1, got {request.tries}": request.tries < 1,
        f"<<reject_empty>> must be 0 or more, got {request.reject_empty}": request.reject_empty < 0,
        "<<reject_empty>> needs maps that are drawn: leave <<maps>> and <<photos>> out, or edit them (<<edits>>)": bool(
            request.reject_empty
        )
        and maps
        and not request.edits,
        "<<balance>> with <<maps>> or <<photos>>: a map says itself which classes it has": bool(request.balance)
        and maps,
        "<<balance>> with <<graphs>>: a scene graph says itself which classes it has": bool(request.balance)
        and request.graphs is not None,
        "<<require>> needs maps that are drawn: leave <<maps>> and <<photos>> out, or edit them (<<edits>>)": bool(
            request.require
        )
        and maps
        and not request.edits,
        f"<<size>> takes {SIDES[0]} to {SIDES[1]} pixels a side, got {_by(request.size)}": request.size is not None
        and not all(SIDES[0] <= side <= SIDES[1] for side in request.size),
        f"<<image_format>> must be {' or '.join(PICTURE_FORMATS)}, got {request.image_format!r}": request.image_format
        not in PICTURE_FORMATS,
        f"<<quality>> goes from 1 to 100, got {request.quality}": request.quality is not None
        and not 1 <= request.quality <= 100,
        '<<quality>> is of JPEG: give <<image_format="jpeg">>': request.quality is not None
        and request.image_format != "jpeg",
        '<<edits>> needs a map: give <<maps="MAP.png">> or <<photos="PHOTO">>': bool(request.edits)
        and not (request.masks or request.photos),
        "<<keep_rest>> needs <<edits>>": request.keep_rest and not request.edits,
        "<<keep>> needs <<photos>>": bool(request.keep) and not request.photos,
        **_frame_faults(request),
        "<<instances>> needs exactly one map (<<maps>>)": request.instances is not None and len(request.masks) != 1,
        f"<<photos>> and <<maps>> together need one of each, got {len(request.photos)} and {len(request.masks)}": bool(
            request.photos and request.masks and (len(request.photos), len(request.masks)) != (1, 1)
        ),
        "<<style_to>> goes from one style to another: give <<n=2>> or more": request.style_to is not None
        and request.n < 2,
        "<<style_to>> already gives each sample its own style: leave <<same_style>> out": request.style_to is not None
        and request.same_style,
        f"<<prior>> must be fitted or normal, got {request.prior!r}": request.prior not in (None, "fitted", "normal"),
        f"<<map_format>> must be {' or '.join(MAP_FORMATS)}, got {request.map_format!r}": request.map_format
        not in MAP_FORMATS,
    }
    wrong = [text for text, bad in faults.items() if bad]
    if wrong:
        text = "; ".join(wrong)
        raise UsageError(f"{text if text.startswith('<<') else text[0].upper() + text[1:]}.")


def _frame_faults(request: Request) -> dict[str, bool]:
    """What is wrong with the frames of photos."""
    photos = framed_photos(request)
    frames = request.frame.frames if request.frame is not None else ()
    return {
        "<<frame>> needs a photo: <<photos>>, or a style from one": request.frame is not None and not photos,
        f"<<frame>> takes one frame for each photo (here {len(photos)}) or auto, got {len(frames)}": bool(photos)
        and bool(frames)
        and len(frames) != len(photos),
        "<<paste>> needs <<photos>> and their <<frame>>": request.paste
        and (not request.photos or request.frame is None),
        "<<paste>> keeps the photo's own size: leave <<size>> out": request.paste and request.size is not None,
    }


def _by(size: tuple[int, int] | None) -> str:
    return "" if size is None else f"{size[0]} x {size[1]}"
