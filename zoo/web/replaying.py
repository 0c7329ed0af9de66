"""A project of the page rendered again, and compared: `zoo replay NAME.zoo.json`."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import DataError, UsageError
from zoo.files.decoding import decode_image
from zoo.files.images import save_image
from zoo.files.jsonfiles import field
from zoo.files.mapfiles import map_file
from zoo.files.names import one_line
from zoo.maps import SemanticMap
from zoo.web.limits import LOCAL
from zoo.web.offers import Offers, gather, offer_of
from zoo.web.project import read_project, recorded_digest
from zoo.web.rendering import Rendered, RenderJob
from zoo.web.studio import Studio
from zoo.web.wire import checked, decoded, write_map
from zoo.web.work import Work

ROLES = ("generator", "synthesizer", "parser")


def replay(
    path: Path, references: Sequence[str] = (), *, device: str = "cpu", out: Path | None = None
) -> dict[str, Any]:
    """Render a project's picture again: {"equal": bool or None (it holds no picture to compare with), "sha256", "recorded", "models": those
    whose files have another digest than the project's, "made_by", "notes"}.

    references: folders of models that have no card here. out: a folder for `map.png` and `picture.png`. Raises DataError for a damaged
    project, UsageError for a model that is not here, and what rendering raises.
    """
    values = read_project(path)
    where = str(path)
    offers = _offers(values, references, where)
    studio = Studio(offers, device, LOCAL)
    job = _job(values, studio, where)
    made = studio.painter.render(job, Work())
    recorded = recorded_digest(values, where)
    if out is not None:
        _write(out, job, made)
    return {
        "project": where,
        "equal": None if recorded is None else made.digest == recorded,
        "sha256": made.digest,
        "recorded": recorded,
        "models": _others(values, offers, where),
        "made_by": str(values.get("made_by", "")),
        "notes": list(made.notes),
    }


def _offers(values: Mapping[str, Any], references: Sequence[str], where: str) -> Offers:
    wanted = field(values, "synthesizer", str, where=where)
    offers = list(gather().models.values())
    given = [offer_of(reference) for reference in references]
    found = {offer.id: offer for offer in [*offers, *given]}  # what was named wins
    if wanted not in found or found[wanted].role != "synthesizer":
        raise UsageError(
            f"The project was made with {one_line(wanted, 80)!r}, which is not here (see: zoo list): give its folder with <<input>>."
        )
    return Offers(list(found.values()))


def _job(values: Mapping[str, Any], studio: Studio, where: str) -> RenderJob:
    photos = field(values, "photos", dict, None, where=where, default={}) or {}
    for name, text in photos.items():
        if not isinstance(text, str):
            raise DataError(f"{where}: the photo {one_line(name, 80)} is no base64.")
        added = studio.photos.add(decoded(text, f"{where}: the photo {one_line(name, 80)}"))
        if added.id != name:
            raise DataError(f"{where} is damaged: the photo {one_line(name, 80)} has other bytes than its name says.")
    parser = values.get("parser") or None
    job = {
        "kind": "render",
        "synthesizer": values["synthesizer"],
        "map": _map(values, studio, where),
        "style": values.get("style"),
        "keep": values.get("keep"),
        "seed": values.get("seed"),
        "options": values.get("options"),
        "parser": parser if parser in studio.offers.models else None,
    }
    return studio.render_job(job)


def _map(values: Mapping[str, Any], studio: Studio, where: str) -> dict[str, Any]:
    """The painted map as on the wire. Raises DataError where its picture is none, or of another size."""
    entry = field(values, "map", dict, where=where)
    space = studio.offers.space(values.get("space"))
    content = decoded(field(entry, "labels", str, where=where), f"{where}: map")
    name = Path("the map of the project")
    file = map_file(name, decode_image(name, io.BytesIO(content), exact=True, max_pixels=LOCAL.map_pixels))
    if file.values is None or file.size != (entry.get("height"), entry.get("width")) or file.values.max() > 255:
        raise DataError(f"{where} is damaged: its map is no picture of class numbers of the size that it states.")
    return write_map(checked(file.values.astype(np.uint8), space).labels, space)


def _others(values: Mapping[str, Any], offers: Offers, where: str) -> list[str]:
    """Models of the project whose files are others now."""
    recorded = field(values, "digests", dict, None, where=where, default={}) or {}
    names = [values.get(role) for role in ROLES]
    found = [(n, offers.models[n]) for n in names if isinstance(n, str) and n in offers.models]
    return [n for n, offer in found if recorded.get(n) not in (None, "", offer.digest)]


def _write(out: Path, job: RenderJob, made: Rendered) -> None:
    import PIL.Image

    from zoo.files.writing import told

    with told(out):
        out.mkdir(parents=True, exist_ok=True)
    SemanticMap.from_arrays(job.painted.labels, job.painted.space).to_png(out / "map.png")
    save_image(PIL.Image.fromarray(made.pixels), out / "picture.png")
