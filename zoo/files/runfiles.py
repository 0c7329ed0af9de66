"""Run folders as somebody else may have written them: their manifest and lines, checked field by field. No torch at import.

Whoever reads a `manifest.json` or a `metadata.jsonl` reads it here: `zoo replay`, a run that is continued, `folder:` data sets,
`zoo data check`, `zoo data merge`, cards. No count, name or path of such a file is believed before it has been held against the limits below.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zoo.errors import DataError, UsageError
from zoo.files.jsonfiles import MISSING, field, named, parse_json, read_json
from zoo.files.names import is_inside
from zoo.files.pictureformats import PICTURE_FORMATS

MANIFEST, METADATA = "manifest.json", "metadata.jsonl"
MAPS, IMAGES, INPUTS = "maps", "images", "inputs"
FOLDERS = {"image": IMAGES, "map": MAPS}
"""Where the files of a sample lie, by what a line of `metadata.jsonl` calls them."""
PASTED = "pasted"
"""Where pictures lie that were blended back into their photos; of runs with `--paste` only."""
PASTED_NAME, PASTED_DIGEST = "pasted_file_name", "pasted_sha256"
"""What a line calls such a picture and its digest."""
LISTS = ("labels", "requested", "empty", "dropped", "edits", "style_from_prior", "notes")
SOME_LISTS = ("missing", "balance_asked", "balance_got")
COUNTS = ("tries", "redrawn")
"""Of runs that draw again, or by shares, only: lists of classes, and how often a sample was drawn."""
SINGLE = ("changed_outside_edits", "style_change")
SOURCE = ("source", "source_index")
"""In a merged folder: the run that a sample is from, and its number there."""
NEEDED = ("request", "models", "samples", "versions", "threads", "device")
MERGED = ("merged", "label_space", "samples")
"""What a run's manifest has, and that of a merged folder (`zoo data merge`)."""
SAMPLES = 10_000_000
LINE = 1 << 20
"""The most samples of a run, and bytes of a line."""
TEXT, NAMES, SIDE, FILES = 4096, 1024, 65_536, 1000
"""The longest text, the most names in a list, pixels of a side, files of a model."""
THREADS = max(256, 4 * (os.cpu_count() or 1))
"""More threads than this machine could be asked for."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_DEVICE = re.compile(r"cpu|mps|cuda(:\d{1,3})?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def file_of(kind: str, index: int, ending: str = ".png") -> str:
    """The name of a sample's picture or map, relative to the run folder. kind: a key of `FOLDERS`; ending: of the pictures (maps
    are always PNGs)."""
    return f"{FOLDERS[kind]}/{index:06d}{ending if kind == 'image' else '.png'}"


def ending_of(record: Mapping[str, Any]) -> str:
    """The ending of the picture that a line names."""
    name = str(record.get("file_name"))
    return next((ending for ending in PICTURE_FORMATS.values() if name.endswith(ending)), ".png")


def files_of(record: Mapping[str, Any]) -> dict[str, str]:
    """The digests of a line by file name, the map before the picture."""
    kinds = [k for k in ("map", "image") if record["sha256"].get(k)]
    ending = ending_of(record)
    pasted = {record[PASTED_NAME]: record[PASTED_DIGEST]} if record.get(PASTED_NAME) else {}
    return {file_of(kind, record["index"], ending): record["sha256"][kind] for kind in kinds} | pasted


def line_of(record: Mapping[str, Any], digests: Mapping[str, str], ending: str = ".png") -> dict[str, Any]:
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


def own_file(folder: Path, name: str) -> Path | None:
    """The file of this name in a run folder if it is an ordinary one; None where nothing lies there, a link (also on the way to it),
    a folder, a pipe or a device. Nothing is opened."""
    place = folder
    try:
        for part in name.split("/"):
            place = place / part
            mode = place.lstat().st_mode
            if stat.S_ISLNK(mode):
                return None
    except (OSError, ValueError):
        return None
    return place if stat.S_ISREG(mode) else None


# --- manifests --------------------------------------------------------------------------------------------------------


def read_manifest(path: Path, *, merged: bool = False) -> dict[str, Any]:
    """A manifest by its path or its folder's, every field checked for type and range; what it asked for is not looked into (that is
    `manifest.request_from_json`).

    merged: take the manifest of a merged folder, too. Raises UsageError if there is none, DataError if it is damaged, or a link.
    """
    path = path / MANIFEST if path.is_dir() else path
    if not path.is_file():
        raise UsageError(f"There is no manifest {path} (a folder made by zoo compose has one).")
    if path.is_symlink():
        raise DataError(f"{path} is a link: a run folder holds its own manifest.")
    try:
        manifest = read_json(path, object, what="a manifest")
    except DataError as error:
        raise DataError(f"{path} is not a manifest: {error.args[0]}") from error
    if isinstance(manifest, dict) and all(k in manifest for k in MERGED):
        if not merged:
            raise DataError(
                f"{path} is not the manifest of a run: the folder was merged of several (zoo data merge), each with its own."
            )
        _check_merged(manifest, str(path))
        return manifest
    if not isinstance(manifest, dict) or any(k not in manifest for k in NEEDED):
        raise DataError(f"{path} is not a manifest of the zoo: it needs {', '.join(NEEDED)}.")
    _check_run(manifest, str(path))
    return manifest


def _check_run(manifest: dict[str, Any], where: str) -> None:
    field(manifest, "request", dict, where=where)
    _check_common(manifest, where)
    _check_models(field(manifest, "models", dict, where=where), where)
    _texts(field(manifest, "versions", dict, where=where), where, "versions", none=True)
    whole(manifest, "threads", where, 1, THREADS)
    device = text(manifest, "device", where)
    if not _DEVICE.fullmatch(device):
        raise DataError(f"{where}: the field 'device' names no device: {named(device)}.")
    for name in ("maps", "images", "finished"):
        field(manifest, name, bool, where=where, default=True)
    for name, kind in (("mappings", list), ("summary", dict)):
        field(manifest, name, kind, where=where, default=None)
    if "composition" in manifest:
        text(manifest, "composition", where)
    inputs = field(manifest, "inputs", dict, where=where, default={})
    for name, digest in inputs.items():
        if not (is_input(name) and isinstance(digest, str) and _DIGEST.fullmatch(digest)):
            raise DataError(f"{where}: the field 'inputs' holds no name with its sha256: {named({name: digest})}.")


def _check_common(manifest: dict[str, Any], where: str) -> None:
    whole(manifest, "samples", where, 1, SAMPLES)
    field(manifest, "format", int, where=where, default=1)
    if isinstance(field(manifest, "label_space", str, dict, where=where, default=""), str):
        text(manifest, "label_space", where, default="")
    size = field(manifest, "size", list, None, where=where, default=None)
    if size is not None and not (len(size) == 2 and all(type(s) is int and 0 < s <= SIDE for s in size)):
        raise DataError(f"{where}: the field 'size' should be a height and a width, got {named(size)}.")


def _check_merged(manifest: dict[str, Any], where: str) -> None:
    _check_common(manifest, where)
    parts = field(manifest, "merged", list, where=where)
    if not 0 < len(parts) <= NAMES:
        raise DataError(f"{where}: the field 'merged' lists {len(parts)} runs.")
    for part in parts:
        if not isinstance(part, dict):
            raise DataError(f"{where}: the field 'merged' holds {named(part)}, expected an object for each run.")
        text(part, "source", where)
        whole(part, "samples", where, 0, SAMPLES)
        field(part, "inputs", bool, where=where, default=False)
        _check_models(field(part, "models", dict, where=where), where)


def _check_models(models: dict[str, Any], where: str) -> None:
    for role, model in models.items():
        if len(models) > 8 or not isinstance(model, dict):
            raise DataError(f"{where}: the model {named(role)} is no object, or there are too many.")
        for name in ("id", "source"):
            if field(model, name, str, None, where=f"{where}, {role}", default=None) is not None:
                text(model, name, f"{where}, {role}")
        digests = field(model, "sha256", dict, None, where=f"{where}, {role}", default=None)
        if digests is not None:
            right = all(is_inside(n) and isinstance(d, str) and _DIGEST.fullmatch(d) for n, d in digests.items())
            if not right or len(digests) > FILES:
                raise DataError(f"{where}, {role}: the field 'sha256' should give each file 64 hex digits.")


def _texts(values: dict[str, Any], where: str, name: str, *, none: bool = False) -> None:
    for key, value in values.items():
        if not (isinstance(value, str) or (none and value is None)) or len(key) > TEXT or len(str(value)) > TEXT:
            raise DataError(f"{where}: the field {name!r} should hold texts, got {named({key: value})}.")


def whole(values: Mapping[str, Any], name: str, where: str, low: int, high: int) -> int:
    """The whole number `values[name]` from `low` to `high`. Raises DataError."""
    number = field(values, name, int, where=where)
    if not low <= number <= high:
        raise DataError(f"{where}: the field {name!r} should be from {low} to {high}, got {_short(number)}.")
    return number


def text(values: Mapping[str, Any], name: str, where: str, default: Any = MISSING) -> str:
    """The text `values[name]`, of bounded length and on one line. Raises DataError."""
    value = field(values, name, str, where=where, default=default)
    if len(value) > TEXT or _CONTROL.search(value) or "\n" in value:
        raise DataError(f"{where}: the field {name!r} is too long or holds control characters: {named(value)}.")
    return value


def _short(number: int) -> str:
    return str(number) if abs(number) < 10**18 else "a number of more than 18 digits"


def is_input(name: object) -> bool:
    """One plain file name below `inputs/`, as a run itself writes them."""
    if not isinstance(name, str) or not name.startswith(f"{INPUTS}/"):
        return False
    own = name[len(INPUTS) + 1 :]
    return "/" not in own and not own.startswith(".") and is_inside(own)


# --- lines ------------------------------------------------------------------------------------------------------------


def lines(path: Path) -> Iterator[tuple[bytes, dict[str, Any] | str]]:
    """Each line of a `metadata.jsonl` as it lies there, with its record in today's form or what is wrong with it.

    Nothing for a file that is not there. Raises DataError for a link, or what is no ordinary file.
    """
    if not os.path.lexists(path):
        return
    if own_file(path.parent, path.name) is None:
        raise DataError(f"{path} is a link or no ordinary file: a run folder holds its own lines.")
    try:
        with path.open("rb") as file:
            while line := file.readline(LINE + 1):
                yield line, _record(line)
                if len(line) > LINE:
                    return
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror or error}.") from error


def read_records(path: Path) -> list[dict[str, Any]]:
    """The lines of a `metadata.jsonl` in today's form, up to the first that is cut off or no record."""
    records: list[dict[str, Any]] = []
    for _, record in lines(path):
        if isinstance(record, str) or record["index"] != len(records):
            break
        records.append(record)
    return records


def _record(line: bytes) -> dict[str, Any] | str:
    if len(line) > LINE:
        return f"has more than {LINE} bytes"
    if not line.endswith(b"\n"):
        return "is cut off"
    try:
        record = _modern(parse_json(line, where="it"))
        _check_record(record)
    except DataError as error:
        return f"is no line of a sample ({str(error).rstrip('.')})"
    return record


def _modern(record: dict[str, Any]) -> dict[str, Any]:
    """A line in today's form; those of 0.1.0 and 0.2.0 have digests by file name and no keys for what is not there."""
    digests = field(record, "sha256", dict, where="it")
    index = whole(record, "index", "it", 0, SAMPLES)
    field(record, "seed", int, where="it")
    for kind, digest in digests.items():
        if not (digest is None or (isinstance(digest, str) and _DIGEST.fullmatch(digest))):
            raise DataError(f"the sha256 of {named(kind)} is {named(digest)}, not 64 hex digits")
    if set(digests) == set(FOLDERS):
        return record
    names = {file_of(kind, index): kind for kind in FOLDERS}
    if unknown := [name for name in digests if name not in names]:
        raise DataError(f"it has a sha256 of {named(unknown[0])}, which is no file of sample {index}")
    known = {names[name]: digest for name, digest in digests.items()}
    return line_of({k: v for k, v in record.items() if k not in ("file_name", "sha256")}, known)


def _check_record(record: dict[str, Any]) -> None:
    ending = ending_of(record)
    own = {kind: file_of(kind, record["index"], ending) for kind in FOLDERS if record["sha256"][kind] is not None}
    expected = {"file_name": own.get("image", own.get("map")), "map_file_name": own.get("map")}
    if not own:
        raise DataError("it has the sha256 of no file")
    for name in expected:
        if field(record, name, str, None, where="it", default=None) != expected[name]:
            raise DataError(f"{name} is {named(record.get(name))}, expected {named(expected[name])}")
    for name in (*LISTS, *SOME_LISTS):
        values = field(record, name, list, where="it", default=[])
        if len(values) > NAMES or not all(isinstance(v, str) and len(v) <= TEXT for v in values):
            raise DataError(f"{name} should be a list of texts, got {named(values)}")
    for name in COUNTS:
        if name in record:
            whole(record, name, "it", 0, SAMPLES)
    field(record, "exhausted", bool, where="it", default=False)
    field(record, "changed_outside_edits", float, None, where="it", default=None)
    _check_change(field(record, "style_change", dict, None, where="it", default=None))
    if PASTED_NAME in record or PASTED_DIGEST in record:
        _check_pasted(record)
    if SOURCE[0] in record:
        text(record, SOURCE[0], "it")
        whole(record, SOURCE[1], "it", 0, SAMPLES)


def pasted_name(index: int) -> str:
    """The name of a sample's picture in its photo: always a PNG, so that the photo's pixels stay what they are."""
    return f"{PASTED}/{index:06d}.png"


def _check_pasted(record: dict[str, Any]) -> None:
    name, digest = text(record, PASTED_NAME, "it"), text(record, PASTED_DIGEST, "it")
    if name != pasted_name(record["index"]) or not _DIGEST.fullmatch(digest):
        raise DataError(f"{PASTED_NAME} is {named(name)} with the sha256 {named(digest)}")


def _check_change(change: dict[str, Any] | None) -> None:
    """The effect of a style for single classes, which `summary.summarize` averages."""
    if change is None:
        return
    classes = field(change, "classes", list, where="style_change")
    if len(classes) > NAMES or not all(isinstance(c, str) for c in classes):
        raise DataError(f"style_change has classes {named(classes)}")
    field(change, "reach", int, where="style_change")
    for name in ("inside", "outside", "ratio"):
        field(change, name, float, None, where="style_change", default=None)
