"""Whether generated maps have the parts that were asked for, with areas and in places like those of real maps.

The numbers are per class and per map, in shares: an area is the class's share of the map's pixels, a centre the mean position
of its pixels with (0, 0) the upper left and (1, 1) the lower right corner. So maps of any size can be compared, and any
generator in any label space. A class counts where it appears: how often it does is a figure of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.errors import DataError, LabelError
from zoo.interfaces.capabilities import Conditions
from zoo.labels import LabelSet, LabelSpace
from zoo.maps import SemanticMap
from zoo.metrics.frechet import frechet_distance

LAYOUT_CELLS, LAYOUT_COMPONENTS = 16, 10
PRESENT_IN = 10
"""The summary figures take classes that at least this many real maps show: of fewer, the distribution is luck."""


class PartStatistics:
    """Areas and centres of the classes in all maps added so far, and how often a requested class appeared.

    areas: float64 [maps, C], 0 where a class is absent; centres: float64 [maps, C, 2], (y, x), NaN where it is absent;
    asked: bool [maps, C]. All on the CPU. Background and unlabeled pixels (255) belong to no part.
    """

    def __init__(self, space: LabelSpace) -> None:
        self.space = space
        self._areas: list[Tensor] = []
        self._centres: list[Tensor] = []
        self._asked: list[Tensor] = []

    def add(self, maps: SemanticMap, asked: Conditions | None = None) -> None:
        """Count a batch. asked: the label set of each map, None for real maps, which "ask" for what they show.

        Raises LabelError for another label space, DataError for another number of label sets.
        """
        if maps.space.names != self.space.names:
            raise LabelError(
                f"These are statistics of {self.space.name!r}, got maps of {maps.space.name!r}: use to_space."
            )
        if asked is not None and len(asked) != len(maps):
            raise DataError(f"{len(asked)} label sets for {len(maps)} maps: give one each.")
        areas, centres = part_moments(maps)
        self._areas.append(areas)
        self._centres.append(centres)
        self._asked.append(areas > 0 if asked is None else _rows(asked, self.space))

    def __len__(self) -> int:
        return sum(len(part) for part in self._areas)

    @property
    def areas(self) -> Tensor:
        """Shares of the map, float64 [maps, C]."""
        return torch.cat(self._areas)

    @property
    def centres(self) -> Tensor:
        """(y, x) of each part, float64 [maps, C, 2], NaN where it is absent."""
        return torch.cat(self._centres)

    @property
    def asked(self) -> Tensor:
        """Which classes were asked for, bool [maps, C]."""
        return torch.cat(self._asked)

    def of(self, name: str) -> tuple[Tensor, Tensor]:
        """Areas [n] and centres [n, 2] of one class in the n maps that show it."""
        value = self.space.index(name)
        shown = self.areas[:, value] > 0
        return self.areas[shown, value], self.centres[shown, value]

    def met(self) -> dict[str, dict[str, Any]]:
        """For each requested class but the background: `asked`, `appeared` (of those) and `share`."""
        asked, shown = self.asked, self.areas > 0
        counts = {}
        for value, name in enumerate(self.space.names):
            count = int(asked[:, value].sum())
            if count and name != self.space.background:
                met = int((asked & shown)[:, value].sum())
                counts[name] = {"asked": count, "appeared": met, "share": met / count}
        return counts

    def share_met(self) -> float:
        """Share of all requests that appeared. NaN if nothing was asked for."""
        rows = self.met().values()
        total = sum(row["asked"] for row in rows)
        return sum(row["appeared"] for row in rows) / total if total else float("nan")


def compare_parts(
    real: PartStatistics, generated: PartStatistics, *, names: Iterable[str] | None = None, present_in: int = PRESENT_IN
) -> dict[str, Any]:
    """How like the real parts the generated ones are; `classes` has a row each, the rest are summary figures.

    Row: `real`, `found` (in how many maps the part is), `area` and `centre` with `real` and `found` mean (of the centre x
    and y) and standard deviation, and their `distance`: for areas the Wasserstein-1 distance of the two distributions
    divided by the real mean area; for centres the mean of the distances in x and y, a share of the map's side.
    Summaries, over the classes that at least `present_in` real and 2 generated maps show (`classes_compared`):
    `area_distance` and `centre_distance`, means of the rows' (0: the same distributions; two sets of real maps do not
    reach it either, measure them against one another to see what is possible); `area_spread` and `centre_spread`, the
    geometric mean of generated standard deviation / real one (below 1: the shapes are too much alike); NaN without classes.
    names: the classes to look at (default: all but the background). Raises LabelError for two label spaces.
    """
    if real.space.names != generated.space.names:
        raise LabelError(f"Parts of {real.space.name!r} and {generated.space.name!r} cannot be compared: use to_space.")
    chosen = [n for n in (real.space.names if names is None else names) if n != real.space.background]
    rows = {name: row for name in chosen if (row := _row(real.of(name), generated.of(name))) is not None}
    counted = {n: r for n, r in rows.items() if r["real"] >= present_in and r["found"] >= 2}
    summary: dict[str, Any] = {"classes_compared": len(counted)}
    for key in ("area", "centre"):
        summary[f"{key}_distance"] = _mean([r[key]["distance"] for r in counted.values()])
        summary[f"{key}_spread"] = _geometric([r[key]["spread"] for r in counted.values()])
    return {**summary, "classes": rows}


def layout_distance(real: SemanticMap, generated: SemanticMap) -> float:
    """Fréchet distance between layouts of real and generated maps: where which classes lie, and how that varies and goes together.

    A map's layout is the share of each class in each of 16 x 16 cells, in the first ten principal components of the real layouts
    (Gaussians of more directions than a hundred maps determine would be far apart even between two sets of real maps). In cells
    squared. Raises LabelError for two label spaces, DataError for fewer than two maps on a side.
    """
    if real.space.names != generated.space.names:
        raise LabelError(
            f"Layouts of {real.space.name!r} and {generated.space.name!r} cannot be compared: use to_space."
        )
    if min(len(real), len(generated)) < 2:
        raise DataError("A Fréchet distance takes at least two maps on each side.")
    truth, made = _layouts(real), _layouts(generated)
    mean = truth.mean(0)
    basis = torch.linalg.svd(truth - mean, full_matrices=False)[2][:LAYOUT_COMPONENTS].T
    return frechet_distance((truth - mean) @ basis, (made - mean) @ basis)


def _layouts(maps: SemanticMap) -> Tensor:
    """Shares of the classes in the cells, float64 [B, C * 16 * 16]; unlabeled pixels count as none."""
    rows = []
    for labels in maps.labels.cpu().split(1):
        planes = (labels[:, None] == torch.arange(len(maps.space))[:, None, None]).double()
        rows.append(F.adaptive_avg_pool2d(planes, LAYOUT_CELLS).flatten(1))
    return torch.cat(rows)


def pixel_diversity(maps: Sequence[SemanticMap]) -> Tensor:
    """Mean share of pixels that differ between two of the given drawings of the same label sets: float64 [B].

    maps: one batch per seed, all of one size and space, row i of each for the same label set; at least two batches.
    """
    if len(maps) < 2:
        raise DataError("Diversity takes at least two drawings of each label set.")
    pairs = [1 - a.same_as(b).flatten(1).double().mean(1).cpu() for a, b in combinations(maps, 2)]
    return torch.stack(pairs).mean(0)


def real_diversity(maps: SemanticMap, sets: Conditions) -> tuple[float, int]:
    """The same between different real maps of equal label sets: mean over the pairs, and how many pairs; NaN for none."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for index, label_set in enumerate(sets):
        groups.setdefault(label_set.names, []).append(index)
    pairs = [pair for rows in groups.values() for pair in combinations(rows, 2)]
    shares = [float((maps.labels[a] != maps.labels[b]).double().mean()) for a, b in pairs]
    return _mean(shares), len(shares)


def wasserstein(a: Tensor, b: Tensor) -> float:
    """Wasserstein-1 distance between two samples [n] and [m] of numbers: the area between their distribution functions."""
    a, b = a.double().sort().values, b.double().sort().values
    points = torch.cat([a, b]).sort().values
    steps = points.diff()
    below = [torch.searchsorted(s, points[:-1], right=True).double() / len(s) for s in (a, b)]
    return float(((below[0] - below[1]).abs() * steps).sum())


def part_moments(maps: SemanticMap) -> tuple[Tensor, Tensor]:
    """Areas float64 [B, C] and centres (y, x) float64 [B, C, 2] of each class; NaN centres where it is absent."""
    height, width = maps.size
    labels, classes = maps.labels.flatten(1).cpu(), 256
    y = ((torch.arange(height, dtype=torch.float64) + 0.5) / height).repeat_interleave(width)
    x = ((torch.arange(width, dtype=torch.float64) + 0.5) / width).repeat(height)
    sums = [
        torch.zeros(len(labels), classes, dtype=torch.float64).scatter_add_(1, labels, weight.expand(labels.shape))
        for weight in (torch.ones_like(y), y, x)
    ]
    counts, *positions = (s[:, : len(maps.space)] for s in sums)
    return counts / (height * width), torch.stack(positions, -1) / counts[..., None]


def _rows(sets: Conditions, space: LabelSpace) -> Tensor:
    """Label sets as bool [B, C]."""

    def row(label_set: LabelSet) -> list[bool]:
        values = {space.index(name) for name in label_set}
        return [v in values for v in range(len(space))]

    return torch.tensor([row(s) for s in sets])


def _row(real: tuple[Tensor, Tensor], generated: tuple[Tensor, Tensor]) -> dict[str, Any] | None:
    """One class, None where neither side has it. Numbers that cannot be had are NaN."""
    (area, centre), (area_generated, centre_generated) = real, generated
    if not len(area) and not len(area_generated):
        return None
    both = len(area) > 0 and len(area_generated) > 0
    nan = float("nan")
    distances = [wasserstein(centre[:, axis], centre_generated[:, axis]) for axis in (0, 1)] if both else [nan]
    return {
        "real": len(area),
        "found": len(area_generated),
        "area": {
            "real": _moments(area),
            "found": _moments(area_generated),
            "distance": wasserstein(area, area_generated) / float(area.mean()) if both else nan,
            "spread": _ratio(area_generated, area),
        },
        "centre": {
            "real": {"x": _moments(centre[:, 1]), "y": _moments(centre[:, 0])},
            "found": {"x": _moments(centre_generated[:, 1]), "y": _moments(centre_generated[:, 0])},
            "distance": _mean(distances),
            "spread": _geometric([_ratio(centre_generated[:, axis], centre[:, axis]) for axis in (0, 1)]),
        },
    }


def _moments(values: Tensor) -> dict[str, float]:
    return {
        "mean": float(values.mean()) if len(values) else float("nan"),
        "std": float(values.std()) if len(values) > 1 else float("nan"),
    }


def _ratio(generated: Tensor, real: Tensor) -> float:
    """Standard deviation of the generated values over that of the real ones; NaN where either cannot be had or is 0."""
    if min(len(generated), len(real)) < 2 or float(real.std()) == 0:
        return float("nan")
    return float(generated.std() / real.std())


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if v == v]
    return sum(known) / len(known) if known else float("nan")


def _geometric(values: Sequence[float]) -> float:
    known = torch.tensor([v for v in values if v == v], dtype=torch.float64)
    return float(known.clamp(min=1e-6).log().mean().exp()) if len(known) else float("nan")
