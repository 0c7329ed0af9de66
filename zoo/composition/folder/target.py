"""The folder that a run is written to: whether it may be, and how the run that it replaces goes. No torch at import.

Anybody may have made a folder, so only names that we would write ourselves are touched, and links among them are refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.composition.folder.records import (
    CARD,
    CARD_MARK,
    GRID,
    IMAGES,
    INPUTS,
    LABELMAP,
    LABELMAP_MARK,
    MANIFEST,
    MAPS,
    METADATA,
    VOC_FOLDERS,
    VOC_NAMES,
    read_manifest,
)
from zoo.errors import DataError, UsageError
from zoo.files.links import check_place, refuse_links
from zoo.files.locks import LOCK
from zoo.files.runfiles import PASTED
from zoo.files.writing import temporary_of

SAMPLE = re.compile(r"([0-9]{6,12})\.[a-z]{3,4}")
"""The name of a sample's file in its folder."""
_INPUT = re.compile(r"[0-9a-f]{16}(\.[^/\\.]{0,32})?")
_FILES = (MANIFEST, METADATA, GRID, CARD)
_PLACES = {MAPS: SAMPLE, IMAGES: SAMPLE, PASTED: SAMPLE, INPUTS: _INPUT}
"""Our folders, and the names that we write there."""
_LISTED = Path(VOC_NAMES).parent
_CARD_HEAD = 1 << 20


def check_target(path: Path, *, overwrite: bool = False) -> None:
    """Raise UsageError for a folder that no run can be written to: a file, full of things that are not a run's, or with links under
    our names; DataError where no folder can be made. Writes nothing."""
    if path.exists() and not path.is_dir():
        raise UsageError(f'<<folder="{path}">> is a file: name a folder.')
    if path.is_dir():
        _refuse_links(path)
        if not is_blank(path):
            try:
                read_manifest(path)
            except (UsageError, DataError) as error:
                hint = (
                    "<<overwrite>> replaces runs of the zoo only; choose another <<folder>>"
                    if overwrite
                    else "choose another <<folder>>"
                )
                raise UsageError(f"{path} is not empty and holds no run of the zoo: {hint}.") from error
        return
    above = next(p for p in path.absolute().parents if p.exists())
    if not above.is_dir():
        raise DataError(f"Cannot make the folder {path}: {above} is a file. Choose another <<folder>>.")
    if not os.access(above, os.W_OK):
        raise DataError(f"Cannot make the folder {path}: {above} is not writable. Choose another <<folder>>.")


def is_blank(path: Path) -> bool:
    """True for a folder with nothing in it but what a run leaves that was stopped before its manifest: our empty folders, our
    temporary files, a lock."""
    for entry in list(os.scandir(path)):
        if entry.name in _PLACES and entry.is_dir(follow_symlinks=False):
            if any(temporary_of(name) is None for name in os.listdir(entry.path)):
                return False
        elif entry.name != LOCK and temporary_of(entry.name) not in _FILES:
            return False
    return True


def _refuse_links(path: Path) -> None:
    """Raise UsageError for links and other odd things where we would write or remove."""
    refuse_links(path, [*_FILES, LABELMAP, VOC_NAMES, *(f"{n}/" for n in (*_PLACES, *VOC_FOLDERS.values()))])
    for name, _ in _entries(path):
        check_place(path / name, False)


def _entries(path: Path) -> Iterator[tuple[str, int | None]]:
    """What lies in our folders under names that we write there, with the number of its sample."""
    places = {**_PLACES, **dict.fromkeys(VOC_FOLDERS.values(), SAMPLE)}
    for place, pattern in places.items():
        if (path / place).is_dir():
            for entry in os.scandir(path / place):
                if matched := pattern.fullmatch(entry.name):
                    yield f"{place}/{entry.name}", int(matched[1]) if pattern is SAMPLE else None


def tidy(path: Path) -> None:
    """Remove what killed sessions left half-written, known by its name; the run's lock must be held."""
    for place in ("", *_PLACES):
        if not (path / place).is_dir():
            continue
        for entry in os.scandir(path / place):
            name = temporary_of(entry.name)
            ours = name is not None and (_PLACES[place].fullmatch(name) if place else name in (*_FILES, LABELMAP))
            if ours and entry.is_file(follow_symlinks=False):
                Path(entry.path).unlink(missing_ok=True)


def remove_run(folder: Path, manifest: dict[str, Any]) -> None:
    """Remove the files that the run of this manifest made, and no other: what a user put beside them stays. The manifest itself
    stays too, until the next run's takes its place, so that a session killed in between leaves no stranger's folder."""
    samples = manifest["samples"] if isinstance(manifest["samples"], int) else 0
    inputs = set(_inputs_of(manifest["request"]))
    labelled = _holds(folder / LABELMAP, LABELMAP_MARK)
    for name, number in list(_entries(folder)):
        if name.split("/")[0] in VOC_FOLDERS.values() and not labelled:
            continue
        if name in inputs if number is None else number < samples:
            (folder / name).unlink(missing_ok=True)
    if is_our_card(folder / CARD):
        (folder / CARD).unlink()
    for name in (METADATA, GRID, *((LABELMAP, VOC_NAMES) if labelled else ())):
        (folder / name).unlink(missing_ok=True)
    for name in (*_PLACES, *VOC_FOLDERS.values(), _LISTED, _LISTED.parent):
        if (folder / name).is_dir() and not any((folder / name).iterdir()):
            (folder / name).rmdir()


def is_our_card(path: Path) -> bool:
    """True for a data set card that a run wrote (`card.write_card`), False for a README of somebody else or none."""
    return _holds(path, CARD_MARK)


def has_labelmap(folder: Path) -> bool:
    """True for a run folder that is a Pascal VOC data set too, because a run wrote it so."""
    return _holds(folder / LABELMAP, LABELMAP_MARK)


def _holds(path: Path, mark: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return mark.encode() in file.read(_CARD_HEAD)


def _inputs_of(value: Any) -> Iterator[str]:
    """The names `inputs/…` anywhere in a request."""
    if isinstance(value, str) and value.startswith(f"{INPUTS}/"):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _inputs_of(inner)
