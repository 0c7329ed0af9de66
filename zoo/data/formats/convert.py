"""`zoo data convert`: the pairs of a data set, split by split, into a folder of another tool's form."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from zoo.data.files import PhotoArray
from zoo.data.formats import FORMATS
from zoo.data.formats.base import Form, Pair, png
from zoo.data.pairs import Source
from zoo.data.sharded.source import Shards
from zoo.data.specs import DataSpec, open_source, parse_spec
from zoo.errors import DataError, UsageError, did_you_mean
from zoo.files.folders import whole_folder
from zoo.files.images import turn_fault, turn_of
from zoo.labels import LabelSpace

ONLY = "train"
"""The split of a data set that has none."""


def convert(
    dataset: str | DataSpec,
    out: Path,
    to: str,
    *,
    space: LabelSpace | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Write all splits of a data set (or the one that is named) into the new folder `out`; returns what there is to be told, one line each.

    to: a key of `FORMATS`. space: as in `open_source`. Raises UsageError for an `out` that is taken or an unknown form, DataError for pairs
    that cannot be read or whose photo and map differ in size, LabelError for a label space that the form cannot hold.
    """
    if to not in FORMATS:
        raise UsageError(f"No form {to!r}{did_you_mean(to, FORMATS)} (known: {', '.join(FORMATS)}).")
    if os.path.lexists(out) and not (out.is_dir() and not out.is_symlink() and not any(out.iterdir())):
        raise UsageError(f'<<out="{out}">> exists and is not empty: name a new folder.')
    spec = parse_spec(dataset)
    whole = open_source(spec, space=space)
    splits = [spec.split] if spec.split is not None else list(whole.splits)
    parts = {split: open_source(spec.with_split(split), space=space) for split in splits} or {ONLY: whole}
    stems = _stems(parts)
    module, _, name = FORMATS[to].partition(":")
    with whole_folder(out) as folder:
        form: Form = getattr(import_module(module), name)(folder, whole.label_space)
        done = 0
        for split, part in parts.items():
            for index in range(len(part.names)):
                if progress is not None:
                    progress(done, len(stems))
                form.add(_pair(part, index, split, stems[split, index]))
                done += 1
        return form.finish()


def _stems(parts: dict[str, Source]) -> dict[tuple[str, int], str]:
    """A name of a file for every pair, which no other has: its own, with the split before it where two would be equal."""
    stems = {(split, i): _flat(name) for split, part in parts.items() for i, name in enumerate(part.names)}
    if len(set(stems.values())) < len(stems):
        stems = {(split, i): f"{split}_{stem}" for (split, i), stem in stems.items()}
    twice = [stem for stem, count in Counter(stems.values()).items() if count > 1]
    if twice:
        raise DataError(f"Two pairs would both be called {twice[0]!r}: give them other names first.")
    return stems


def _flat(name: str) -> str:
    return name.replace("/", "_").replace("\\", "_")


def _pair(source: Source, index: int, split: str, stem: str) -> Pair:
    photo, labels = source.read(index)
    where = source.origin(index) or source.names[index]
    if photo is not None and photo.shape[:2] != labels.shape:
        raise DataError(
            f"{where}: the map is {labels.shape[1]} x {labels.shape[0]}, its photo {photo.shape[1]} x {photo.shape[0]}."
            + turn_fault(source.files(index).get("photo", ""), photo.shape[:2], labels.shape[:2])
        )
    content, ending = (b"", ".png") if photo is None else picture_of(source, index, photo)
    instances = source.read_instances(index) if source.has_instances else None
    return Pair(split, stem, photo, content, ending, labels, instances)


def picture_of(source: Source, index: int, photo: PhotoArray) -> tuple[bytes, str]:
    """A picture's own file where every reader sees in it what the zoo does, else a PNG of the pixels."""
    if isinstance(source, Shards):
        content = source.image_bytes(index)
        for ending, mark in ((".png", b"\x89PNG"), (".jpg", b"\xff\xd8\xff")):
            if content.startswith(mark):
                return content, ending
    path = Path(source.files(index).get("photo", ""))
    if path.suffix.lower() in (".jpg", ".jpeg") and turn_of(path) == 1:
        content = path.read_bytes()
        if content.startswith(b"\xff\xd8\xff"):
            return content, ".jpg"
    return png(photo), ".png"
