"""Can a map show what `require` asks for?"""

from __future__ import annotations

from collections.abc import Sequence

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


def check_required(models: Models, request: Request) -> None:
    """Raise UsageError for a class that no draw can bring: there is nothing random, the generator lacks it, or no label set names it."""
    if models.generator is None or (request.edits and not any(e.kind in RANDOM for e in request.edits)):
        raise UsageError(
            "<<require>> draws again until its classes are there, and nothing of these maps is drawn: leave it out."
        )
    names = required_classes(request, models.space)
    for name in names:
        if not sources_of(models, name):
            raise UsageError(f"<<require>>: no class of the generator becomes {name}, so that no map can show it.")
    space = models.generator.label_space
    if request.sets and not any(could_show(models, space.label_set(labels), names) for labels in request.sets):
        raise UsageError(
            f"<<require>>: no label set names {' and '.join(names)}, so that no map can show what is required."
        )
