"""The page's project file (`NAME.zoo.json`): what it holds, read as a stranger's. No torch in here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.errors import DataError
from zoo.files.jsonfiles import field, named, read_json
from zoo.version import __version__

SUFFIX = ".zoo.json"
KEYS = ("sha256 of the pixels (RGB bytes)", "sha256")
"""Under which the picture's digest stands."""
BYTES = 512 << 20


def is_project(path: Path) -> bool:
    """Whether a file is one by its name."""
    return path.name.endswith(SUFFIX)


def read_project(path: Path) -> dict[str, Any]:
    """The content of a project file. Raises DataError for what is none."""
    values = read_json(path, dict, what="a project", limit=BYTES)
    if values.get("zoo") != "project":
        raise DataError(f'{path} is no project of the editor (it lacks "zoo": "project").')
    if values.get("version") != 1:
        raise DataError(
            f"{path} is a project of version {named(values.get('version'))}, this zoo ({__version__}) reads version 1."
        )
    return values


def recorded_digest(values: Mapping[str, Any], where: str) -> str | None:
    """sha256 of the picture that a project had when it was saved, None without one. Raises DataError."""
    picture = field(values, "picture", dict, None, where=where, default=None)
    found = next((picture[key] for key in KEYS if key in picture), None) if picture else None
    if found is not None and not isinstance(found, str):
        raise DataError(f"{where}: the digest of its picture is a text, got {named(found)}.")
    return found
