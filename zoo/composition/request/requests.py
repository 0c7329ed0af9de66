"""What a composition is asked for, said once: each field of `Request` with its kind, its name in a Python call and its flag.

What a call, a command line and a manifest know of a request all follow from that. No torch in here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.composition.request.fields import (
    EDITS,
    FILE,
    FILES,
    FLAG,
    NAMES,
    OPTIONS,
    PHOTOS,
    SOURCE,
    SPACE,
    STYLES,
    TEXT,
    WHOLE,
    Asked,
    asked,
    asked_fields,
)
from zoo.composition.request.written import (
    EditSpec,
    StyleSource,
    StyleSpec,
    layer_names,
    parse_edit,
    parse_options,
    parse_source,
    parse_style,
    split_names,
)
from zoo.errors import UsageError, did_you_mean
from zoo.files.mapformats import MAP_FORMATS

__all__ = [
    "ARGUMENTS",
    "FIELDS",
    "FLAGS",
    "EditSpec",
    "Request",
    "StyleSource",
    "StyleSpec",
    "check_fields",
    "layer_names",
    "parse_edit",
    "parse_options",
    "parse_source",
    "parse_style",
    "read_request",
    "split_composition",
    "split_names",
]

DEFAULT_BATCH = 8


@dataclass(frozen=True)
class Request:
    """Everything that decides a run's output, apart from the models.

    n: samples per label set, map or photo. masks, photos: paths (or, for maps, SemanticMap objects).
    mask_space: the space of the maps (None: the synthesizer's). trust_maps: their numbers are in its order, whatever shows.
    prior: fitted, normal or None (the model's default). options: (key, value) pairs of the models' own sampling options, values
    as written or plain. map_format: how maps are written, palette or grey (`zoo.files.mapformats.MAP_FORMATS`). device is the models', not
    asked for here.
    """

    n: int = field(default=1, metadata=asked(WHOLE, flag="-n"))
    seed: int = field(default=0, metadata=asked(WHOLE))
    labels: tuple[str, ...] | None = field(default=None, metadata=asked(NAMES))
    masks: tuple[Any, ...] = field(default=(), metadata=asked(FILES, argument="maps", flag="--mask"))
    mask_space: Any = field(default=None, metadata=asked(SPACE))
    trust_maps: bool = field(default=False, metadata=asked(FLAG, later=True))
    instances: str | None = field(default=None, metadata=asked(FILE))
    photos: tuple[Any, ...] = field(default=(), metadata=asked(PHOTOS, flag="--photo"))
    edits: tuple[EditSpec, ...] = field(default=(), metadata=asked(EDITS, flag="--edit"))
    styles: tuple[StyleSpec, ...] = field(default=(), metadata=asked(STYLES, argument="style"))
    style_to: StyleSource | None = field(default=None, metadata=asked(SOURCE))
    keep: tuple[str, ...] = field(default=(), metadata=asked(NAMES))
    keep_rest: bool = field(default=False, metadata=asked(FLAG))
    same_style: bool = field(default=False, metadata=asked(FLAG))
    prior: str | None = field(default=None, metadata=asked(TEXT))
    options: tuple[tuple[str, Any], ...] = field(default=(), metadata=asked(OPTIONS, flag="--opt"))
    batch_size: int = field(default=DEFAULT_BATCH, metadata=asked(WHOLE))
    map_format: str = field(default=MAP_FORMATS[0], metadata=asked(TEXT, later=True))
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def samples(self) -> int:
        """How many samples it makes."""
        return self.n * max(1, len(self.masks) or len(self.photos))


FIELDS: tuple[Asked, ...] = asked_fields(Request)
"""In the order of a manifest."""
ARGUMENTS = {f.argument: f for f in FIELDS}
FLAGS = {f.argument: f.flag for f in FIELDS}
"""The command line's flag for each argument of a call."""


def read_request(given: Mapping[str, Any], *, device: str = "cpu") -> Request:
    """The request of a call's arguments: texts as on the command line, or their written forms; None: the default.

    Raises UsageError, LabelError.
    """
    unknown = [a for a in given if a not in ARGUMENTS]
    if unknown:
        near = did_you_mean(unknown[0], ARGUMENTS)
        raise UsageError(f"No option {', '.join(map(repr, unknown))}{near} (known: {', '.join(ARGUMENTS)}).")
    values = {ARGUMENTS[a].name: ARGUMENTS[a].read(v) for a, v in given.items() if v is not None}
    return Request(**values, device=device)


def check_fields(request: Request) -> None:
    """Raise UsageError for what no model could answer."""
    given = [request.labels is not None, bool(request.masks), bool(request.photos)]
    faults = {
        f"<<n>> must be at least 1, got {request.n}": request.n < 1,
        f"<<seed>> must be 0 or more, got {request.seed}": request.seed < 0,
        f"<<batch_size>> must be at least 1, got {request.batch_size}": request.batch_size < 1,
        'the label set is empty: name at least one class (<<labels="skin,hair">>)': request.labels is not None
        and not request.labels,
        "<<labels>> with <<maps>> or <<photos>>: a map says itself which classes it has": request.labels is not None
        and sum(given) > 1,
        '<<edits>> needs a map: give <<maps="MAP.png">> or <<photos="PHOTO">>': bool(request.edits)
        and not (request.masks or request.photos),
        "<<keep_rest>> needs <<edits>>": request.keep_rest and not request.edits,
        "<<keep>> needs <<photos>>": bool(request.keep) and not request.photos,
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


def split_composition(text: str) -> tuple[str, str]:
    """`GEN+SYN` as its two parts. Raises UsageError."""
    parts = text.split("+")
    if len(parts) != 2 or not all(parts):
        raise UsageError(
            f"A composition is GENERATOR+SYNTHESIZER, for example mask-vae+scgan; got {text!r} (one alone: zoo generate, zoo synth)."
        )
    return parts[0], parts[1]
