"""Can a map show what `require` asks for, and what `reject_empty` draws anew for?"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from zoo.composition.checks.edits import RANDOM
from zoo.composition.models import Models
from zoo.composition.request.requests import Request
from zoo.errors import UsageError
from zoo.labels import LabelSet, LabelSpace


def required_classes(request: Request, space: LabelSpace) -> tuple[str, ...]:
    """The required classes by the output space's own names, each once, in its order."""
    values = sorted({space.index(name) for name in request.require})
    return tuple(space.names[value] for value in values)


def sources_of(models: Models, name: str) -> frozenset[str]:
    """The generator's classes that become this class of the output."""
    assert models.mapping is not None
    value = models.space.index(name)
    names = models.mapping.source.names
    return frozenset(n for n, target in zip(names, models.mapping.table, strict=True) if target == value)


def could_show(models: Models, labels: LabelSet, names: Sequence[str]) -> bool:
    """Whether a map of this label set of the generator's may show all these classes of the output."""
    parts = {*labels.names, labels.space.background}
    return all(parts & sources_of(models, name) for name in names)


def empty_classes(record: Mapping[str, Any], target: Mapping[str, str], shown: Collection[str]) -> list[str]:
    """The requested classes that a sample lacks: those that its record says came out empty, and those whose counterpart in the output
    the written map does not show (target: by the generator's name; shown: the map's classes)."""
    return [n for n in record["requested"] if n in record["empty"] or (n in target and target[n] not in shown)]


def nothing_drawn(models: Models, request: Request) -> bool:
    """Whether all maps of a run are what they are, so that none can be drawn again."""
    return models.generator is None or (bool(request.edits) and not any(e.kind in RANDOM for e in request.edits))


def check_rejecting(models: Models, request: Request) -> None:
    """Raise UsageError where nothing can come out otherwise."""
    if nothing_drawn(models, request):
        raise UsageError(
            "<<reject_empty>> draws anew what came out empty, and nothing of these maps is drawn: leave it out."
        )


def check_required(models: Models, request: Request) -> None:
    """Raise UsageError for a class that no draw can bring: there is nothing random, the generator lacks it, or no label set names it."""
    if nothing_drawn(models, request):
        raise UsageError(
            "<<require>> draws again until its classes are there, and nothing of these maps is drawn: leave it out."
        )
    names = required_classes(request, models.space)
    for name in names:
        if not sources_of(models, name):
            raise UsageError(f"<<require>>: no class of the generator becomes {name}, so that no map can show it.")
    assert models.generator is not None
    space = models.generator.label_space
    more = [name for name, share in request.balance if share > 0]
    if request.sets and not any(could_show(models, space.label_set([*s, *more]), names) for s in request.sets):
        raise UsageError(
            f"<<require>>: no label set names {' and '.join(names)}, so that no map can show what is required."
        )
