"""Scene graphs of a request: from a JSON file of the form of the sg2im paper, from Python, or from a manifest. No torch in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.composition.request.written import is_label
from zoo.errors import UsageError, did_you_mean
from zoo.files.jsonfiles import named, read_json
from zoo.files.runfiles import NAMES
from zoo.graphs import SceneGraph, scene_graph
from zoo.labels import LabelSpace

MAX_GRAPHS = 10_000
MAX_BYTES = 16 * 2**20
"""Of a file of graphs."""
FORM = '{"objects": ["sky-other", "grass"], "relationships": [[0, "above", 1]]}, or a list of such'
KEYS = ("objects", "relationships")
OWN = ("__image__", "__in_image__")
"""What the authors' programs add to a graph; ours do it themselves."""


@dataclass(frozen=True)
class WantedGraph:
    """A scene graph as written: class names, and (subject, predicate, object) with places among them."""

    objects: tuple[str, ...]
    relationships: tuple[tuple[int, str, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For a manifest: the form of a file."""
        return {"objects": list(self.objects), "relationships": [list(r) for r in self.relationships]}


def read_graphs(value: Any) -> tuple[WantedGraph, ...]:
    """Graphs of a caller: a JSON file's path, a dict of that form, a WantedGraph, or a sequence of any of these.

    Raises TypeError for another thing, UsageError for a graph that is none, DataError for a file that cannot be read.
    """
    if isinstance(value, Mapping | WantedGraph | str | Path):
        value = (value,)
    if not isinstance(value, Sequence):
        raise TypeError
    found: list[WantedGraph] = []
    for number, item in enumerate(value):
        if isinstance(item, str | Path):
            found += _of_file(Path(item))
        elif isinstance(item, WantedGraph):
            found.append(item)
        elif isinstance(item, Mapping):
            found.append(_graph(item, f"<<graphs>>: graph {number}: "))
        else:
            raise TypeError
    if not 1 <= len(found) <= MAX_GRAPHS:
        raise UsageError(f"<<graphs>>: 1 to {MAX_GRAPHS} scene graphs can be asked for, got {len(found)}.")
    return tuple(found)


def _of_file(path: Path) -> list[WantedGraph]:
    content = read_json(path, object, error=UsageError, what="a file of scene graphs", limit=MAX_BYTES, by_hand=True)
    if isinstance(content, Mapping):
        return [_graph(content, f"{path}: ")]
    if not isinstance(content, list) or not content:
        raise UsageError(f"{path}: scene graphs are written {FORM}, got {named(content)}.")
    return [_graph(entry, f"{path}: graph {number}: ") for number, entry in enumerate(content[: MAX_GRAPHS + 1])]


def _graph(value: Any, where: str) -> WantedGraph:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where}a scene graph is written {FORM}, got {named(value)}.")
    unknown = [k for k in value if k not in KEYS]
    if unknown:
        near = did_you_mean(str(unknown[0]), KEYS)
        raise UsageError(f"{where}a scene graph has objects and relationships, got {named(unknown[0])}{near or '.'}")
    objects, relationships = value.get("objects"), value.get("relationships", [])
    if not isinstance(objects, list | tuple) or not objects:
        raise UsageError(f'{where}"objects" is a list of class names, at least one, got {named(objects)}.')
    if not isinstance(relationships, list | tuple):
        raise UsageError(
            f'{where}"relationships" is a list of [subject, predicate, object], got {named(relationships)}.'
        )
    if max(len(objects), len(relationships)) > NAMES:
        raise UsageError(
            f"{where}a scene graph has at most {NAMES} objects and as many relationships, got {len(objects)} and {len(relationships)}."
        )
    for number, name in enumerate(objects):
        if not isinstance(name, str) or not is_label(name):
            raise UsageError(f"{where}object {number} is no class name: {named(name)}.")
        _not_own(name, where)
    return WantedGraph(
        tuple(objects), tuple(_relationship(r, i, len(objects), where) for i, r in enumerate(relationships))
    )


def _relationship(value: Any, number: int, count: int, where: str) -> tuple[int, str, int]:
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise UsageError(f"{where}relationship {number} is no [subject, predicate, object]: {named(value)}.")
    subject, predicate, other = value
    if not isinstance(predicate, str) or not is_label(predicate):
        raise UsageError(f"{where}the predicate of relationship {number} is no name: {named(predicate)}.")
    _not_own(predicate, where)
    for place in (subject, other):
        if type(place) is not int or not 0 <= place < count:
            raise UsageError(
                f"{where}relationship {number} names object {named(place)}: objects are numbers from 0 to {count - 1}."
            )
    return subject, predicate, other


def _not_own(name: str, where: str) -> None:
    if name in OWN:
        raise UsageError(f"{where}{name} is added by the model to every graph: leave it out.")


def graphs_in(space: LabelSpace, graphs: Sequence[WantedGraph]) -> list[SceneGraph]:
    """The graphs in a label space. Raises LabelError for an object that it lacks, or that is its background."""
    return [scene_graph(space, graph.objects, graph.relationships) for graph in graphs]


def graphs_from_json(values: Any) -> tuple[WantedGraph, ...]:
    """The graphs of a manifest. Raises TypeError, UsageError."""
    if not isinstance(values, list) or not all(isinstance(v, dict) for v in values):
        raise TypeError(f"{named(values)} is no list of scene graphs")
    return read_graphs(values)
