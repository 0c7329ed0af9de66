"""What a process needs to make shards, as plain JSON: the manifest, and where the models and input files lie for it.

The manifest (`shards.json`) says what is made and travels with the shards, so it names no place of any machine; a job adds those.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.composition.folder.inputs import Inputs
from zoo.composition.folder.manifest import make_manifest, needs_parser
from zoo.errors import DataError
from zoo.files.opened import OpenedFiles
from zoo.files.pictureformats import QUALITY
from zoo.files.shardfiles import FORMAT, SPLITS, digest_of
from zoo.hub import is_path
from zoo.sharding.plan import shard_size

if TYPE_CHECKING:
    from zoo.composition.models import Models
    from zoo.composition.request.requests import Request

THREADS = 1
"""Of torch for each batch: part of what bytes depend on, so it is the same on all machines. More processors make more batches at once."""


@dataclass(frozen=True)
class Job:
    """manifest: of the shards. models: by role, the folder that holds its model here, and the name to find it by elsewhere. inputs: the
    path of each input file that the manifest names."""

    manifest: dict[str, Any]
    models: dict[str, tuple[str, str]]
    inputs: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """For another process."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Job:
        """What `to_json` gave, also after it was text."""
        models = {role: (str(folder), str(source)) for role, (folder, source) in values["models"].items()}
        return cls(values["manifest"], models, dict(values["inputs"]))


class _Noted(Inputs):
    """Inputs that are named and not copied, with the paths that they were given by."""

    def __init__(self, files: OpenedFiles | None) -> None:
        super().__init__(files, copied=False)
        self.paths: dict[str, str] = {}

    def add(self, value: Any, photo: bool = False) -> str:
        name = super().add(value, photo)
        if isinstance(value, str | Path):
            self.paths[name] = str(Path(value).absolute())
        return name


def make_job(
    models: Models,
    request: Request,
    files: OpenedFiles | None = None,
    *,
    per_shard: int | None = None,
    shares: tuple[float, ...],
) -> Job:
    """The job of a checked request. files: those of the request that are opened already. Raises UsageError for a size of shards that is none."""
    inputs = _Noted(files)
    run, _ = make_manifest(models, request, inputs=inputs)
    # a composition may have got a parser for another request, and records name the models
    roles = [role for role in models.named if role != "parser" or needs_parser(request)]
    manifest = {
        "format": FORMAT,
        "kind": "pairs" if run["maps"] and run["images"] else "maps" if run["maps"] else "pictures",
        **{n: run[n] for n in ("rules", "composition", "mappings", "size", "samples", "dtype", "compile") if n in run},
        "request": run["request"],
        "inputs": inputs.digests,
        "models": {role: travelling(run["models"][role]) for role in roles},
        "label_space": models.space.to_json(),
        "per_shard": shard_size(per_shard, request.batch_size),
        "batch_size": request.batch_size,
        "threads": THREADS,
        "device": request.device.partition(":")[0],
        "map_format": request.map_format,
        "image_format": request.image_format,
        "quality": (request.quality or QUALITY) if request.image_format != "png" else None,
        "split": dict(zip(SPLITS, shares, strict=True)),
        "versions": {n: v for n, v in run["versions"].items() if n != "platform"},
    }
    places = {
        role: (str(resolved.folder.absolute()), resolved.lasting or resolved.source)
        for role, resolved in ((role, models.named[role].resolved) for role in roles)
    }
    return Job(manifest, places, inputs.paths)


def travelling(model: dict[str, Any]) -> dict[str, Any]:
    """How a manifest of shards names a model: a folder of this machine is no name. digest: one for all its files."""
    if model["sha256"] is None:
        raise DataError(f"{model['id']} exists as a Python object only: save it (zoo.save) and name its folder.")
    source = {} if is_path(model["source"]) else {"source": model["source"]}
    return {"id": model["id"], **source, "sha256": model["sha256"], "digest": digest_of(model["sha256"])}
