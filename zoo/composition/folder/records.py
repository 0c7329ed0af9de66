"""A run on disk as it was left: its manifest, its finished samples, what differs from another run. No torch at import."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.composition.rules import RULES
from zoo.errors import DataError, UsageError
from zoo.files.pictureformats import PICTURE_FORMATS
from zoo.files.runfiles import FOLDERS as FOLDERS
from zoo.files.runfiles import IMAGES, INPUTS, MANIFEST, MAPS, METADATA, read_manifest
from zoo.files.runfiles import LISTS as LISTS
from zoo.files.runfiles import SINGLE as SINGLE
from zoo.files.runfiles import file_of as file_of
from zoo.files.runfiles import files_of as files_of
from zoo.files.runfiles import line_of as line_of
from zoo.files.runfiles import read_records as read_records

GRID, CARD = "grid.png", "README.md"
LABELMAP, VOC_NAMES = "labelmap.txt", "ImageSets/Segmentation/default.txt"
VOC_FOLDERS = {"image": "JPEGImages", "map": "SegmentationClass"}
LABELMAP_MARK = "# written by zoo compose"
CARD_MARK = "<!-- written by zoo compose -->"
# what may differ when a run is continued; the manifest keeps what the run began with
VOLATILE = ("versions", "threads", "device", "finished", "summary")


def image_ending(request: dict[str, Any]) -> str:
    """The ending of a run's pictures, by the request in its manifest."""
    return PICTURE_FORMATS.get(str(request.get("image_format")), ".png")


def recorded_rules(manifest: dict[str, Any]) -> int:
    """The rules (`zoo.composition.rules`) by which a run was made. Raises DataError for others than those of this version."""
    rules = manifest.get("rules", 1)
    if type(rules) is not int or not 1 <= rules <= RULES:
        raise DataError(
            f"The run was made by rules {str(rules)[:20]}, which this version of the zoo does not know: get a newer one."
        )
    return rules


def existing_seed(folder: Path) -> int | None:
    """The seed of the run that lies in a folder, or None."""
    try:
        return int(read_manifest(folder)["request"]["seed"])
    except (UsageError, DataError, KeyError, TypeError, ValueError):
        return None  # continuing says what is wrong with it


def existing_rules(folder: Path) -> int:
    """The rules of the run that lies in a folder, which its continuation follows; today's where there is none."""
    try:
        return recorded_rules(read_manifest(folder))
    except (UsageError, DataError):
        return RULES


def check_target(path: Path, *, overwrite: bool = False) -> None:
    """Raise UsageError for a folder that no run can be written to: a file, or full of things that are not a run's;
    DataError where no folder can be made. Writes nothing."""
    if path.exists() and not path.is_dir():
        raise UsageError(f'<<folder="{path}">> is a file: name a folder.')
    if path.is_dir():
        if any(path.iterdir()):
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


def remove_run(folder: Path, manifest: dict[str, Any]) -> None:
    """Remove the files that the run of this manifest made, and no other: what a user put beside them stays."""
    ending = image_ending(manifest["request"])
    for index in range(int(manifest["samples"])):
        for kind in FOLDERS:
            (folder / file_of(kind, index, ending)).unlink(missing_ok=True)
    if is_our_card(folder / CARD):
        (folder / CARD).unlink()
    if _holds(folder / LABELMAP, LABELMAP_MARK):
        for index in range(int(manifest["samples"])):
            for kind, name in VOC_FOLDERS.items():
                (folder / name / Path(file_of(kind, index, ending)).name).unlink(missing_ok=True)
        for name in (LABELMAP, VOC_NAMES):
            (folder / name).unlink(missing_ok=True)
    for name in (*_inputs_of(manifest["request"]), MANIFEST, METADATA, GRID):
        (folder / name).unlink(missing_ok=True)
    listed = Path(VOC_NAMES).parent
    for name in (MAPS, IMAGES, INPUTS, *VOC_FOLDERS.values(), listed, listed.parent):
        if (folder / name).is_dir() and not any((folder / name).iterdir()):
            (folder / name).rmdir()


def is_our_card(path: Path) -> bool:
    """True for a data set card that a run wrote (`card.write_card`), False for a README of somebody else or none."""
    return _holds(path, CARD_MARK)


def _holds(path: Path, mark: str) -> bool:
    return path.is_file() and mark.encode() in path.read_bytes()


def _inputs_of(value: Any) -> Iterator[str]:
    """The names `inputs/…` anywhere in a request."""
    if isinstance(value, str) and value.startswith(f"{INPUTS}/") and ".." not in value:
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _inputs_of(inner)


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What decides the output and differs between two manifests."""
    names = []
    for key in sorted({*old, *new} - set(VOLATILE)):
        a, b = old.get(key), new.get(key)
        if key == "models":  # the digests say which models; where they lie does not matter
            a, b = ({role: m.get("sha256") for role, m in models.items()} for models in (old[key], new[key]))
        if a != b:
            inner = (
                [k for k in sorted({*a, *b}) if a.get(k) != b.get(k)]
                if isinstance(a, dict) and isinstance(b, dict)
                else []
            )
            names.append(f"{key} ({', '.join(inner)})" if inner else key)
    return names
