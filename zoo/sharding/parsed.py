"""Photos and the maps that are read in them, as shards: the job, and what makes it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch

from zoo.composition.checks.faces import check_detector, no_face
from zoo.composition.folder.manifest import check_digests, model_json
from zoo.composition.models import Named, load_named
from zoo.composition.parsing import parse_framed, parse_window
from zoo.composition.request.framing import Framing, framing_from_json
from zoo.composition.roles import check_kind
from zoo.composition.run.part import Part
from zoo.composition.run.workers import concurrent, in_order
from zoo.environment import versions
from zoo.errors import DataError, LabelError, UsageError, plain
from zoo.files.digests import sha256
from zoo.files.images import photo_tensor
from zoo.files.opened import OpenedFiles
from zoo.files.runfiles import INPUTS
from zoo.files.shardfiles import FORMAT, SPLITS
from zoo.interfaces.models import MaskParser
from zoo.labels import LabelSpace, parse_space
from zoo.registry.kinds import of_role
from zoo.sharding.job import THREADS, Job, travelling
from zoo.sharding.plan import shard_size

ROLE = "parser"
READERS = 4
"""Threads that read photos for their digests."""


@dataclass(frozen=True)
class ParseRequest:
    """space: of the maps (None: the parser's). crop: x, y, width, height that is read; framing: the square that is read, one for each photo,
    or found in each."""

    space: LabelSpace | None = None
    crop: tuple[int, int, int, int] | None = None
    framing: Framing | None = None


def make_parse_job(
    parser: Named,
    photos: Sequence[Path],
    request: ParseRequest,
    device: str,
    *,
    per_shard: int | None,
    shares: tuple[float, ...],
    map_format: str,
) -> Job:
    """The job of photos that are there; each is read for its digest, none is decoded. Raises UsageError, DataError."""
    model = cast(MaskParser, parser.model)
    space = request.space or model.label_space
    model.label_space.mapping_to(space)
    with ThreadPoolExecutor(READERS) as pool:
        digests = list(pool.map(_digest, photos))
    names = [f"{INPUTS}/{d[:16]}{p.suffix.lower()}" for d, p in zip(digests, photos, strict=True)]
    manifest = {
        "format": FORMAT,
        "kind": "parsed",
        "composition": parser.resolved.name,
        "samples": len(photos),
        "request": {
            "seed": 0,
            "photos": names,
            "photo_names": [photo.name for photo in photos],
            "crop": None if request.crop is None else list(request.crop),
            "frame": None if request.framing is None else request.framing.to_json(),
        },
        "inputs": dict(zip(names, digests, strict=True)),
        "models": {ROLE: travelling(model_json(parser))},
        "label_space": space.to_json(),
        "per_shard": shard_size(per_shard, 1),
        "batch_size": 1,
        "threads": THREADS,
        "device": device.partition(":")[0],
        "map_format": map_format,
        "image_format": "png",
        "quality": None,
        "split": dict(zip(SPLITS, shares, strict=True)),
        "versions": {n: v for n, v in versions().items() if n != "platform"},
    }
    places = {ROLE: (str(parser.resolved.folder.absolute()), parser.resolved.lasting or parser.resolved.source)}
    return Job(manifest, places, {n: str(p.absolute()) for n, p in zip(names, photos, strict=True)})


def _digest(path: Path) -> str:
    try:
        return sha256(path)
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror or error}.") from error


def build_parsed_maker(job: Job, *, device: str | None = None, processors: int = 1) -> ParsedMaker:
    """As `makers.build_maker`, of a job that parses photos."""
    folder, source = job.models[ROLE]
    reference = folder if Path(folder).is_dir() else source
    named = load_named(reference, device or job.manifest["device"], partial(check_kind, of_role(ROLE)))
    check_digests(ROLE, job.manifest["models"][ROLE]["sha256"], named.resolved)
    maker = ParsedMaker(job, cast(MaskParser, named.model), processors)
    if maker.framing is not None and maker.framing.auto:
        check_detector()
    return maker


class ParsedMaker:
    """A sample for each photo: the photo upright, and its map. What cannot be read is left out, and why is told."""

    def __init__(self, job: Job, model: MaskParser, processors: int) -> None:
        request = job.manifest["request"]
        self._job, self._model = job, model
        self._names: list[str] = request["photos"]
        self._called: list[str] = request["photo_names"]
        x, y, width, height = request["crop"] or (0, 0, 0, 0)
        self._crop = None if request["crop"] is None else (x, y, width, height)
        self.framing = None if request["frame"] is None else framing_from_json(request["frame"])
        self._mapping = model.label_space.mapping_to(
            parse_space(job.manifest["label_space"], "the manifest of the shards")
        )
        alone = job.manifest["device"] != "cpu" or not concurrent(model)
        self._workers = 1 if alone else processors

    def parts(self, samples: range) -> Generator[Part, None, None]:
        """One photo each, in order."""
        with closing(in_order([self._one] * max(1, min(self._workers, len(samples))), samples)) as parts:
            yield from parts

    def _one(self, index: int) -> Part:
        try:
            return self._read(index)
        except (DataError, LabelError, UsageError) as error:
            reason = str(error).replace(self._path(index), self._called[index]).rstrip(".")
            return Part(index, None, None, None, [], left_out={index: reason})

    def _path(self, index: int) -> str:
        return self._job.inputs[self._names[index]]

    @torch.inference_mode()
    def _read(self, index: int) -> Part:
        path, digest = self._path(index), self._job.manifest["inputs"][self._names[index]]
        files = OpenedFiles()
        files.expect(path, digest)
        image = photo_tensor(files.photo(path).pixels)
        if self.framing is None:
            read = parsed = parse_window(self._model, image[None].to(self._model.device), self._crop).to("cpu")
        else:
            one = Framing(self.framing.auto, self.framing.frames[index : index + 1])
            parsed, _, read = parse_framed(self._model, image, path, one, files)
        called = self._called[index]
        notes = [plain(n) for n in files.take_notes()]
        notes.append(plain(no_face(read.label_set().names, read.space, called)))
        parsed = parsed.mapped(self._mapping)
        record: dict[str, Any] = {
            "index": index,
            "seed": 0,
            "labels": list(parsed.label_set().names),
            "dropped": [n for n in read.label_set().names if n in self._mapping.dropped],
            "notes": [n.replace(path, called) for n in notes if n],
            "source": called,
            "source_sha256": digest,
        }
        return Part(index, parsed, image[None], None, [record])
