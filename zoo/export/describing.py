"""The JSON beside the files: label space, channel order, what goes in and comes out, the limits of labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.interfaces.exports import MAIN, Exports, Graph, Port
from zoo.interfaces.models import Model
from zoo.labels import IGNORE, LabelSpace
from zoo.version import __version__

FORMAT = 1


def describe(
    model: Model, exports: Exports, facts: Mapping[str, Any], files: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """What the JSON file holds. facts: of the model (name, architecture, kind, digest); files: by graph its file and digest."""
    space = model.label_space
    return {
        "zoo": "export",
        "version": FORMAT,
        "made_by": __version__,
        **facts,
        "resolution": list(model.resolution),
        "channels": list(model.channels),
        "label_space": label_space(space),
        "labels": {"least": 0, "most": len(space) - 1, "unlabeled": IGNORE if space.ignore else None},
        "main": MAIN.get(str(facts.get("kind")), exports.graphs[0].name),
        "graphs": {g.name: {**files[g.name], **_graph(g)} for g in exports.graphs},
        "recipe": dict(exports.recipe),
    }


def label_space(space: LabelSpace) -> dict[str, Any]:
    """The classes by number, with their colours."""
    classes = [
        {"name": name, "color": f"#{r:02x}{g:02x}{b:02x}"}
        for name, (r, g, b) in zip(space.names, space.palette, strict=True)
    ]
    return {"name": space.name, "classes": classes, "background": space.background_index}


def _graph(graph: Graph) -> dict[str, Any]:
    return {
        "about": graph.about,
        "inputs": [_port(p) for p in graph.inputs],
        "outputs": [_port(p) for p in graph.outputs],
    }


def _port(port: Port) -> dict[str, Any]:
    keys = {"keys": [list(k) for k in port.keys]} if port.keys else {}
    return {
        "name": port.name,
        "holds": port.content,
        "dtype": port.dtype,
        "shape": ["batch", *port.shape],
        "axes": ["sample", *port.axes],
        "about": port.about,
        **keys,
    }
