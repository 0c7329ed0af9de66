"""Folders that somebody else may have made: what lies in them is not followed out of them, nor taken for an ordinary file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from zoo.errors import UsageError


def refuse_links(folder: Path, names: Iterable[str], way_out: str = "remove it, or choose another <<folder>>") -> None:
    """Raise UsageError if one of these names in `folder` is there and is not what we would write.

    names: relative with `/`, one at its end for a folder; a file must be an ordinary file, a folder a folder, neither a link, nor
    anything on the way to it. What `folder` itself is was the user's choice.
    """
    for name in names:
        *above, last = [p for p in name.split("/") if p]
        place = folder
        for part, is_folder in [*((p, True) for p in above), (last, name.endswith("/"))]:
            place = place / part
            if not check_place(place, is_folder, way_out):
                break


def check_place(path: Path, is_folder: bool, way_out: str = "remove it, or choose another <<folder>>") -> bool:
    """Whether something is at `path`. Raises UsageError for a link and for another kind of thing than it should be."""
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    if stat.S_ISLNK(mode) or _is_junction(path):
        raise UsageError(f"{path} is a link, and nothing is written or removed through links: {way_out}.")
    if not (stat.S_ISDIR(mode) if is_folder else stat.S_ISREG(mode)):
        raise UsageError(f"{path} is no ordinary {'folder' if is_folder else 'file'}: {way_out}.")
    return True


def _is_junction(path: Path) -> bool:
    """Windows' links of folders."""
    return getattr(os.path, "isjunction", lambda _: False)(path)
