"""All that the server does, without a word of HTTP: `app` puts addresses to it, `project` renders with it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from zoo.errors import UsageError
from zoo.files.jsonfiles import field, named
from zoo.labels import LabelSpace
from zoo.web import drawing
from zoo.web.drawing import DrawJob, ParseJob
from zoo.web.facts import facts
from zoo.web.limits import LOCAL, Limits
from zoo.web.models import Pool
from zoo.web.offers import Offer, Offers
from zoo.web.options import read_options
from zoo.web.photos import Photo, Photos
from zoo.web.rendering import Painter, RenderJob
from zoo.web.wire import Reader, Source, count, frame, labels, photo_id, seed, write_map
from zoo.web.work import Work

Run = Callable[[Work], dict[str, Any]]
KINDS = ("generate", "edit", "render", "parse")


class Studio:
    """Models, photos and what is kept for the next stroke."""

    def __init__(self, offers: Offers, device: str = "cpu", limits: Limits = LOCAL, *, tokenless: bool = False) -> None:
        self.offers, self.limits, self.tokenless = offers, limits, tokenless
        self.pool = Pool(offers, device, limits)
        self.photos = Photos(limits)
        self.painter = Painter(self.pool, self.photos, limits)
        self.reader = Reader(offers.space, limits)

    def facts(self) -> dict[str, Any]:
        """What the page is told at its start."""
        return facts(self.offers, self.limits, self.pool.form, tokenless=self.tokenless)

    def run(self, job: Mapping[str, Any], session: str = "") -> tuple[str, Run]:
        """The kind of a job and what does it. What is wrong with the job itself is raised here: UsageError, LabelError, and `Forgotten` for photos
        that are no longer here."""
        kind = job.get("kind")
        makers = {"generate": self._generate, "edit": self._edit, "parse": self._parse}
        if kind == "render":
            return "render", self._render(job, session)
        if kind not in makers:
            raise UsageError(f"No job {named(kind)} (there are: {', '.join(KINDS)}).")
        return str(kind), makers[kind](job)

    # --- one for each kind ------------------------------------------------------------------------------------------

    def _generate(self, job: Mapping[str, Any]) -> Run:
        offer = self.offers.find(job.get("generator"), "generator")
        names = job.get("labels")
        chosen = None if names is None else labels(names, "labels")
        if chosen is not None:
            offer.space.label_set(chosen)  # an unknown name, or none at all
        return self._draw(
            DrawJob(
                offer,
                *self._numbers(job),
                labels=chosen,
                prior=_prior(job),
                target=self._target(job),
                options=read_options(job, offer),
            )
        )

    def _edit(self, job: Mapping[str, Any]) -> Run:
        offer = self.offers.find(job.get("generator"), "generator")
        painted = self.reader.painted(job.get("map"))
        other = job.get("other")
        edits = self.reader.edits(job.get("edits"), None if other is None else self.reader.painted(other, "other"))
        keep = bool(field(job, "keepRest", bool, None, where="edit", default=False, error=UsageError))
        target = self._target(job) or painted.space
        return self._draw(
            DrawJob(
                offer,
                *self._numbers(job),
                painted=painted,
                edits=edits,
                keep_rest=keep,
                prior=_prior(job),
                target=target,
                options=read_options(job, offer),
            )
        )

    def _draw(self, job: DrawJob) -> Run:
        def run(work: Work) -> dict[str, Any]:
            with self.pool.using(job.generator, wait=work.check):
                drawn = drawing.draw(self.pool, job, work)
            return {"maps": [_written(m) for m in drawn.maps], "notes": list(drawn.notes)}

        return run

    def _parse(self, job: Mapping[str, Any]) -> Run:
        photo = self.photos.get([photo_id(job.get("photo"), "photo")])
        target = self._target(job)
        offer = self._parser(job)
        if offer is None:
            here = [o for o in self.offers.of("parser") if o.folder is not None]
            if target is None and not here:
                raise UsageError(
                    "No parser is here: it would read the map of a photo (see: zoo list --kind mask-parser)."
                )
            offer = here[0] if target is None else self.pool.parser_for(target)
        size = job.get("size")
        if size is not None:
            sides = {"height": size[0], "width": size[1]} if isinstance(size, list) and len(size) == 2 else {}
            size = count(sides, "height", "size", 4096), count(sides, "width", "size", 4096)
        (found,) = photo.values()
        wanted = ParseJob(offer, found, frame(job.get("frame"), "parse"), target, size)

        def run(work: Work) -> dict[str, Any]:
            with self.pool.using(wanted.parser, wait=work.check):
                drawn = drawing.parse(self.pool, self.photos, wanted, work)
            return {"map": _written(drawn.maps[0]), "notes": list(drawn.notes)}

        return run

    def render_job(self, job: Mapping[str, Any]) -> RenderJob:
        """A render as it is written on the wire, its photos looked up. Raises as `run`."""
        offer = self.offers.find(job.get("synthesizer"), "synthesizer")
        painted = self.reader.painted(job.get("map"))
        wish = self.reader.style(job.get("style") or {"base": _default(offer.can)})
        keep = self.reader.keep(job.get("keep"))
        number, _ = self._numbers(job)
        sources: list[Source] = [*wish.sources(), *([keep.source] if keep is not None else [])]
        if keep is not None:
            for name in keep.classes:
                offer.space.index(name)
        found: dict[str, Photo] = self.photos.get([s.photo for s in sources if s.kind == "photo"])
        fresh = bool(field(job, "fresh", bool, None, where="render", default=False, error=UsageError))
        options = read_options(job, offer)
        return RenderJob(offer, painted, wish, number, keep, self._parser(job), found, fresh, options)

    def _render(self, job: Mapping[str, Any], session: str) -> Run:
        wanted = self.render_job(job)

        def run(work: Work) -> dict[str, Any]:
            with self.pool.using(wanted.synthesizer, wait=work.check):
                made = self.painter.render(wanted, work, session)
            height, width = made.pixels.shape[:2]
            return {
                "image": base64.b64encode(png(made.pixels)).decode(),
                "width": width,
                "height": height,
                "seconds": round(made.seconds, 4),
                "notes": list(made.notes),
                "digest": made.digest,
            }

        return run

    # --- fields that several have --------------------------------------------------------------------------------------

    def _numbers(self, job: Mapping[str, Any]) -> tuple[int, int]:
        return seed(job, "job", 0), count(job, "n", "job", self.limits.samples)

    def _target(self, job: Mapping[str, Any]) -> LabelSpace | None:
        name = job.get("space")
        return None if name is None else self.offers.space(name)

    def _parser(self, job: Mapping[str, Any]) -> Offer | None:
        name = job.get("parser")
        return None if name is None else self.offers.find(name, "parser")


def _prior(job: Mapping[str, Any]) -> str | None:
    prior = job.get("prior")
    if prior not in (None, "fitted", "normal"):
        raise UsageError(f"prior is fitted or normal, got {named(prior)}.")
    return prior


def _default(can: frozenset[str]) -> dict[str, Any]:
    return {"kind": "prior" if "style:prior" in can else "mean"}


def _written(semantic_map: Any) -> dict[str, Any]:
    return write_map(semantic_map.labels[0].cpu().numpy().astype(np.uint8), semantic_map.space)


def png(pixels: np.ndarray) -> bytes:
    """A picture as PNG, packed fast: it goes to this machine's own page."""
    import PIL.Image

    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, format="PNG", compress_level=1)
    return file.getvalue()
