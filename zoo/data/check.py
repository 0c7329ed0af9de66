"""Looks at every file of a data set: `zoo data check`."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zoo.data.copies import Copies, splits_by_file
from zoo.data.files import LabelArray, LayerArray, PhotoArray, resize_labels, resize_photo
from zoo.data.judging import Judged, looked_at
from zoo.data.pairs import Source
from zoo.data.runs import run_of
from zoo.data.specs import DataSpec
from zoo.errors import ZooError, plain
from zoo.files.decoding import quiet
from zoo.files.images import turn_fault, turn_of
from zoo.labels import IGNORE
from zoo.maps import SemanticMap

SHEET_PAIRS, SHEET_SIDE = 32, 128


@dataclass
class DataReport:
    """What a data set holds and what is wrong with it (`problems`, empty if nothing)."""

    spec: str
    location: str
    label_space: str
    splits: tuple[str, ...]
    pairs: int
    has_images: bool
    sizes: dict[str, int] = field(default_factory=dict)
    """"width x height" of the maps -> number of pairs, most frequent first."""
    classes: list[dict[str, Any]] = field(default_factory=list)
    """Per class: value, name, pixels, share of all pixels, number of maps that show it."""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What was left out or changed on purpose."""
    overlap: float | None = None
    """Share of all pixels where two or more parts lie on each other; None for data sets of one class per pixel."""
    samples: list[tuple[PhotoArray | None, LabelArray]] = field(default_factory=list)
    """Some pairs at 128 px for the contact sheet."""

    @property
    def ok(self) -> bool:
        """True if nothing is wrong."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """The report as one JSON document (without pictures)."""
        names = ("spec", "location", "label_space", "splits", "pairs", "has_images", "overlap", "sizes", "classes")
        names += ("notes", "problems")
        return {**{name: getattr(self, name) for name in names}, "ok": self.ok}


def check_data(
    spec: DataSpec,
    source: Source,
    *,
    trust_maps: bool = False,
    told: Callable[[str], str] = plain,
    progress: Callable[[int, int], None] | None = None,
) -> DataReport:
    """Reads every pair at its own size. Faults are collected, not raised: broken, empty or unpaired files, photos and maps
    of different sizes, values outside the label space, maps of one class only, parts that are nowhere or everywhere, numbers in
    another order, and (where all splits are read) pictures that are in several splits.

    trust_maps: do not ask whether the numbers are in the order of the label space. told: how texts name arguments of the call.
    """
    space = source.label_space
    report = DataReport(
        str(spec), source.location, space.name, tuple(source.splits), len(source.names), source.has_images
    )
    report.problems += source.leftovers() + source.damage()
    report.notes += source.notes()
    for place in source.places():
        run = run_of(place)
        report.problems += run.problems
        report.notes += run.notes
    pixels, maps = np.zeros(256, dtype=np.int64), np.zeros(256, dtype=np.int64)
    sizes: Counter[str] = Counter()
    doubled = 0
    judged, asked = Judged(source), set() if trust_maps else looked_at(len(source.names))
    copies = Copies(splits_by_file(spec, source))
    counted = source.counted()
    turned = 0
    shown = set(np.linspace(0, len(source.names) - 1, min(SHEET_PAIRS, len(source.names))).astype(int).tolist())
    for index in range(len(source.names)):
        if progress is not None:
            progress(index, len(source.names))
        pair = _read(source, index, report.problems, report.notes)
        if pair is None:
            continue
        if source.has_instances:
            _judge_instances(source, index, pair[1], report.problems)
        copies.look(source, index, *pair)
        turned += pair[0] is not None and turn_of(Path(source.files(index).get("photo", ""))) > 1
        if source.has_layers:
            layers = source.read_layers(index)
            _judge_layers(source, index, layers, report.problems)
            doubled += int(((layers & (layers - 1)) != 0).sum())
        counts = np.bincount(pair[1].ravel(), minlength=256)
        pixels += counts
        maps += counts > 0
        if counted is not None:
            counted.look(index, counts)
        sizes[f"{pair[1].shape[1]} x {pair[1].shape[0]}"] += 1
        _judge(source, index, pair, counts, report.problems)
        if index in asked:
            judged.ask(index, pair[1])
        if index in shown:
            report.samples.append(_small(pair))
    for found in judged.found():
        (report.problems if found.verdict.refused else report.notes).append(told(found.text))
    if source.has_layers:
        report.overlap = doubled / max(1, int(pixels.sum()))
    report.problems += copies.problems() + (counted.problems() if counted is not None else [])
    if turned:
        report.notes.append(
            f"{turned} photos are turned by their EXIF tag, as viewers show them; their maps must be of the turned pictures"
        )
    report.sizes = dict(sizes.most_common())
    report.classes = _class_rows(source, pixels, maps)
    return report


def _read(
    source: Source, index: int, problems: list[str], notes: list[str]
) -> tuple[PhotoArray | None, LabelArray] | None:
    empty = [path for path in source.files(index).values() if Path(path).stat().st_size == 0]
    if empty:
        problems += [f"{path} is empty (0 bytes)" for path in empty]
        return None
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            quiet()
            pair = source.read(index)
        notes += [str(w.message) for w in told if issubclass(w.category, UserWarning)]
        return pair
    except (ZooError, OSError) as error:
        problems.append(str(error))
        return None


def _judge(
    source: Source, index: int, pair: tuple[PhotoArray | None, LabelArray], counts: np.ndarray, problems: list[str]
) -> None:
    photo, labels = pair
    files, name = source.files(index), source.names[index]
    where = files.get("map", name) if files else source.origin(index) or name
    if photo is not None and photo.shape[:2] != labels.shape:
        problems.append(
            f"{where}: the map is {labels.shape[1]} x {labels.shape[0]}, its photo {photo.shape[1]} x {photo.shape[0]}"
            + turn_fault(source.files(index).get("photo", ""), photo.shape[:2], labels.shape[:2]).removesuffix(".")
        )
    used = np.flatnonzero(counts)
    if len(used) == 1 and not source.whole_maps:
        value = int(used[0])
        name = source.label_space.names[value] if value < len(source.label_space) else "unlabeled"
        problems.append(f"{where}: the whole map is {name} ({value}), so it says nothing")


def _judge_layers(source: Source, index: int, layers: LayerArray, problems: list[str]) -> None:
    """Part masks that show nothing, or everything: files of a form that was misread look so."""
    for role, path in source.files(index).items():
        part = source.label_space.find(role.removeprefix("mask of ")) if role.startswith("mask of ") else None
        if part is None:
            continue
        covered = int(((layers >> part) & 1).sum())
        if covered in (0, layers.size):
            problems.append(
                f"{path}: the part {'covers the whole picture' if covered else 'is nowhere in the picture'}"
            )


def _judge_instances(source: Source, index: int, labels: LabelArray, problems: list[str]) -> None:
    where = source.files(index).get("instances", source.names[index])
    try:
        shape = source.read_instances(index).shape
    except (ZooError, OSError) as error:
        problems.append(str(error))
        return
    if shape != labels.shape:
        problems.append(
            f"{where}: the instance map is {shape[1]} x {shape[0]}, the label map {labels.shape[1]} x {labels.shape[0]}"
        )


def _small(pair: tuple[PhotoArray | None, LabelArray]) -> tuple[PhotoArray | None, LabelArray]:
    size = (SHEET_SIDE, SHEET_SIDE)
    return None if pair[0] is None else resize_photo(pair[0], size), resize_labels(pair[1], size)


def _class_rows(source: Source, pixels: np.ndarray, maps: np.ndarray) -> list[dict[str, Any]]:
    total = max(1, int(pixels.sum()))
    names = dict(enumerate(source.label_space.names))
    if source.label_space.ignore and (pixels[IGNORE] or "unlabeled" not in source.label_space.names):
        names[IGNORE] = "unlabeled"
    return [
        {
            "value": value,
            "name": name,
            "pixels": int(pixels[value]),
            "share": int(pixels[value]) / total,
            "maps": int(maps[value]),
        }
        for value, name in names.items()
    ]


def write_sheet(report: DataReport, source: Source, path: Path, *, columns: int = 8) -> None:
    """The report's samples as a contact sheet, maps above photos. Raises DataError if there is nothing to show."""
    from zoo.data.sheets import save_grid, wrapped

    labels = [p[1] for p in report.samples]
    colors = (
        list(SemanticMap(torch.from_numpy(np.stack(labels)).long(), source.label_space).colorize()) if labels else []
    )
    photos = [torch.from_numpy(p[0].copy()).permute(2, 0, 1).float() / 255 for p in report.samples if p[0] is not None]
    save_grid(wrapped([colors, photos], columns), path)
