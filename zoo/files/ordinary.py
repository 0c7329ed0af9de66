"""Files of a folder that a stranger made: ordinary ones that lie in it. Nothing else is opened, so that opening never waits or leads out."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from zoo.errors import WeightsError, ZooError, shown

_INSTALLED: set[Path] = set()
"""Folders of installed packages. Some installers make their files links; whoever writes there could as well change the code."""


def trust_installed(folder: Path) -> None:
    """Files of this folder, which belongs to an installed package, may be links."""
    _INSTALLED.add(folder.absolute())


def ordinary_file(folder: Path, name: str, *, error: type[ZooError] = WeightsError) -> Path | None:
    """The path of a file by its name in a folder (`assets/prior.safetensors`); None if nothing has that name.

    Raises `error` for a device, pipe, socket or folder of that name, and for a link that leads out of the folder or nowhere. A link into
    the `blobs` of the Hub's cache is in order where the folder is a snapshot of that cache.
    """
    path = folder / name
    try:
        if not path.exists():
            if path.is_symlink():
                raise error(f"{path} is a link that leads nowhere: put the file itself there.")
            return None
        if not stat.S_ISREG(path.stat().st_mode):
            raise error(f"{path} is no ordinary file (a folder, device, pipe or socket): it is not opened.")
        if not lies_inside(path, folder):
            raise error(f"{path} is refused: it is a link to a file outside its folder. Copy the file there.")
    except (
        OSError,
        ValueError,
        RuntimeError,
    ) as fault:  # a name with a NUL; a link to itself (RuntimeError before Python 3.13)
        reason = getattr(fault, "strerror", None) or fault
        raise error(f"Cannot read {shown(str(path), 200)}: {reason}.") from fault
    return path


def lies_inside(path: Path, folder: Path) -> bool:
    """Does a file lie in a folder once links are followed, or in the `blobs` of the Hub's cache that the folder is a snapshot of?"""
    if folder.absolute() in _INSTALLED:
        return True
    root, target = Path(os.path.realpath(folder)), Path(os.path.realpath(path))  # resolve() raises for a link to itself
    blobs = root.parent.parent / "blobs"
    return target.is_relative_to(root) or (root.parent.name == "snapshots" and target.parent == blobs)
