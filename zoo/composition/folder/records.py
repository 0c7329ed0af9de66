"""A run on disk as it was left: its manifest, its finished samples, what differs from another run. No torch at import."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zoo.errors import DataError, UsageError

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


def file_of(kind: str, index: int) -> str:
    """The name of a sample's picture or map, relative to the run folder. kind: a key of `FOLDERS`."""
    return f"{FOLDERS[kind]}/{index:06d}.png"


def line_of(record: dict[str, Any], digests: dict[str, str]) -> dict[str, Any]:
    """A sample's line: the same keys whatever it has, [] or null where there is nothing. digests: sha256 by kind, image or map."""
    names = {kind: file_of(kind, record["index"]) for kind in digests}
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
    return {file_of(kind, record["index"]): record["sha256"][kind] for kind in kinds}


def modern(record: dict[str, Any]) -> dict[str, Any]:
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
            records.append(modern(record))
    return records


def existing_seed(folder: Path) -> int | None:
    """The seed of the run that lies in a folder, or None."""
    try:
        return int(read_manifest(folder)["request"]["seed"])
    except (UsageError, DataError, KeyError, TypeError, ValueError):
        return None


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
