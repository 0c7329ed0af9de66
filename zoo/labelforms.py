"""What may stand in a label space that somebody else wrote: names, colours, the form of a class. No torch in here."""

from __future__ import annotations

from typing import Any

from zoo.errors import shown

NAMED = "a text of 1 to 200 characters without control characters"
TITLE = 2000
FAULTS = 10
MOST = 64
"""Most aliases, and most further colours, of a class."""


def class_fault(entry: dict[str, Any]) -> str:
    """What is wrong with the form of a class, or ""."""
    if not is_name(entry["name"]):
        return f"a name is {NAMED}"
    colors, aliases = entry.get("colors", ()), entry.get("aliases", ())
    if not isinstance(colors, list | tuple) or len(colors) > MOST:
        return f"colors are a list of at most {MOST} colors, got {shown(repr(colors))}"
    wrong = [c for c in (*([entry["color"]] if "color" in entry else ()), *colors) if not is_color(c)]
    if wrong:
        return f"a color is three integers 0..255, got {shown(repr(wrong[0]))}"
    if not isinstance(aliases, list | tuple) or len(aliases) > MOST or not all(map(is_name, aliases)):
        return f"aliases are a list of names, got {shown(repr(aliases))}"
    for key, meaning in (
        ("mirror", "its left/right counterpart"),
        ("on", "the class that it lies on"),
        ("counts_as", "the class that it counts as"),
    ):
        if entry.get(key) is not None and not is_name(entry[key]):
            return f"{key} is the name of {meaning}, got {shown(repr(entry[key]))}"
    return ""


def is_name(text: object) -> bool:
    """Whether it can be the name of a class or space."""
    return isinstance(text, str) and 0 < len(text) <= 200 and text.isprintable()


def is_color(color: object) -> bool:
    """Whether it is three integers 0..255."""
    return isinstance(color, list | tuple) and len(color) == 3 and all(type(n) is int and 0 <= n <= 255 for n in color)
