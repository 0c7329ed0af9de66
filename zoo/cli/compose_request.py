"""The request of the options of `zoo compose`, `zoo generate` and `zoo synth`. No torch in here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.composition.request.requests import ARGUMENTS, Request, read_request, split_names
from zoo.errors import UsageError


def read_options(given: dict[str, Any], seed: int) -> Request:
    """The request of the options; an option that was not given leaves its field's default."""
    asked = {name: value for name, value in given.items() if name in ARGUMENTS and value not in (None, ())}
    if "labels" in asked:
        sets = tuple(split_names(text) for text in asked["labels"])
        asked["labels"] = sets[0] if len(sets) == 1 else sets
    if "maps" in asked:
        asked["maps"] = _map_files(asked["maps"])
    return read_request({**asked, "seed": seed})


def _map_files(paths: tuple[Path, ...]) -> tuple[str, ...]:
    """Files as they are, folders as their PNGs in order of name. Raises UsageError for a folder without any."""
    from zoo.files.images import is_picture

    files: list[str] = []
    for path in paths:
        if path.is_dir():
            maps = sorted(str(p) for p in path.iterdir() if p.suffix.lower() == ".png" and is_picture(p))
            if not maps:
                raise UsageError(f"The folder {path} holds no *.png.")
            files += maps
        else:
            files.append(str(path))
    return tuple(files)
