"""Scene graphs: objects by class, and how they lie to each other; a graph is a label set that says more. No torch in here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from zoo.errors import LabelError, UsageError, did_you_mean
from zoo.labels import LabelSet, LabelSpace

Relationship = tuple[int, str, int]
"""(subject, predicate, object); the first and last are places in `objects`."""


@dataclass(frozen=True)
class SceneGraph(LabelSet):
    """objects: a class for each, by the space's own names, repetitions allowed; relationships: between them. `names` are the classes
    that occur, in the space's order, as of every label set. Made by `scene_graph`."""

    objects: tuple[str, ...] = ()
    relationships: tuple[Relationship, ...] = ()


def scene_graph(
    space: LabelSpace, objects: Iterable[str], relationships: Iterable[Sequence[int | str]] = (), where: str = ""
) -> SceneGraph:
    """A graph in a label space. where: what names it in a message.

    Raises LabelError for a class that the space lacks and for its background, UsageError without an object, and for a relationship between what is none.
    """
    named = tuple(space.names[space.index(name)] for name in objects)
    if not named:
        raise UsageError(f"{where}a scene graph needs an object at least.")
    if space.background in named:
        raise LabelError(
            f"{where}the background ({space.background}) is no object of a scene graph: it is where no object is."
        )
    related = tuple(_relationship(r, len(named), where) for r in relationships)
    values = sorted({space.index(name) for name in named})
    return SceneGraph(space, tuple(space.names[v] for v in values), named, related)


def _relationship(value: Sequence[int | str], count: int, where: str) -> Relationship:
    subject, predicate, other = value
    if type(subject) is not int or type(other) is not int or not isinstance(predicate, str):
        raise UsageError(f"{where}a relationship is [subject, predicate, object], got {list(value)!r:.80}.")
    if not (0 <= subject < count and 0 <= other < count):
        raise UsageError(
            f"{where}the relationship {list(value)!r:.80} names an object that is not there: they are counted from 0 to {count - 1}."
        )
    return subject, predicate, other


def known_predicates(graphs: Iterable[SceneGraph], predicates: Sequence[str], model: str) -> None:
    """Raises LabelError for a predicate that a model does not know; `model` is its name in the message."""
    for graph in graphs:
        for _, predicate, _ in graph.relationships:
            if predicate not in predicates:
                raise LabelError(
                    f"{model} knows no predicate {predicate!r}{did_you_mean(predicate, predicates)} (known: {', '.join(predicates)})."
                )
