"""A guarded folder beside the target: somebody's files, which no command may read through a link, change or remove."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

SECRET = b"what a stranger's input must not lead to"


def make_guarded(folder: Path) -> None:
    """Files with the names that runs and model folders use, so that a followed link would hit one."""
    for name in ("precious.txt", "metadata.jsonl", "manifest.json", "config.json", "model.safetensors", "x.part"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(SECRET + name.encode())
    for name in ("maps", "images", "inputs", "assets"):
        (folder / name).mkdir()
        (folder / name / "000000.png").write_bytes(SECRET)
        (folder / name / "prior.safetensors").write_bytes(SECRET)
    (folder / "link").symlink_to("precious.txt")


def state(folder: Path) -> dict[str, tuple[object, ...]]:
    """Every entry below a folder: mode, time of change, and its content or where its link leads."""
    entries: dict[str, tuple[object, ...]] = {}
    for top, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(top) / name
            facts = path.lstat()
            if path.is_symlink():
                entries[str(path)] = (facts.st_mode, os.readlink(path))
            elif path.is_dir():
                entries[str(path)] = (facts.st_mode,)
            else:
                entries[str(path)] = (facts.st_mode, facts.st_mtime_ns, hashlib.sha256(path.read_bytes()).digest())
    return entries


def changes(before: dict[str, tuple[object, ...]], after: dict[str, tuple[object, ...]]) -> list[str]:
    """What differs, by name."""
    gone = [f"{n} is gone" for n in before.keys() - after.keys()]
    new = [f"{n} is new" for n in after.keys() - before.keys()]
    return sorted([*gone, *new, *(f"{n} was changed" for n in before.keys() & after.keys() if before[n] != after[n])])


def files_of(folder: Path, leaves_out: tuple[str, ...] = ()) -> dict[str, bytes]:
    """The bytes of all plain files below a folder, by relative name; links as where they lead."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name in leaves_out:
            continue
        if path.is_symlink():
            found[name] = os.readlink(path).encode()
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of all files below a folder by relative name, as one reads them; without links that lead out of it."""
    home = folder.resolve()
    paths = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.resolve().is_relative_to(home)]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in paths}
