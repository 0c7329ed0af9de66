"""The label sets that a run draws from, in the generator's own classes, and what `balance` may do to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zoo.composition.checks.required import required_classes, sources_of
from zoo.composition.models import Models
from zoo.composition.request.labelsets import WantedSet
from zoo.composition.request.requests import Request
from zoo.errors import UsageError, few
from zoo.interfaces.label_sets import LABEL_SETS
from zoo.interfaces.models import ImageGenerator, MaskGenerator

Generator = MaskGenerator | ImageGenerator


@dataclass(frozen=True)
class Share:
    """A class that `balance` names. asked_as: as the request has it; name: the generator's; wanted: from 0 to 1; base: how often the label
    sets have it by themselves (None: not known, the model draws them in a way of its own)."""

    asked_as: str
    name: str
    wanted: float
    base: float | None

    def has(self, had: bool, number: float) -> bool:
        """Whether a sample's set gets the class. had: it has it by itself; number: uniform in (0, 1), drawn for this sample and class.

        Sets change as seldom as they can: where the class is too rare it is only put in, where it is too frequent only taken out.
        """
        if self.base is None:
            return number < self.wanted
        if self.wanted >= self.base:
            return had or number * (1 - self.base) < self.wanted - self.base
        return had and number * self.base < self.wanted


def drawn_classes(model: Generator) -> tuple[str, ...]:
    """The classes that a generator draws, by its own names, without the background."""
    space = model.label_space
    names = (space.names[space.index(name)] for name in model.channels)
    return tuple(dict.fromkeys(n for n in names if n != space.background))


def weighted_sets(model: Generator, request: Request) -> list[dict[str, Any]] | None:
    """The sets of the request with their weights (`labels`, `count`); of `labels_like` what the generator draws of them. None where
    the generator draws them itself. Raises LabelError, UsageError."""
    if request.labels_like is not None:
        return _alike(model, request.labels_like)
    if request.label_sets is not None:
        return [{"labels": wanted.labels, "count": wanted.weight} for wanted in request.label_sets]
    return None if request.labels is None else [{"labels": request.labels, "count": 1.0}]


def _alike(model: Generator, sets: Sequence[WantedSet]) -> list[dict[str, Any]]:
    space, drawn = model.label_space, set(drawn_classes(model))
    counts: dict[tuple[str, ...], float] = {}
    for wanted in sets:
        values = {value for name in wanted.labels if (value := space.find(name)) is not None}
        names = tuple(space.names[v] for v in sorted(values) if space.names[v] in drawn)
        if names:
            counts[names] = counts.get(names, 0.0) + wanted.weight
    if not counts:
        theirs = dict.fromkeys(name for wanted in sets for name in wanted.labels)
        raise UsageError(
            f"<<labels_like>>: {type(model).__name__} draws none of its classes ({few(list(theirs))}); it draws"
            f" {few(list(drawn_classes(model)))}."
        )
    return [{"labels": names, "count": count} for names, count in counts.items()]


def left_out(model: Generator, request: Request) -> list[str]:
    """The classes of `labels_like` that the generator does not draw; its background is none of them."""
    space, drawn = model.label_space, set(drawn_classes(model))
    theirs = dict.fromkeys(name for wanted in request.labels_like or () for name in wanted.labels)
    found = {name: space.find(name) for name in theirs}
    return [
        n
        for n, v in found.items()
        if (n != "background" if v is None else space.names[v] not in (*drawn, space.background))
    ]


def shares(model: Generator, request: Request) -> tuple[Share, ...]:
    """What `balance` asks for, in the order of the request, with what the label sets have by themselves.

    Raises UsageError for a class that the generator does not draw or that is named twice, and for a label set of which nothing might be
    left.
    """
    space, drawn = model.label_space, drawn_classes(model)
    source, found = _base(model, request), list[Share]()
    for asked_as, wanted in request.balance:
        name = space.names[space.index(asked_as)]
        if name not in drawn:
            raise UsageError(
                f"<<balance>>: {type(model).__name__} does not draw {name}, so that no share of it can be had; it draws"
                f" {', '.join(drawn)}."
            )
        if any(share.name == name for share in found):
            raise UsageError(f"<<balance>> names {name} twice ({asked_as}): give one share for it.")
        base = None
        if source is not None:
            base = sum(weight for names, weight in source if name in names) / sum(weight for _, weight in source)
        found.append(Share(asked_as, name, wanted, base))
    away = {share.name for share in found if share.wanted < 1}
    bare = next((names for names, _ in source or () if names <= away), None)
    if bare:
        raise UsageError(
            f"<<balance>> may take every class out of the label set {','.join(sorted(bare))}: leave one of them to the set."
        )
    return tuple(found)


def _base(model: Generator, request: Request) -> list[tuple[frozenset[str], float]] | None:
    """The sets that samples draw from before `balance`, without the background; None where only the model knows them."""
    source = weighted_sets(model, request)
    if source is None:
        usual = (MaskGenerator.sample_label_sets, ImageGenerator.sample_label_sets)
        source = model.assets.get(LABEL_SETS) if type(model).sample_label_sets in usual else None
    if not source:
        return None
    space = model.label_space
    return [
        (frozenset(n for n in space.label_set(entry["labels"]).names if n != space.background), entry["count"])
        for entry in source
    ]


def check_balance(models: Models, request: Request) -> None:
    """Raise UsageError for shares that this composition cannot bring about, or nobody could see in its maps."""
    model = models.generator or models.direct
    if model is None:
        raise UsageError("<<balance>> changes label sets, and no generator draws maps from any here: leave it out.")
    found = shares(model, request)
    if models.mapping is None:
        return
    target = dict(models.mapping.pairs)
    for share in found:
        if share.name not in target:
            raise UsageError(
                f"<<balance>>: the maps that come out have no {share.name} ({models.space.name!r} lacks it), so that nobody sees its share."
            )
    fixed = {source: name for name in required_classes(request, models.space) for source in sources_of(models, name)}
    for share in found:
        if share.name in fixed:
            raise UsageError(
                f"<<require>> wants {fixed[share.name]} in every map and <<balance>> in a share of them: name it in one of the two."
            )


def check_alike(model: Generator, request: Request) -> str:
    """What to tell of the classes of `labels_like` that are left out, or "". Raises UsageError if nothing is left."""
    weighted_sets(model, request)
    out = left_out(model, request)
    return (
        f"<<labels_like>>: {type(model).__name__} does not draw {few(out)}: left out of the label sets." if out else ""
    )
