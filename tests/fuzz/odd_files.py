"""What lies where a file or folder is expected: links, pipes, devices, folders, nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from random import Random

SMALL = 4_000
"""The longest file that a pipe is put in place of; nobody writes to the pipe."""


def entries(folder: Path) -> list[Path]:
    """Files and folders below, by name."""
    return sorted(folder.rglob("*"))


def replace(rng: Random, path: Path, guarded: Path) -> str:
    """Put something else in the place of a file or folder; tells what."""
    name = path.name
    was_folder = path.is_dir()
    aside = path.with_name(f"{name}.aside")
    path.rename(aside)
    how = rng.choice(
        ["link out", "link beside", "loop", "dangling", "pipe", "null", "zero", "folder", "nothing", "hard link"]
    )
    if how == "link out":
        inner = guarded / name
        path.symlink_to(inner if inner.exists() else guarded if was_folder else guarded / "precious.txt")
    elif how == "link beside":
        path.symlink_to(aside.name)
    elif how == "loop":
        path.symlink_to(name)
    elif how == "dangling":
        path.symlink_to(guarded / "new" / "nothing")
    elif how == "pipe":
        os.mkfifo(path)
    elif how in ("null", "zero"):
        path.symlink_to(f"/dev/{how}")
    elif how == "folder":
        path.mkdir()
        (path / "inner").write_text("x")
        if was_folder:
            how = "other folder"
    elif how == "hard link" and not was_folder:
        os.link(aside, path)
    if how != "link beside":
        shutil.rmtree(aside) if was_folder else aside.unlink()
    return f"{name} became {how}"


def some(rng: Random, folder: Path, leaves_out: Iterable[str] = ()) -> Path:
    """One of the files and folders below."""
    return rng.choice([p for p in entries(folder) if p.name not in leaves_out])
