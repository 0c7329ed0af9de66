"""Where the folders of `folder:DIR`, `folder:A+B` and `shards:DIR` lie. No torch."""

from __future__ import annotations

import os
from pathlib import Path

JOIN = "+"
PLACED = ("folder", "shards")
"""The data sets whose path is nothing but folders, which may be joined, and which may be runs of the zoo."""


def folders_of(path: str) -> list[str]:
    """The folders that a path of `folder:` names: itself if it is there (its name may hold a `+`), else the parts between the
    `+` where all of them are there, else the path as it is."""
    if JOIN not in path or os.path.exists(path):
        return [path]
    return _parts(path.split(JOIN)) or [path]


def _parts(pieces: list[str]) -> list[str]:
    """The pieces joined to paths that are there, the longest first; [] if some are left over."""
    for count in range(len(pieces), 0, -1):
        first = JOIN.join(pieces[:count])
        if first and os.path.exists(first):
            rest = _parts(pieces[count:]) if pieces[count:] else []
            if rest or not pieces[count:]:
                return [first, *rest]
    return []


def not_there(path: str) -> str:
    """The first folder of a path of several that is not there."""
    return next((part for part in path.split(JOIN) if part and not os.path.exists(part)), path)


def labels_of(folders: list[str]) -> list[str]:
    """A short name for each folder, told apart by a number where the last names are equal."""
    labels: list[str] = []
    for folder in folders:
        name = Path(os.path.abspath(folder)).name or "folder"
        label, count = name, 1
        while label in labels:
            count += 1
            label = f"{name}-{count}"
        labels.append(label)
    return labels
