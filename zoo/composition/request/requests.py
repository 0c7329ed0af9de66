"""What a composition is asked for, said once: each field of `Request` with its kind, its name in a Python call and its flag.

What a call, a command line and a manifest know of a request all follow from that. No torch in here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.composition.request.faults import TRIES, check_fields
from zoo.composition.request.fields import (
    AGAIN,
    EDITS,
    FILE,
    FILES,
    FLAG,
    FRAMES,
    GRAPHS,
    LIKENESS,
    NAMES,
    OPTIONS,
    PHOTOS,
    SETS,
    SHARES,
    SIZE,
    SOURCE,
    SPACE,
    STYLES,
    TEXT,
    WHOLE,
    Asked,
    asked,
    asked_fields,
)
from zoo.composition.request.framing import Framing
from zoo.composition.request.labelsets import WantedSet, spread_labels
from zoo.composition.request.scenegraphs import WantedGraph
from zoo.composition.request.shares import Shares
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

    n: samples per map, photo or scene graph; without them, in all. labels: the classes of every map; label_sets: several sets, of which each
    sample draws one by weight, from its own stream; labels_like: the same of sets counted in something real, without what the generator
    does not draw. balance: (class, share) pairs: so many of all samples get the class, whatever their sets say.
    graphs: scene graphs, n samples of each. require: classes that the maps shall show, drawn again (`tries` times at most). reject_empty:
    how often a sample in which a class came out empty is drawn anew, of the same label set (0: it stays).
    masks, photos: paths (or, for maps, SemanticMap objects).
    mask_space: the space of the maps (None: the synthesizer's). trust_maps: their numbers are in its order, whatever shows.
    prior: fitted, normal or None (the model's default). options: (key, value) pairs of the models' own sampling options, values
    as written or plain. map_format: how maps are written, palette or grey (`zoo.files.mapformats.MAP_FORMATS`). image_format, quality:
    how pictures are, png or jpeg (`zoo.files.pictureformats`). size: (width, height) of both where it is not the models', which work
    at their own all the same. frame: which square of each photo (and of its map) is worked on, `auto`: where its face is found; paste: what
    comes out is blended back into the photo at its own size. device is the models', not asked for here.
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
    label_sets: tuple[WantedSet, ...] | None = field(default=None, metadata=asked(SETS, later=True))
    graphs: tuple[WantedGraph, ...] | None = field(default=None, metadata=asked(GRAPHS, flag="--graph", later=True))
    require: tuple[str, ...] = field(default=(), metadata=asked(NAMES, later=True))
    tries: int = field(default=TRIES, metadata=asked(WHOLE, later=True))
    size: tuple[int, int] | None = field(default=None, metadata=asked(SIZE, later=True))
    image_format: str = field(default="png", metadata=asked(TEXT, flag="--format", later=True))
    quality: int | None = field(default=None, metadata=asked(WHOLE, later=True))
    frame: Framing | None = field(default=None, metadata=asked(FRAMES, later=True))
    paste: bool = field(default=False, metadata=asked(FLAG, later=True))
    labels_like: tuple[WantedSet, ...] | None = field(default=None, metadata=asked(LIKENESS, later=True))
    balance: Shares = field(default=(), metadata=asked(SHARES, later=True))
    reject_empty: int = field(default=0, metadata=asked(AGAIN, later=True))
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def samples(self) -> int:
        """How many samples it makes."""
        return self.n * max(1, len(self.masks) or len(self.photos) or len(self.graphs or ()))

    @property
    def sets(self) -> tuple[tuple[str, ...], ...]:
        """The label sets that it names (those of its graphs, too); none where they are drawn as the training data, or other data, had
        them."""
        if self.graphs is not None:
            return tuple(tuple(dict.fromkeys(graph.objects)) for graph in self.graphs)
        return (self.labels,) if self.labels is not None else tuple(wanted.labels for wanted in self.label_sets or ())


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
    values = {ARGUMENTS[a].name: ARGUMENTS[a].read(v) for a, v in spread_labels(given).items() if v is not None}
    return Request(**values, device=device)


def split_composition(text: str) -> tuple[str, str]:
    """`GEN+SYN` as its two parts. Raises UsageError."""
    parts = text.split("+")
    if len(parts) != 2 or not all(parts):
        raise UsageError(
            f"A composition is GENERATOR+SYNTHESIZER, for example mask-vae+scgan; got {text!r} (one alone: zoo generate, zoo synth)."
        )
    return parts[0], parts[1]
