"""A run on disk as it was left: its manifest, its finished samples, what differs from another run. No torch at import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.composition.rules import RULES
from zoo.errors import DataError, UsageError
from zoo.files.pictureformats import PICTURE_FORMATS
from zoo.files.runfiles import FOLDERS as FOLDERS
from zoo.files.runfiles import IMAGES as IMAGES
from zoo.files.runfiles import INPUTS as INPUTS
from zoo.files.runfiles import MANIFEST as MANIFEST
from zoo.files.runfiles import MAPS as MAPS
from zoo.files.runfiles import METADATA as METADATA
from zoo.files.runfiles import file_of as file_of
from zoo.files.runfiles import files_of as files_of
from zoo.files.runfiles import line_of as line_of
from zoo.files.runfiles import read_manifest as read_manifest
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
