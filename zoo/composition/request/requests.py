"""What a composition is asked for: edits and styles in their written form, and the request as a whole. No torch in here.

EDIT    add:C[,C] | remove:C | redraw:C | perturb:C[=STRENGTH] | interpolate:C=OTHER.png[@T]
STYLE   SOURCE, or C[,C][@LAYERS]=SOURCE;  LAYERS: shallow | middle | deep or numbers, 1 the coarsest
SOURCE  PHOTO[::MASK.png] | FILE.safetensors | seed:N | prior | mean
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zoo.errors import UsageError, did_you_mean

EDIT_KINDS = ("add", "remove", "redraw", "perturb", "interpolate")
DEPTHS = ("shallow", "middle", "deep")
DEFAULT_BATCH = 8


@dataclass(frozen=True)
class EditSpec:
    """One edit as written. value: strength of `perturb`, T of `interpolate`. other: path of the other map, or a SemanticMap."""

    kind: str
    classes: tuple[str, ...]
    value: float | None = None
    other: Any = None

    def __str__(self) -> str:
        text = f"{self.kind}:{','.join(self.classes)}"
        if self.kind == "interpolate":
            return f"{text}={self.other}" + ("" if self.value is None else f"@{self.value:g}")
        return text if self.value is None else f"{text}={self.value:g}"


@dataclass(frozen=True)
class Source:
    """Where a style comes from. kind: photo, file, seed, prior, mean, style (an object of the Python caller), or given
    (the photo that a sample starts from).

    photo, mask: paths; style: a Style for kind "style".
    """

    kind: str
    path: str | None = None
    mask: str | None = None
    seed: int | None = None
    style: Any = None

    def __str__(self) -> str:
        if self.kind == "given":
            return "the photo itself"
        if self.kind == "photo":
            return f"{self.path}" + (f"::{self.mask}" if self.mask else "")
        return {"file": str(self.path), "seed": f"seed:{self.seed}"}.get(self.kind, self.kind)


@dataclass(frozen=True)
class StyleSpec:
    """A source for everything (classes None), or for some classes and layers."""

    source: Source
    classes: tuple[str, ...] | None = None
    layers: tuple[str, ...] | None = None

    def __str__(self) -> str:
        if self.classes is None:
            return str(self.source)
        return ",".join(self.classes) + (f"@{','.join(self.layers)}" if self.layers else "") + f"={self.source}"


@dataclass(frozen=True)
class Request:
    """Everything that decides a run's output, apart from the models.

    n: samples per label set, map or photo. masks, photos: paths (or, for maps, SemanticMap objects).
    mask_space: the space of the maps (None: the synthesizer's). prior: fitted, normal or None (the model's default).
    options: (key, value) pairs of the models' own sampling options, values as written or plain.
    """

    n: int = 1
    seed: int = 0
    labels: tuple[str, ...] | None = None
    masks: tuple[Any, ...] = ()
    mask_space: Any = None
    instances: str | None = None
    photos: tuple[Any, ...] = ()
    edits: tuple[EditSpec, ...] = ()
    styles: tuple[StyleSpec, ...] = ()
    style_to: Source | None = None
    keep: tuple[str, ...] = ()
    keep_rest: bool = False
    same_style: bool = False
    prior: str | None = None
    options: tuple[tuple[str, Any], ...] = ()
    batch_size: int = DEFAULT_BATCH
    device: str = "cpu"

    def __post_init__(self) -> None:
        check(self)

    @property
    def samples(self) -> int:
        """How many samples it makes."""
        return self.n * max(1, len(self.masks) or len(self.photos))


def check(request: Request) -> None:
    """Raise UsageError for what no model could answer."""
    given = [
        name
        for name, value in (("labels", request.labels is not None), ("mask", request.masks), ("photo", request.photos))
        if value
    ]
    faults = {
        f"-n must be at least 1, got {request.n}": request.n < 1,
        f"--seed must be 0 or more, got {request.seed}": request.seed < 0,
        f"--batch-size must be at least 1, got {request.batch_size}": request.batch_size < 1,
        "the label set is empty: name at least one class (--labels skin,hair)": request.labels is not None
        and not request.labels,
        "--labels with --mask or --photo: a map says itself which classes it has": request.labels is not None
        and len(given) > 1,
        "--edit needs a map: give --mask MAP.png or --photo PHOTO": bool(request.edits)
        and not (request.masks or request.photos),
        "--keep-rest needs --edit": request.keep_rest and not request.edits,
        "--keep needs --photo": bool(request.keep) and not request.photos,
        "--instances needs exactly one --mask": request.instances is not None and len(request.masks) != 1,
        f"--photo and --mask together need one of each, got {len(request.photos)} and {len(request.masks)}": bool(
            request.photos and request.masks and (len(request.photos), len(request.masks)) != (1, 1)
        ),
        "--style-to goes from one style to another: give -n 2 or more": request.style_to is not None and request.n < 2,
        "--style-to already gives each sample its own style: leave --same-style out": request.style_to is not None
        and request.same_style,
        f"--prior must be fitted or normal, got {request.prior!r}": request.prior not in (None, "fitted", "normal"),
    }
    wrong = [text for text, bad in faults.items() if bad]
    if wrong:
        text = "; ".join(wrong)
        raise UsageError(f"{text if text.startswith('-') else text[0].upper() + text[1:]}.")


def split_names(text: str) -> tuple[str, ...]:
    """`a, b,c` as names; empty parts fall out."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def split_composition(text: str) -> tuple[str, str]:
    """`GEN+SYN` as its two parts. Raises UsageError."""
    parts = text.split("+")
    if len(parts) != 2 or not all(parts):
        raise UsageError(
            f"A composition is GENERATOR+SYNTHESIZER, for example mask-vae+scgan; got {text!r} (one alone: zoo generate, zoo synth)."
        )
    return parts[0], parts[1]


def parse_options(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """`key=value` texts as pairs; a key given twice has its last value. Raises UsageError."""
    pairs: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(f"--opt takes KEY=VALUE, got {text!r}.")
        pairs[key.strip()] = value
    return tuple(pairs.items())


def parse_edit(text: str) -> EditSpec:
    """Read one EDIT. Raises UsageError with the grammar."""
    kind, colon, rest = text.partition(":")
    grammar = "add:C[,C] | remove:C | redraw:C | perturb:C[=STRENGTH] | interpolate:C=OTHER.png[@T]"
    if kind not in EDIT_KINDS:
        raise UsageError(f"Unknown edit {text!r}{did_you_mean(kind, EDIT_KINDS)} (expected {grammar})")
    names, equals, value = rest.partition("=")
    classes = split_names(names)
    if not colon or not classes:
        raise UsageError(f"The edit {text!r} names no class (expected {grammar}).")
    if kind == "perturb":
        return EditSpec(kind, classes, _number(value, text) if equals else None)
    if kind == "interpolate":
        if not value:
            raise UsageError(f"The edit {text!r} names no other map (expected interpolate:C=OTHER.png[@T]).")
        path, at, t = value.rpartition("@")
        if at and re.fullmatch(r"-?\d*\.?\d+", t):
            amount = _number(t, text)
            if not 0 <= amount <= 1:
                raise UsageError(f"The edit {text!r}: T lies between 0 (keep) and 1 (swap), got {t}.")
            return EditSpec(kind, classes, amount, path)
        return EditSpec(kind, classes, None, value)
    if equals:
        raise UsageError(f"The edit {text!r}: {kind} takes no value.")
    return EditSpec(kind, classes)


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise UsageError(f"{where!r}: expected a number, got {text!r}.") from error
    if not abs(value) < float("inf"):
        raise UsageError(f"{where!r}: expected a finite number, got {text!r}.")
    return value


def parse_source(text: str) -> Source:
    """Read one SOURCE. Raises UsageError."""
    if text in ("prior", "mean"):
        return Source(text)
    if text.startswith("seed:"):
        number = text.removeprefix("seed:")
        if not number.isdecimal():
            raise UsageError(f"{text!r}: seed:N takes a whole number of 0 or more.")
        return Source("seed", seed=int(number))
    if text.endswith(".safetensors"):
        return Source("file", text)
    photo, separator, mask = text.partition("::")
    if not photo or (separator and not mask):
        raise UsageError(
            f"Not a style source: {text!r} (expected PHOTO[::MASK.png] | FILE.safetensors | seed:N | prior | mean)."
        )
    if "/" not in text and "." not in photo:
        raise UsageError(
            f"Not a style source: {text!r}{did_you_mean(text, ('prior', 'mean', 'seed:0'))} (expected PHOTO[::MASK.png] | FILE.safetensors | seed:N | prior | mean)"
        )
    return Source("photo", photo, mask or None)


def parse_style(text: str) -> StyleSpec:
    """Read one STYLE: an `=` separates classes (and layers) from the source."""
    head, equals, source = text.partition("=")
    if not equals:
        return StyleSpec(parse_source(text))
    names, at, layers = head.partition("@")
    classes = split_names(names)
    if not classes or (at and not split_names(layers)):
        raise UsageError(f"The style {text!r} names no class or layer (expected C[,C][@LAYERS]=SOURCE).")
    for layer in split_names(layers):
        if layer not in DEPTHS and not re.fullmatch(r"[1-9]\d*", layer):
            raise UsageError(
                f"The style {text!r}: layers are {', '.join(DEPTHS)} or numbers from 1, got {layer!r}{did_you_mean(layer, DEPTHS)}"
            )
    return StyleSpec(parse_source(source), classes, split_names(layers) or None)


def layer_names(layers: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...] | None:
    """Layer numbers and depths as a model's layer names (coarsest first).

    The depths divide the layers as CLVAE's five are: the first two fifths shallow, the middle, the last two fifths deep.
    Raises UsageError for a number that is too high, or for a model without layers.
    """
    if layers is None:
        return None
    count = len(known)
    if count == 0:
        raise UsageError("This synthesizer's style has no layers: leave @LAYERS out.")
    edge = max(1, round(count * 2 / 5))
    ranges = {"shallow": range(edge), "middle": range(edge, count - edge), "deep": range(count - edge, count)}
    chosen: set[int] = set()
    for layer in layers:
        if layer in ranges:
            chosen.update(ranges[layer])
        elif int(layer) > count:
            raise UsageError(f"There is no style layer {layer}: this synthesizer has {count} ({', '.join(known)}).")
        else:
            chosen.add(int(layer) - 1)
    return tuple(known[i] for i in sorted(chosen))
