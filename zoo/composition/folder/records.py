"""A run on disk as it was left: its manifest, its finished samples, what differs from another run. No torch at import."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.composition.rules import RULES
from zoo.errors import DataError, UsageError
from zoo.files.pictureformats import PICTURE_FORMATS

MANIFEST, METADATA, GRID, CARD = "manifest.json", "metadata.jsonl", "grid.png", "README.md"
MAPS, IMAGES, INPUTS = "maps", "images", "inputs"
FOLDERS = {"image": IMAGES, "map": MAPS}
"""Where the files of a sample lie, by what a line of `metadata.jsonl` calls them."""
LISTS = ("labels", "requested", "empty", "dropped", "edits", "style_from_prior", "notes")
SINGLE = ("changed_outside_edits", "style_change")
LABELMAP, VOC_NAMES = "labelmap.txt", "ImageSets/Segmentation/default.txt"
VOC_FOLDERS = {"image": "JPEGImages", "map": "SegmentationClass"}
LABELMAP_MARK = "# written by zoo compose"
CARD_MARK = "<!-- written by zoo compose -->"
# what may differ when a run is continued; the manifest keeps what the run began with
VOLATILE = ("versions", "threads", "device", "finished", "summary")


def read_manifest(path: Path) -> dict[str, Any]:
    """A manifest by its path or its folder's. Raises UsageError if there is none, DataError if it is damaged."""
    path = path / MANIFEST if path.is_dir() else path
    if not path.is_file():
        raise UsageError(f"There is no manifest {path} (a folder made by zoo compose has one).")
    try:
        manifest = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a manifest: {error}.") from error
    needed = ("request", "models", "samples", "versions", "threads", "device")
    if not isinstance(manifest, dict) or any(k not in manifest for k in needed):
        raise DataError(f"{path} is not a manifest of the zoo: it needs {', '.join(needed)}.")
    return manifest


def image_ending(request: dict[str, Any]) -> str:
    """The ending of a run's pictures, by the request in its manifest."""
    return PICTURE_FORMATS.get(str(request.get("image_format")), ".png")


def file_of(kind: str, index: int, ending: str = ".png") -> str:
    """The name of a sample's picture or map, relative to the run folder. kind: a key of `FOLDERS`; ending: of the pictures (maps
    are always PNGs)."""
    return f"{FOLDERS[kind]}/{index:06d}{ending if kind == 'image' else '.png'}"


def recorded_rules(manifest: dict[str, Any]) -> int:
    """The rules (`zoo.composition.rules`) by which a run was made. Raises DataError for others than those of this version."""
    rules = manifest.get("rules", 1)
    if type(rules) is not int or not 1 <= rules <= RULES:
        raise DataError(
            f"The run was made by rules {str(rules)[:20]}, which this version of the zoo does not know: get a newer one."
        )
    return rules


def line_of(record: dict[str, Any], digests: dict[str, str], ending: str = ".png") -> dict[str, Any]:
    """A sample's line: the same keys whatever it has, [] or null where there is nothing. digests: sha256 by kind, image or map;
    ending: of the pictures."""
    names = {kind: file_of(kind, record["index"], ending) for kind in digests}
    return {
        # the columns that `datasets` reads as pictures: file_name becomes "image", map_file_name "map"
        "file_name": names.get("image", names.get("map")),
        "map_file_name": names.get("map"),
        "index": record["index"],
        "seed": record["seed"],
        **{key: list(record.get(key) or ()) for key in LISTS},
        **{key: record.get(key) for key in SINGLE},
        **{key: value for key, value in record.items() if key not in (*LISTS, *SINGLE, "index", "seed")},
        "sha256": {kind: digests.get(kind) for kind in FOLDERS},
    }


def files_of(record: dict[str, Any]) -> dict[str, str]:
    """The digests of a line by file name, the map before the picture."""
    kinds = [k for k in ("map", "image") if record["sha256"].get(k)]
    ending = next((e for e in PICTURE_FORMATS.values() if str(record.get("file_name")).endswith(e)), ".png")
    return {file_of(kind, record["index"], ending): record["sha256"][kind] for kind in kinds}


def _modern(record: dict[str, Any]) -> dict[str, Any]:
    """A line in today's form; those of 0.1.0 and 0.2.0 have digests by file name and no keys for what is not there."""
    if set(record["sha256"]) == set(FOLDERS):
        return record
    names = {file_of(kind, record["index"]): kind for kind in FOLDERS}
    digests = {names[name]: digest for name, digest in record["sha256"].items() if name in names}
    return line_of({k: v for k, v in record.items() if k not in ("file_name", "sha256")}, digests)


def read_records(path: Path) -> list[dict[str, Any]]:
    """The lines of a `metadata.jsonl` in today's form, up to the first that is cut off or no record."""
    records: list[dict[str, Any]] = []
    if not path.is_file():
        return records
    with path.open("rb") as file:
        for line in file:
            try:
                record = json.loads(line)
            except ValueError:
                break
            if (
                not line.endswith(b"\n")
                or not isinstance(record, dict)
                or record.get("index") != len(records)
                or not isinstance(record.get("sha256"), dict)
            ):
                break
            records.append(_modern(record))
    return records


def existing_seed(folder: Path) -> int | None:
    """The seed of the run that lies in a folder, or None."""
    try:
        return int(read_manifest(folder)["request"]["seed"])
    except (UsageError, DataError, KeyError, TypeError, ValueError):
        return None


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
