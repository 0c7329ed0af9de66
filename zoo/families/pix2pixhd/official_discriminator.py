"""Official files of pix2pixHD's discriminator, which other systems use as it is: key mapping and detection.

They are written in two ways: layer by layer with feature matching, else one row for each scale.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from zoo.checkpoints.shapes import Shapes, compare, has, numbers, vote
from zoo.families.spade.discriminators import MultiscaleDiscriminator
from zoo.registry import Match

_LAYER = re.compile(r"scale(\d{1,3})_layer(\d{1,3})\.([01])\.(\w+)", re.ASCII)
_ROW = re.compile(r"layer(\d{1,3})\.(\d{1,3})\.(\w+)", re.ASCII)


def rename_discriminator(key: str, keys: Collection[str] = ()) -> str | None:
    """Our name of an official key (keys: all of the file), or None if the discriminator has no such key."""
    keys = keys or [key]
    if match := _LAYER.fullmatch(key):
        places = [(int(m[1]), int(m[2])) for k in keys if (m := _LAYER.fullmatch(k))]
        scale, layer, part, name = int(match[1]), int(match[2]), match[3], match[4]
        inner = 0 < layer < max(p[1] for p in places)
    elif match := _ROW.fullmatch(key):
        places = [(int(m[1]), int(m[2])) for k in keys if (m := _ROW.fullmatch(k))]
        scale, at, name = int(match[1]), int(match[2]), match[3]
        layer, part = (0, "0") if not at else ((at + 1) // 3, str((at + 1) % 3))
        inner = 0 < at < max(p[1] for p in places)
    else:
        return None
    # theirs count from the coarsest scale, ours from the finest
    head = f"discriminators.{max(p[0] for p in places) - scale}.layers.{layer}"
    return f"{head}.0.{part}.{name}" if inner else (f"{head}.{part}.{name}" if part == "0" else None)


def discriminator_names(keys: Collection[str], *, rows: bool = False) -> dict[str, str]:
    """Our keys -> their official names; the inverse of `rename_discriminator`. rows: without feature matching."""
    pattern = re.compile(r"discriminators\.(\d+)\.layers\.(\d+)\.0(?:\.([01]))?\.(\w+)")
    parts = {key: match for key in keys if (match := pattern.fullmatch(key))}
    last = max((int(m[1]) for m in parts.values()), default=0)
    names = {}
    for key, match in parts.items():
        scale, layer, part = last - int(match[1]), int(match[2]), int(match[3] or 0)
        place = f"layer{scale}.{3 * layer - 1 + part if layer else 0}" if rows else f"scale{scale}_layer{layer}.{part}"
        names[key] = f"{place}.{match[4]}"
    return names


def is_discriminator(shapes: Shapes) -> bool:
    """Whether the file has such keys, in one of the two ways."""
    return has(shapes, r"scale\d+_layer\d+\.0\.weight") or has(shapes, r"layer\d\.\d+\.weight")


def match_discriminator(
    shapes: Shapes, fields: Callable[[int], Mapping[str, Any]], defaults: type, ambiguous: tuple[str, ...]
) -> Match | None:
    """The file against the discriminator of its sizes. fields: from the number of the map's planes to config fields."""
    rows = not has(shapes, r"scale\d+_layer\d+\.0\.weight")
    first = r"layer\d\.0\.weight" if rows else r"scale\d+_layer0\.0\.weight"
    inputs = vote(shapes, (first, 1, 1)) or 4
    width = vote(shapes, (first, 0, 1)) or 64
    if rows:
        places = numbers(shapes, r"layer\d\.(\d+)\..*")
        layers = max(1, (places[-1] + 1) // 3) if places else 4
        scales = len(numbers(shapes, r"layer(\d)\.\d+\..*"))
        batch = has(shapes, r"layer\d\.\d+\.running_mean")
    else:
        layers = max(1, len(numbers(shapes, r"scale\d+_layer(\d+)\..*")) - 1)
        scales = len(numbers(shapes, r"scale(\d+)_layer\d+\..*"))
        batch = has(shapes, r"scale\d+_layer\d+\.1\.running_mean")
    norm = "batch" if batch else "instance"
    return compare(
        "discriminator",
        shapes,
        lambda: MultiscaleDiscriminator(inputs, width, layers, scales, norm, bias=True),
        lambda keys: discriminator_names(keys, rows=rows),
        fields(max(inputs - 3, 1)),
        defaults,
        ambiguous,
    )
