"""What a folder of data tells of itself if the zoo made it: who made it, and whether its files are those of its lines. No torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.data.sharded.places import Place
from zoo.errors import ZooError
from zoo.files.jsonfiles import field as field_of
from zoo.files.jsonfiles import read_json
from zoo.files.runaccount import account
from zoo.files.runfiles import MANIFEST, MERGED, METADATA, NEEDED, read_manifest
from zoo.files.shardfiles import MANIFEST as SHARDS

INPUT_FIELDS = ("masks", "photos", "instances")


@dataclass
class Maker:
    """A model that took part in making pictures or maps: its id and reference as the manifest has them, and the digests of its files."""

    id: str
    source: str
    files: dict[str, str] | None


@dataclass
class RunFacts:
    """manifest: None for a folder that is no run. makers: each model once. inputs: True if files of the user's own went in."""

    manifest: dict[str, Any] | None = None
    makers: list[Maker] = field(default_factory=list)
    inputs: bool = False
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def run_of(place: str | Path, *, files: bool = True) -> RunFacts:
    """The facts of a folder. files: hold all files against their lines; what is wrong stands in `problems`, nothing is raised."""
    folder = Path(place)
    if not _is_run(folder):
        return _shard_run(str(place))
    try:
        manifest = read_manifest(folder, merged=True)
        found = RunFacts(manifest)
        found.makers, found.inputs = _makers(manifest), _took_inputs(manifest)
        if files:
            there = account(folder, manifest)
            found.problems += [f"{folder}: {line}" for line in there.problems()]
            found.notes.append(f"{folder.name}: {there.counts()}")
    except ZooError as error:
        return RunFacts(problems=[str(error)])
    return found


def _is_run(folder: Path) -> bool:
    """Whether the zoo says that it wrote this: other tools have a `manifest.json`, too."""
    path = folder / MANIFEST
    if not path.is_file():
        return False
    try:
        values = read_json(path, object)
    except ZooError:
        return (folder / METADATA).is_file()
    if not isinstance(values, dict):
        return False
    return sum(k in values for k in NEEDED) > 1 or all(k in values for k in MERGED)


def _shard_run(place: str) -> RunFacts:
    """The facts of a folder of shards, or of the one in which these tars lie; its files are held against their lines elsewhere."""
    folder = Place((place.rpartition("/")[0] or ".") if place.endswith(".tar") else place)
    if folder.local is not None and not (folder.local / SHARDS).is_file():
        return RunFacts()
    try:
        manifest = folder.json(SHARDS, "a manifest of shards")
        models = field_of(manifest, "models", dict, where=folder.at(SHARDS), default={})
        field_of(manifest, "request", dict, where=folder.at(SHARDS), default={})
    except ZooError as error:
        return RunFacts(problems=[str(error)])
    makers = [
        Maker(
            str(m.get("id")),
            str(m.get("source") or m.get("id")),
            m["sha256"] if isinstance(m.get("sha256"), dict) else None,
        )
        for m in models.values()
        if isinstance(m, dict)
    ]
    return RunFacts(manifest, makers, _took_inputs({"request": {}, **manifest}))


def _makers(manifest: dict[str, Any]) -> list[Maker]:
    runs = manifest.get("merged", [manifest])
    makers: dict[str, Maker] = {}
    for run in runs:
        for model in run["models"].values():
            maker = Maker(str(model.get("id")), str(model.get("source")), model.get("sha256"))
            makers.setdefault(repr((maker.id, maker.files)), maker)
    return list(makers.values())


def _took_inputs(manifest: dict[str, Any]) -> bool:
    """Whether maps, photos or styles of the user's own are part of what came out."""
    if "merged" in manifest:
        return any(part.get("inputs") for part in manifest["merged"])
    request = manifest["request"]
    edits, styles = ([i for i in request.get(n) or () if isinstance(i, dict)] for n in ("edits", "styles"))
    read = [request.get(name) for name in INPUT_FIELDS]
    read += [edit.get("other") for edit in edits]
    named = [style.get("source") for style in styles] + [request.get("style_to")]
    return any(read) or any(isinstance(s, dict) and s.get("path") for s in named)
