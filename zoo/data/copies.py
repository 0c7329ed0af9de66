"""Pictures that lie in more than one split of a data set: what is learnt there cannot be measured there."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np

from zoo.data.files import LabelArray, PhotoArray
from zoo.data.pairs import Source
from zoo.data.specs import DataSpec, open_source
from zoo.errors import ZooError


def splits_by_file(spec: DataSpec, source: Source) -> dict[str, tuple[str, ...]]:
    """The splits of each photo (or map, where there are no photos) by its path; {} for one split, and for drawn data."""
    if spec.split is not None or len(source.splits) < 2 or not source.names or not source.origin(0):
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for split in source.splits:
        try:
            part = open_source(spec.with_split(split), space=source.label_space)
        except ZooError:
            continue  # an empty split
        for index in range(len(part.names)):
            path = part.origin(index)
            found[path] = (*found.get(path, ()), split)
    return found


@dataclass
class Copies:
    """Compares the pictures of all splits as they are read: same pixels, whatever the names and formats of the files."""

    splits: dict[str, tuple[str, ...]]
    _seen: dict[bytes, list[str]] = field(default_factory=dict)

    def look(self, source: Source, index: int, photo: PhotoArray | None, labels: LabelArray) -> None:
        """Remember one pair."""
        if self.splits:
            pixels = labels if photo is None else photo
            digest = hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).digest()
            self._seen.setdefault(digest, []).append(source.origin(index))

    def problems(self) -> list[str]:
        """A line for each picture that lies in several splits."""
        lines = [f"{path} is in the splits {' and '.join(s)}" for path, s in self.splits.items() if len(s) > 1]
        for paths in self._seen.values():
            by_split = {self.splits.get(p, ("",))[0]: p for p in reversed(paths)}
            by_split.pop("", None)
            if len(by_split) > 1:
                told = [f"{path} ({split})" for split, path in sorted(by_split.items())]
                lines.append(f"the same picture is in several splits: {', '.join(told)}")
        return lines
