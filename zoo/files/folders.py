"""Folders that appear complete or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import DataError, UsageError
from zoo.files.locks import name_lock
from zoo.files.writing import cannot_write, temporary_beside, temporary_of, umask


@contextmanager
def whole_folder(target: Path, *, way_out: str = "", replaces: Callable[[str], bool] | None = None) -> Iterator[Path]:
    """A hidden folder beside `target` to be filled in the block; at its end it takes `target`'s place.

    Only an empty folder makes way, unless `replaces` is there: then an old one goes when the new one is complete, with the files
    for which `replaces(relative name with /)` says yes, and its other files, which are the user's, move into the new one. One
    process at a time makes a target. Raises UsageError for a link, DataError, with `way_out` at its end, if something cannot be
    written or the place is taken; whatever is raised, nothing is left behind.
    """
    if target.is_symlink():
        raise UsageError(f"{target} is a link, which is not followed: name the folder itself.{way_out}")
    target = Path(os.path.abspath(target))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(target, error, way_out) from error
    with name_lock(target, way_out):
        _sweep(target)
        part = temporary_beside(target)
        try:
            part.mkdir(mode=0o700)
            yield part
            part.chmod(0o777 & ~umask())
            _place(part, target, replaces)
        except OSError as error:
            raise cannot_write(target, error, way_out) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _sweep(target: Path) -> None:
    """Remove what killed processes left of this very target; nobody else is making it, for its lock is ours."""
    for entry in os.scandir(target.parent):
        if temporary_of(entry.name) == target.name and entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)


def _place(part: Path, target: Path, replaces: Callable[[str], bool] | None) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise DataError(f"Cannot write {target}: something else has appeared there meanwhile.")
    if not target.is_dir():
        part.rename(target)
        return
    if not any(target.iterdir()):
        target.rmdir()
        part.rename(target)
        return
    if replaces is None:
        raise DataError(f"Cannot write {target}: a folder with something in it has appeared there meanwhile.")
    _copy_others(target, part, replaces)
    old = temporary_beside(target)
    target.rename(old)
    try:
        part.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _copy_others(old: Path, new: Path, replaces: Callable[[str], bool]) -> None:
    """The files of a user's beside ours, links as links, copied so that whatever happens the old ones are still there."""
    for above, folders, names in os.walk(old):
        here = Path(above)
        links = [n for n in folders if (here / n).is_symlink()]
        for name in [*names, *links]:
            relative = (here / name).relative_to(old)
            target = new / relative
            if replaces(relative.as_posix()) or os.path.lexists(target):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(here / name, target, follow_symlinks=False)
