"""Folders that appear whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import DataError


@contextmanager
def whole_folder(target: Path, *, way_out: str = "") -> Iterator[Path]:
    """A hidden folder beside `target` to be filled in the block; at its end it takes `target`'s place.

    A folder that is there goes only when the new one is complete (whether it may, is for the caller to know). Raises DataError,
    with `way_out` at its end, if something cannot be written; whatever is raised, nothing is left behind.
    """
    part = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
        yield part
        part.chmod(0o755)  # mkdtemp makes a private one
        _place(part, target)
    except OSError as error:
        raise DataError(f"Cannot write {target}: {error.strerror or error}.{way_out}") from error
    finally:
        if part is not None:
            shutil.rmtree(part, ignore_errors=True)


def _place(part: Path, target: Path) -> None:
    old = part.with_name(part.name + ".old")
    if target.is_dir() and any(target.iterdir()):
        target.rename(old)
    elif target.is_dir():
        target.rmdir()
    try:
        part.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
