"""Edits and styles in their written form: what a caller types, and what a manifest keeps. No torch in here.

EDIT    add:C[,C] | remove:C | redraw:C | perturb:C[=STRENGTH] | interpolate:C=OTHER.png[@T]
STYLE   SOURCE, or C[,C][@LAYERS]=SOURCE;  LAYERS: shallow | middle | deep or numbers, 1 the coarsest
SOURCE  PHOTO[::MASK.png] | FILE.safetensors | seed:N | prior | mean
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from zoo.errors import UsageError, did_you_mean
from zoo.files.runfiles import NAMES

EDIT_KINDS = ("add", "remove", "redraw", "perturb", "interpolate")
LONGEST = 200
"""Letters of a class's name."""
DEPTHS = ("shallow", "middle", "deep")
LARGEST = 10**40
"""The largest seed in a manifest."""


class Add(Protocol):
    """Takes a file or an object into a run folder; returns its name there. photo: the file is a photo (copied without metadata)."""

    def __call__(self, value: Any, photo: bool = False, /) -> str: ...


File = Callable[[Any], str]
"""The path of such a name; raises TypeError for what is no name."""


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

    def to_json(self, add: Add) -> dict[str, Any]:
        """For a manifest; `add` gives a file or object its name in the run folder."""
        other = None if self.other is None else add(self.other)
        return {"kind": self.kind, "classes": list(self.classes), "value": self.value, "other": other}

    @classmethod
    def from_json(cls, values: Any, file: File) -> EditSpec:
        """From a manifest; `file` gives the path of such a name. Raises KeyError, TypeError."""
        kind, classes, value, other = _items(values, "kind", "classes", "value", "other")
        most = {"perturb": 1e6, "interpolate": 1}.get(kind) if isinstance(kind, str) else None
        fits = value is None or (type(value) in (int, float) and most is not None and abs(value) <= most)
        if kind not in EDIT_KINDS or not fits or (kind == "interpolate") != (other is not None):
            raise TypeError(f"no edit: {shown(values)}")
        if kind == "interpolate" and value is not None and value < 0:
            raise TypeError(f"no edit: {shown(values)}")
        return cls(kind, names_from_json(classes), value, None if other is None else file(other))


@dataclass(frozen=True)
class StyleSource:
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

    def to_json(self, add: Add) -> dict[str, Any]:
        """For a manifest; a style object becomes a file of styles."""
        if self.kind == "style":
            return {"kind": "file", "path": add(self.style), "mask": None, "seed": None}
        path = None if self.path is None else add(self.path, self.kind == "photo")
        mask = None if self.mask is None else add(self.mask)
        return {"kind": self.kind, "path": path, "mask": mask, "seed": self.seed}

    @classmethod
    def from_json(cls, values: Any, file: File) -> StyleSource:
        """From a manifest. Raises KeyError, TypeError."""
        kind, path, mask, seed = _items(values, "kind", "path", "mask", "seed")
        needed = {"photo": path, "file": path, "seed": seed, "prior": kind, "mean": kind}
        right = isinstance(kind, str) and needed.get(kind) is not None and (mask is None or kind == "photo")
        if not right or not (seed is None or (type(seed) is int and 0 <= seed <= LARGEST)):
            raise TypeError(f"no source of a style: {shown(values)}")
        path, mask = (None if p is None else file(p) for p in (path, mask))
        return cls(kind, path, mask, seed)


@dataclass(frozen=True)
class StyleSpec:
    """A source for everything (classes None), or for some classes and layers."""

    source: StyleSource
    classes: tuple[str, ...] | None = None
    layers: tuple[str, ...] | None = None

    def __str__(self) -> str:
        if self.classes is None:
            return str(self.source)
        return ",".join(self.classes) + (f"@{','.join(self.layers)}" if self.layers else "") + f"={self.source}"

    def to_json(self, add: Add) -> dict[str, Any]:
        """For a manifest."""
        source = self.source.to_json(add)
        classes, layers = (names and list(names) for names in (self.classes, self.layers))
        return {"source": source, "classes": classes, "layers": layers}

    @classmethod
    def from_json(cls, values: Any, file: File) -> StyleSpec:
        """From a manifest. Raises KeyError, TypeError."""
        source, classes, layers = _items(values, "source", "classes", "layers")
        classes, layers = (None if n is None else names_from_json(n) for n in (classes, layers))
        wrong = [n for n in layers or () if not _is_layer(n)]
        if wrong or classes == () or layers == () or (layers and classes is None):
            raise TypeError(f"no style: {shown(values)}")
        return cls(StyleSource.from_json(source, file), classes, layers)


def _items(values: Any, *keys: str) -> list[Any]:
    if not isinstance(values, dict):
        raise TypeError(f"{shown(values)} is no JSON object")
    return [values[k] for k in keys]


def names_from_json(values: Any) -> tuple[str, ...]:
    """A JSON list of names. Raises TypeError."""
    if (
        not isinstance(values, list)
        or len(values) > NAMES
        or not all(isinstance(v, str) and is_label(v) for v in values)
    ):
        raise TypeError(f"{shown(values)} is no list of names")
    return tuple(values)


def shown(value: Any) -> str:
    """A value of a manifest in a message: as Python has it, and short."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def is_label(text: str) -> bool:
    """What may be a class's name: one short line."""
    return 0 < len(text) <= LONGEST and text.isprintable()


def split_names(text: str) -> tuple[str, ...]:
    """`a, b,c` as names; empty parts fall out."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def parse_options(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """`key=value` texts as pairs; a key given twice has its last value. Raises UsageError."""
    pairs: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(f"<<options>> takes KEY=VALUE, got {text!r}.")
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
        if at and re.fullmatch(r"-?\d*\.?\d+", t) and not os.path.isfile(value):
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


def parse_source(text: str) -> StyleSource:
    """Read one SOURCE. Raises UsageError."""
    if text in ("prior", "mean"):
        return StyleSource(text)
    if text.startswith("seed:"):
        number = text.removeprefix("seed:")
        if not number.isdecimal():
            raise UsageError(f"{text!r}: seed:N takes a whole number of 0 or more.")
        return StyleSource("seed", seed=int(number))
    if text.endswith(".safetensors"):
        return StyleSource("file", text)
    photo, separator, mask = text.partition("::")
    if not photo or (separator and not mask):
        raise UsageError(
            f"Not a style source: {text!r} (expected PHOTO[::MASK.png] | FILE.safetensors | seed:N | prior | mean)."
        )
    if "/" not in text and "." not in photo:
        raise UsageError(
            f"Not a style source: {text!r}{did_you_mean(text, ('prior', 'mean', 'seed:0'))} (expected PHOTO[::MASK.png] | FILE.safetensors | seed:N | prior | mean)"
        )
    return StyleSource("photo", photo, mask or None)


def parse_style(text: str) -> StyleSpec:
    """Read one STYLE: an `=` separates classes (and layers) from the source, unless the whole text names a file that is there."""
    head, equals, source = text.partition("=")
    if not equals or os.path.isfile(text.partition("::")[0]):
        return StyleSpec(parse_source(text))
    names, at, layers = head.partition("@")
    classes = split_names(names)
    if not classes or (at and not split_names(layers)):
        raise UsageError(f"The style {text!r} names no class or layer (expected C[,C][@LAYERS]=SOURCE).")
    for layer in split_names(layers):
        if not _is_layer(layer):
            raise UsageError(
                f"The style {text!r}: layers are {', '.join(DEPTHS)} or numbers from 1, got {layer!r}{did_you_mean(layer, DEPTHS)}"
            )
    return StyleSpec(parse_source(source), classes, split_names(layers) or None)


def _is_layer(text: str) -> bool:
    return text in DEPTHS or re.fullmatch(r"[1-9]\d{0,5}", text) is not None


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
