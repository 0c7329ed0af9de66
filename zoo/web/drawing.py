"""Layouts: drawn by a generator, edited by one, read in a photo; by the runs of a composition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from zoo.composition.request.requests import Request
from zoo.composition.request.written import EditSpec
from zoo.composition.run.inputs import crop_to, fit_map
from zoo.errors import UsageError, few
from zoo.labels import LabelSpace
from zoo.maps import SemanticMap
from zoo.web.models import Pool
from zoo.web.offers import Offer
from zoo.web.options import Pairs
from zoo.web.photos import Photo, Photos, cut
from zoo.web.wire import Frame, PaintedMap
from zoo.web.work import Work


@dataclass(frozen=True, eq=False)
class DrawJob:
    """Maps that are asked for: of label sets (labels; None: sets as the training data had them), or edits of `painted`.

    target: the label space in which they are wanted. options: sampling options of the generator, name and text.
    """

    generator: Offer
    seed: int
    n: int
    labels: tuple[str, ...] | None = None
    prior: str | None = None
    painted: PaintedMap | None = None
    edits: tuple[EditSpec, ...] = ()
    keep_rest: bool = False
    target: LabelSpace | None = None
    options: Pairs = ()


@dataclass(frozen=True, eq=False)
class ParseJob:
    """A photo whose map is asked for. size: (height, width) of the map (None: the parser's resolution)."""

    parser: Offer
    photo: Photo
    frame: Frame | None = None
    target: LabelSpace | None = None
    size: tuple[int, int] | None = None
    photos: Mapping[str, Photo] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Drawn:
    """maps: one each. notes: sentences for people."""

    maps: tuple[SemanticMap, ...]
    notes: tuple[str, ...]


@torch.inference_mode()
def draw(pool: Pool, job: DrawJob, work: Work) -> Drawn:
    """n maps at the generator's resolution: those of `zoo generate` with these labels or edits and this seed. Raises Cancelled, UsageError,
    LabelError."""
    work.step(0, job.n, "generator")
    composition = pool.composition(job.generator, None)
    wanted: dict[str, Any] = {"n": job.n, "seed": job.seed, "prior": job.prior, "device": pool.device, "batch_size": 4}
    wanted["options"] = job.options
    if job.painted is None:
        request = Request(labels=job.labels, **wanted)
    else:
        painted = _map(job.painted)
        edits = tuple(replace(e, other=_map(e.other)) if e.other is not None else e for e in job.edits)
        if any(e.other is not None and e.other.space.names != painted.space.names for e in edits):
            raise UsageError("The two maps of an interpolation are of one label space.")
        request = Request(
            masks=(painted,), mask_space=painted.space, trust_maps=True, edits=edits, keep_rest=job.keep_rest, **wanted
        )
    maps: list[SemanticMap] = []
    notes: list[str] = []
    for part in composition.run(request, progress=lambda done, total: work.step(done, total, "maps")):
        assert part.maps is not None
        found = part.maps if job.target is None else part.maps.to_space(job.target)
        maps += [found[i] for i in range(len(found))]
        for record in part.records:
            notes += _told(record, job.n)
        work.check()
    return Drawn(tuple(maps), tuple(dict.fromkeys(notes)))


def _told(record: Mapping[str, Any], n: int) -> list[str]:
    which = f"Proposal {record['index'] + 1}: " if n > 1 else ""
    empty: Sequence[str] = record.get("empty") or ()
    notes = [f"{which}{few(empty)} came out empty."] if empty else []
    return [*notes, *(f"{which}{note}" for note in record.get("notes", ()))]


def _map(painted: PaintedMap) -> SemanticMap:
    return SemanticMap.from_arrays(painted.labels, painted.space)


@torch.inference_mode()
def parse(pool: Pool, photos: Photos, job: ParseJob, work: Work) -> Drawn:
    """The map of a photo as it is framed, without a frame of its middle in the shape that is asked for. Raises Cancelled, DataError."""
    work.step(0, 2, "photo")
    size = job.size or job.parser.resolution
    picture = crop_to(cut(photos.pixels(job.photo), job.frame), size)
    work.step(1, 2, "parser")
    parsed = pool.parser(job.parser).parse(picture.to(pool.device)).to("cpu")
    target = job.target or parsed.space
    given = fit_map(parsed, parsed.space.mapping_to(target), size)
    notes = [f"{target.name} has no {few(given.dropped[0])}."] if given.dropped[0] else []
    return Drawn((given.maps,), tuple(notes))
