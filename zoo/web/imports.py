"""A label map that was dropped into the page: read as every command reads one, with what the judge says of it. No torch in here."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.errors import DataError, LabelError, ZooError, plain
from zoo.files.decoding import decode_image
from zoo.files.mapfiles import MapFile, map_file, to_values
from zoo.files.mapreport import describe
from zoo.files.names import one_line
from zoo.labels import LabelSpace
from zoo.registry import registry
from zoo.web.limits import Limits
from zoo.web.offers import Offers, join_fault

NAME = 60
"""Letters of a file's name in messages."""


@dataclass(frozen=True, eq=False)
class Imported:
    """values: uint8 [H, W] of `space`. notes: the judgement, in sentences. readings: label spaces that it could be read in."""

    values: np.ndarray
    space: LabelSpace
    notes: tuple[str, ...]
    readings: tuple[str, ...]


def read_map(
    content: bytes, name: str, offers: Offers, limits: Limits, *, read_as: str = "", target: str = ""
) -> Imported:
    """The map in a file's bytes. name: what the page calls the file; it is shown in messages and opened nowhere.

    read_as: the label space of its numbers, where the page says it; else what its colours, or where its parts lie, say. target: the
    space (of an offered model) in which it is wanted; else its own, where a model works in that. Raises DataError, LabelError.
    """
    path = Path(one_line(name.replace("\\", "/").rpartition("/")[2], NAME) or "The map")
    image = decode_image(path, io.BytesIO(content), exact=True, max_pixels=limits.pixels, told=True)
    file = map_file(path, image)
    height, width = file.size
    if height * width > limits.map_pixels:
        raise DataError(
            f"{path} has {width} x {height} pixels; a map has at most {limits.map_pixels:,} here: scale it down first."
        )
    known = registry().working_spaces()[0]
    own = next((s for s in [*offers.spaces.values(), *known] if s.name == read_as), None)
    if read_as and own is None:
        raise LabelError(f"There is no label space {read_as[:80]!r} (see: zoo labels).")
    report = describe(file, known, own)
    space = own or _own_space(file, report, offers, known)
    notes = [plain(line) for line in report["advice"]]
    values = to_values(file, space)
    wanted = offers.space(target) if target else _target(space, offers)
    told = f"Read as a map of {space.title or space.name}"
    if wanted.names != space.names:
        values, lost = _mapped(values, space, wanted)
        told += f", brought to {wanted.title or wanted.name} by the names of its classes"
        if lost:
            notes.insert(0, f"{wanted.name} has no {', '.join(lost)}: there stands {wanted.background}.")
    return Imported(np.ascontiguousarray(values, np.uint8), wanted, (f"{told}.", *notes), tuple(report["fits"]))


def _own_space(file: MapFile, report: dict[str, object], offers: Offers, known: list[LabelSpace]) -> LabelSpace:
    """The space of a map of which nobody has said anything: by where its parts lie, by its colours, else the first of the models' in which it
    is legal. Raises LabelError."""
    guess = report["guess"]
    if isinstance(guess, dict):
        if guess["offset"]:
            raise LabelError(f"{file.path}: {plain(' '.join(map(str, report['advice'])))}")  # type: ignore[call-overload]
        return next(s for s in known if s.name == guess["label_space"])
    fits = [str(name) for name in report["fits"]]  # type: ignore[attr-defined]
    fitting = [s for s in [*offers.spaces.values(), *known] if s.name in fits]
    if not fitting:
        advice = plain(" ".join(map(str, report["advice"])))  # type: ignore[call-overload]
        raise LabelError(f"{file.path} is no map of a label space that is known here. {advice}".strip())
    return fitting[0]


def _target(space: LabelSpace, offers: Offers) -> LabelSpace:
    """The models' space that a map is brought to: its own, else the first that it joins. Raises LabelError."""
    if space.name in offers.spaces:
        return space
    for wanted in offers.spaces.values():
        try:
            if join_fault(space, wanted) is None:
                return wanted
        except ZooError:
            continue
    raise LabelError(f"This is a map of {space.title or space.name}, and no model here works with such maps.")


def _mapped(values: np.ndarray, space: LabelSpace, wanted: LabelSpace) -> tuple[np.ndarray, list[str]]:
    from zoo.maps import SemanticMap

    mapping = space.mapping_to(wanted)
    found = SemanticMap.from_arrays(values, space).mapped(mapping)
    shown = {space.names[v] for v in np.unique(values) if v < len(space)}
    return found.labels[0].numpy().astype(np.uint8), [
        n for n in mapping.dropped if n in shown and n != space.background
    ]
