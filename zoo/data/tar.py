"""A data set as one tar in the order that webdataset reads: per pair a picture, a map and a line of JSON."""

from __future__ import annotations

import io
import json
from pathlib import Path

import PIL.Image

from zoo.data.pairs import Source
from zoo.errors import DataError
from zoo.files.mapformats import MAP_FORMATS
from zoo.files.tars import TarWriter
from zoo.files.writing import write_atomic
from zoo.maps import SemanticMap


def write_tar(source: Source, path: Path, map_format: str = MAP_FORMATS[1]) -> None:
    """Write `KEY.image.png` (where the data set has photos), `KEY.map.png` and `KEY.json` for every pair, KEY its number in
    six digits; equal data gives equal bytes.

    map_format: grey by default, because webdataset's own decoders give a palette map's colours. The JSON holds `name`, `labels`
    (classes that the map shows) and `label_space`. Raises DataError if a pair cannot be read or the file not be written.
    """
    if not path.parent.is_dir():
        raise DataError(f"There is no folder {path.parent} for {path.name}.")

    def write(part: Path) -> None:
        with part.open("wb") as file:
            tar = TarWriter(file)
            for index, name in enumerate(source.names):
                photo, labels = source.read(index)
                found = SemanticMap.from_arrays(labels, source.label_space)
                if photo is not None:
                    tar.add(f"{index:06d}.image.png", _png(PIL.Image.fromarray(photo)))
                tar.add(f"{index:06d}.map.png", _png(found.to_pil(map_format=map_format)))
                told = {"name": name, "labels": list(found.label_set().names), "label_space": source.label_space.name}
                tar.add(f"{index:06d}.json", json.dumps(told).encode())
            tar.finish()

    write_atomic(path, write)


def _png(image: PIL.Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
