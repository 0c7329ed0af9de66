"""The labels of a Label Studio labeling config (XML), read without document types and entities."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.parsers import expat

from zoo.errors import LabelError
from zoo.labels import Color

CONTROLS = frozenset({"brushlabels", "bitmasklabels", "polygonlabels", "ellipselabels", "labels"})
"""Tags whose labels are drawn as regions; those of boxes, points and choices say nothing about a pixel."""
_FUNCTION = re.compile(r"rgba?\(\s*([0-9]{1,3})\s*,\s*([0-9]{1,3})\s*,\s*([0-9]{1,3})\s*(?:,[^)]*)?\)")


def is_xml(text: str) -> bool:
    """A document of tags, by its first character."""
    return text.lstrip().startswith("<")


def labels_of_config(text: str, fault: Callable[[str], LabelError]) -> list[tuple[str, Color | None]]:
    """Names (the alias where a label has one, as in the tool's exports) and colours in the order of the file.

    A label of several controls counts once. Raises what `fault` makes of: no XML, a document type, no such labels.
    """
    found: dict[str, Color | None] = {}
    stack: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag.casefold() == "label" and any(t in CONTROLS for t in stack):
            name = (attributes.get("alias") or attributes.get("value") or "").strip()
            if not name:
                raise fault("a <Label> has no value")
            found.setdefault(name, _color(attributes.get("background", "")))
        stack.append(tag.casefold())

    def doctype(*_: object) -> None:
        raise fault("it has a document type (<!DOCTYPE …>), which no labeling config needs")

    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda tag: stack.pop()
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(text.encode("utf-8"), True)
    except (expat.ExpatError, ValueError) as error:
        raise fault(f"it is not XML ({error})") from error
    if not found:
        raise fault("it has no <Label> in <BrushLabels>, <BitmaskLabels>, <PolygonLabels>, <EllipseLabels> or <Labels>")
    return list(found.items())


def _color(text: str) -> Color | None:
    """A CSS colour without its opacity; None if it is none that is known."""
    from PIL import ImageColor

    function = _FUNCTION.fullmatch(text.strip().casefold())
    if function:
        r, g, b = (min(int(n), 255) for n in function.groups())
        return r, g, b
    try:
        r, g, b = ImageColor.getrgb(text.strip())[:3]
    except ValueError:
        return None
    return r, g, b
