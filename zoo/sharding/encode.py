"""The members of a sample in a tar, and what is counted of it. The same sample gives the same bytes everywhere."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import PIL.Image

from zoo.composition.run.part import Part
from zoo.files.images import RLE, to_pil
from zoo.files.pictureformats import PICTURE_FORMATS
from zoo.files.runfiles import line_of
from zoo.files.shardfiles import MAP_SUFFIX, RECORD_SUFFIX, compact, key_of, split_of
from zoo.sharding.plan import Plan

if TYPE_CHECKING:
    import numpy as np

WIDTH, HEIGHT = 9, 8
"""Pixels that a picture is reduced to for its hash."""
_FILES = ("file_name", "map_file_name", "sha256")
"""What a line of `metadata.jsonl` says of files, which a tar's members are not."""


@dataclass
class Encoded:
    """One sample. pixels: by class the pixels that show it; shown: the classes but the background (None without a map); hash: 16 hex
    digits."""

    members: list[tuple[str, bytes]]
    record: dict[str, Any]
    pixels: dict[str, int]
    shown: tuple[str, ...] | None
    hash: str


def encode(part: Part, plan: Plan) -> list[Encoded]:
    """The samples of a batch."""
    return [_sample(part, row, plan) for row in range(len(part.records))]


def _sample(part: Part, row: int, plan: Plan) -> Encoded:
    record = part.records[row]
    key, members, pixels, shown, names = key_of(record["index"]), [], {}, None, None
    if part.images is not None:
        shown = to_pil(part.images[row])
        members.append((f"{key}.image{PICTURE_FORMATS[plan.image_format]}", _picture(shown, plan)))
    if part.maps is not None:
        drawn = part.maps.to_pil(row, plan.map_format)
        members.append((f"{key}.{MAP_SUFFIX}", _written(drawn, format="PNG")))
        counts = drawn.histogram()[:256]
        pixels = {name: counts[value] for value, name in enumerate(part.maps.space.names) if counts[value]}
        names = tuple(n for n in pixels if n != part.maps.space.background)
        if shown is None:
            shown = to_pil(part.maps[row].colorize()[0])
    assert shown is not None  # a sample has one of the two
    told = {n: v for n, v in line_of(record, {}).items() if n not in _FILES}
    told |= {
        "label_space": plan.space,
        "models": dict(plan.models),
        "split": split_of(plan.seed, record["index"], plan.shares),
    }
    members.append((f"{key}.{RECORD_SUFFIX}", compact(told)))
    return Encoded(members, told, pixels, names, difference_hash(shown))


def _picture(image: PIL.Image.Image, plan: Plan) -> bytes:
    if plan.image_format == "png":
        return _written(image, format="PNG", compress_type=RLE)
    return _written(image, format="JPEG", quality=plan.quality, subsampling=0)


def _written(image: PIL.Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()


def difference_hash(image: PIL.Image.Image) -> str:
    """A perceptual hash of 64 bits as 16 hex digits (dHash): the picture in grey at 9 x 8 pixels, a bit for each pixel that is darker than
    its right neighbour. Whole numbers only, so that it is the same everywhere. Copies in another size, brightness or format differ in few
    bits; of plain areas it tells nothing."""
    import numpy as np

    small = image.convert("L").resize((WIDTH, HEIGHT), PIL.Image.Resampling.BOX)
    values: np.ndarray = np.asarray(small)
    return np.packbits(values[:, :-1] < values[:, 1:]).tobytes().hex()
