"""`zoo data merge`: several run folders as one, each sample with the run that it is from.

The merged folder is a data set (`folder:`, `load_dataset("imagefolder")`, `zoo data check`), no run: it cannot be replayed or continued. Its
`manifest.json` lists for each run what it was and which models made it; `splits/` keeps every sample in the split that it has in its own run.
No link is followed, and the folder appears whole or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import yaml

from zoo.composition.folder.card import features
from zoo.composition.folder.records import CARD, CARD_MARK
from zoo.data.folder import Folder
from zoo.data.places import labels_of
from zoo.data.runs import run_of
from zoo.errors import DataError, UsageError, few
from zoo.files.digests import sha256
from zoo.files.folders import whole_folder
from zoo.files.images import write_text
from zoo.files.private import public_text
from zoo.files.runaccount import account
from zoo.files.runfiles import (
    FOLDERS,
    MANIFEST,
    METADATA,
    PASTED_DIGEST,
    PASTED_NAME,
    SAMPLES,
    file_of,
    line_of,
    own_file,
    read_manifest,
)

if TYPE_CHECKING:
    from zoo.labels import LabelSpace


@dataclass
class Part:
    """One run to be merged. label: what its samples' lines call it; split: of each sample, by its number; {} where it has none."""

    folder: Path
    label: str
    manifest: dict[str, Any]
    records: list[dict[str, Any]]
    space: LabelSpace
    split: dict[int, str]


def merge(folders: Sequence[Path], out: Path, *, space: LabelSpace | None = None) -> list[str]:
    """Write `out` from run folders, in their order; returns what there is to be told, one line each.

    The maps stay as they are where the label spaces have the same classes in the same order; else they are joined by names to the first
    run's space (or `space`) and written anew. Raises UsageError for fewer than two runs, the same one twice, or an `out` that is taken;
    DataError for a run that is not complete, or of pictures where others are of maps alone.
    """
    if len(folders) < 2:
        raise UsageError("Name at least two run folders to merge.")
    if len({os.path.realpath(f) for f in folders}) < len(folders):
        raise UsageError("A run folder is named twice: its samples would be there twice.")
    if os.path.lexists(out) and not (out.is_dir() and not out.is_symlink() and not any(out.iterdir())):
        raise UsageError(f'<<out="{out}">> exists and is not empty: name a new folder.')
    if any(Path(os.path.realpath(out)).is_relative_to(os.path.realpath(f)) for f in folders):
        raise UsageError(f'<<out="{out}">> lies in one of the runs: name a folder beside them.')
    parts = [_part(folder, label) for folder, label in zip(folders, labels_of([str(f) for f in folders]), strict=True)]
    kinds = {_kinds(part.manifest) for part in parts}
    if len(kinds) > 1:
        raise DataError("Some of these runs have pictures and maps, others only one of them: merge like with like.")
    if sum(len(part.records) for part in parts) > SAMPLES:
        raise UsageError(f"These runs have more than {SAMPLES} samples in all.")
    target = space or parts[0].space
    told = [
        f"{part.label} is joined by the names of classes: {part.space.mapping_to(target).describe()}"
        for part in parts
        if part.space.names != target.names
    ]
    with whole_folder(out) as folder:
        _write(parts, folder, target, kinds.pop())
    return told


def _part(folder: Path, label: str) -> Part:
    """A run that is complete. Raises UsageError, DataError."""
    manifest = read_manifest(folder, merged=True)
    there = account(folder, manifest)
    if problems := there.problems():
        raise DataError(
            f"{folder} cannot be merged as it is ({few(problems)}): zoo data check folder:{folder} lists all."
        )
    source = Folder(str(folder))
    split = {int(name): s for s in source.splits for name in Folder(str(folder), s).names if name.isdecimal()}
    return Part(folder, label, manifest, there.records, source.label_space, split)


def _kinds(manifest: dict[str, Any]) -> tuple[str, ...]:
    return tuple(kind for kind, key in (("map", "maps"), ("image", "images")) if manifest.get(key, True))


def _write(parts: list[Part], folder: Path, space: LabelSpace, kinds: tuple[str, ...]) -> None:
    for kind in kinds:
        (folder / FOLDERS[kind]).mkdir()
    by_split: dict[str, list[str]] = {}
    index, first = 0, {}
    with (folder / METADATA).open("wb") as file:
        for part in parts:
            for record in part.records:
                line = _sample(part, record, index, folder, space, kinds)
                first = first or line
                file.write(json.dumps(line).encode() + b"\n")
                by_split.setdefault(part.split.get(record["index"], "train"), []).append(f"{index:06d}\n")
                index += 1
        _to_disk(file)
    if any(part.split for part in parts):
        (folder / "splits").mkdir()
        for split, lines in by_split.items():
            write_text(folder / "splits" / f"{split}.txt", "".join(lines))
    manifest = _manifest(parts, space, kinds, index)
    write_text(folder / CARD, _card(parts, manifest, first, space))
    write_text(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")


def _sample(
    part: Part, record: dict[str, Any], index: int, folder: Path, space: LabelSpace, kinds: tuple[str, ...]
) -> dict[str, Any]:
    """Copy a sample; returns its new line."""
    own = {"source": part.label, "source_index": record["index"]}
    if "source" in record:  # of a merged folder: the run that it is from in the first place
        own = {"source": f"{part.label}/{record['source']}", "source_index": record["source_index"]}
    facts = {
        k: v
        for k, v in record.items()
        if k not in ("file_name", "map_file_name", "sha256", PASTED_NAME, PASTED_DIGEST, *own)
    }
    digests = {}
    for kind in kinds:
        source, target = part.folder / file_of(kind, record["index"]), folder / file_of(kind, index)
        if kind == "map" and part.space.names != space.names:
            facts |= _relabel(part, record, target, space)
        else:
            _copy(part.folder, file_of(kind, record["index"]), target)
            if sha256(target) != record["sha256"][kind]:
                raise DataError(f"{source} was changed while it was copied.")
        digests[kind] = sha256(target)
    return line_of({**facts, "index": index, **own}, digests)


def _copy(folder: Path, name: str, target: Path) -> None:
    """The bytes of an ordinary file of a run. Raises DataError for a link, or what is no file."""
    path = own_file(folder, name)
    if path is None:
        raise DataError(f"{folder / name} is a link or no ordinary file any more.")
    with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as file, target.open("xb") as copy:
        shutil.copyfileobj(file, copy, 1 << 20)
        _to_disk(copy)


def _to_disk(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _relabel(part: Part, record: dict[str, Any], target: Path, space: LabelSpace) -> dict[str, Any]:
    """Write a map in another label space; returns what its line says of the classes now."""
    from zoo.files.mapformats import MAP_FORMATS
    from zoo.maps import SemanticMap

    path = own_file(part.folder, file_of("map", record["index"]))
    if path is None:
        raise DataError(f"{part.folder / file_of('map', record['index'])} is a link or no ordinary file any more.")
    before = SemanticMap.from_png(path, part.space)
    mapping = part.space.mapping_to(space)
    after = before.mapped(mapping)
    after.to_png(target, 0, part.manifest.get("request", {}).get("map_format", MAP_FORMATS[0]))
    dropped = [n for n in before.label_set().names if n in mapping.dropped]
    return {"labels": list(after.label_set().names), "dropped": [*record.get("dropped", ()), *dropped]}


def _manifest(parts: list[Part], space: LabelSpace, kinds: tuple[str, ...], samples: int) -> dict[str, Any]:
    from zoo.registry import registry

    sizes = {tuple(part.manifest["size"]) if part.manifest.get("size") else None for part in parts}
    size = sizes.pop() if len(sizes) == 1 else None
    known = space.name in registry().label_spaces() and registry().label_space(space.name) == space
    return {
        "format": 1,
        "merged": [entry for part in parts for entry in _entries(part)],
        "label_space": space.name if known else {**space.to_json(), "name": public_text(space.name)},
        "size": None if size is None else list(size),
        "maps": "map" in kinds,
        "images": "image" in kinds,
        "samples": samples,
    }


def _entries(part: Part) -> list[dict[str, Any]]:
    """What the manifest says of a run: the models without where they lie, how many samples, whether a user's files went in."""
    if "merged" in part.manifest:
        return [{**entry, "source": f"{part.label}/{entry['source']}"} for entry in part.manifest["merged"]]
    models = {
        role: {**model, "source": public_text(str(model.get("source")))}
        for role, model in part.manifest["models"].items()
    }
    return [
        {
            "source": part.label,
            "composition": public_text(str(part.manifest.get("composition", ""))),
            "models": models,
            "seed": part.manifest["request"].get("seed"),
            "samples": len(part.records),
            "inputs": run_of(part.folder, files=False).inputs,
        }
    ]


def _card(parts: list[Part], manifest: dict[str, Any], first: dict[str, Any], space: LabelSpace) -> str:
    folders = [FOLDERS[k] for k in ("image", "map") if manifest[FOLDERS[k]]]
    columns = features(manifest, [first])
    types = {"source": {"dtype": "string"}, "source_index": {"dtype": "int64"}}
    columns = [{"name": c["name"], **types[c["name"]]} if c["name"] in types else c for c in columns]
    head = {
        "pretty_name": " + ".join(part.label for part in parts),
        "task_categories": [*(["image-segmentation"] if manifest["maps"] else []), "unconditional-image-generation"],
        "tags": ["synthetic", "maskzoo"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": "train", "path": [METADATA, *(f"{n}/*.png" for n in folders)]}],
            }
        ],
        "dataset_info": {"features": columns},
    }
    made = [
        f"- {entry['source']}: {entry['samples']} samples, made with {', '.join(str(m['id']) for m in entry['models'].values())}"
        for entry in manifest["merged"]
    ]
    body = [
        f"# {head['pretty_name']}",
        f"{manifest['samples']} samples ({' and '.join(folders)}) of several runs, merged with `zoo data merge`:",
        "\n".join(made),
        "The terms of these models, and of the data they learned from, hold for what they made: `zoo card ID` tells them. `source` and"
        " `source_index` of a line in `metadata.jsonl` say where a sample is from.",
        f"A pixel of a map is its class number in the label space `{space.name}`." if manifest["maps"] else "",
    ]
    text = yaml.safe_dump(head, sort_keys=False, allow_unicode=True)
    return public_text(f"---\n{text}---\n{CARD_MARK}\n\n" + "\n\n".join(filter(None, body)) + "\n")
