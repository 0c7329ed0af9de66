"""GTA-5's rebalancing (cIMLE's scheme, docs/papers/cimle.md, "Rebalancing"): rare colours are drawn more often, rare classes weigh more.

    python -m zoo.data.rarity gta5:DIR#train --out DIR/rarity

For each image and class the mean colour of the class's pixels; for each class a Gaussian kernel density over all images that show
it; rarity is one over the density. `kdecolor_rarity_bin_<class>.npy`: float64 [images], the cumulative distribution by which an
epoch's images are drawn. `GTA_weightedrarity_mask.npy`: float32 [images, H, W, 1], a pixel's rarity (its class's in this
image) over the largest in the image.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.pairs import PairData
from zoo.data.specs import open_data
from zoo.errors import DataError, UsageError, ZooError
from zoo.files.writing import told, write_atomic
from zoo.rng import Rng

BINS = (0, 2, 10, 19, 1)
"""Classes by whose colours images are drawn, in turn: road, building, sky, other, sidewalk."""
MASK = "GTA_weightedrarity_mask.npy"
RAREST = 67
"""A class must be in more images than this to have a density."""
BLOCK = 1024
SIZE = (256, 512)

Floats = NDArray[np.float64]


def bin_name(label: int) -> str:
    """File of a class's distribution."""
    return f"kdecolor_rarity_bin_{label}.npy"


@dataclass(eq=False)
class Rarity:
    """The files of a folder. bins: cumulative distributions [images] in the order of `BINS`; mask: memory-mapped [images, H, W, 1]."""

    folder: Path
    bins: list[Floats]
    mask: NDArray[np.float32]
    _rows: dict[str, int] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: str | Path) -> Rarity:
        """Raises DataError that names missing or unfit files and the command that makes them."""
        folder = Path(folder)
        names = [*map(bin_name, BINS), MASK]
        lacking = [n for n in names if not (folder / n).is_file()]
        if lacking:
            raise DataError(
                f"The rebalancing of GTA-5 needs files that {folder} lacks: {', '.join(lacking)}. They are not published: compute them with"
                f' `python -m zoo.data.rarity gta5:DIR#train --out {folder}`, or train without (<<changes={{"trainer.rarity": ""}}>>).'
            )
        try:
            bins = [np.load(folder / n).astype(np.float64).ravel() for n in names[:-1]]
            mask = np.load(folder / MASK, mmap_mode="r")
        except (OSError, ValueError) as error:
            raise DataError(f"{folder}: a rebalancing file cannot be read ({error}).") from error
        counts = {len(b) for b in bins} | {len(mask)}
        if len(counts) != 1 or mask.ndim != 4 or not counts.pop():
            raise DataError(
                f"{folder}: the rebalancing files belong to different sets ({', '.join(str(len(b)) for b in bins)} images, a mask of shape"
                f" {mask.shape}): compute them anew."
            )
        return cls(folder, bins, mask)

    def fit(self, names: Sequence[str]) -> None:
        """Take these pairs, in this order, for the images of the files. Raises DataError if they are of another number."""
        if len(names) != len(self.mask):
            raise DataError(
                f"{self.folder}: the rebalancing files are of {len(self.mask)} images, the training data have {len(names)}:"
                " they must be computed from the same split."
            )
        self._rows = {name: row for row, name in enumerate(names)}

    def order(self, seed: int, epoch: int, images: int, items: int) -> list[int]:
        """Pairs of an epoch: `images` are drawn, the i-th by class i mod 5; each of the `items` is a random one of these."""
        rng = Rng(seed)
        draws = rng.uniform("rarity", epoch, shape=(images,))[0].numpy()
        pool = [min(int(np.searchsorted(self.bins[i % len(BINS)], u)), len(self.mask) - 1) for i, u in enumerate(draws)]
        picks = rng.uniform("rarity-items", epoch, shape=(items,))[0].numpy()
        return [pool[int(p * images)] for p in picks]

    def masks(self, names: Sequence[str]) -> NDArray[np.float32]:
        """The pairs' pixel weights: float32 [B, 1, H, W]."""
        weights = np.stack([np.asarray(self.mask[self._rows[name]]) for name in names])
        return np.ascontiguousarray(weights.transpose(0, 3, 1, 2), dtype=np.float32)


# --- computing the files ------------------------------------------------------------------------------------------


def mean_colors(data: PairData, classes: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Mean colour (0..1) of each class in each image [images, classes, 3], and where there is any [images, classes]."""
    colors = np.zeros((len(data), classes, 3))
    shown = np.zeros((len(data), classes), dtype=bool)
    for index in range(len(data)):
        photo, labels = data.pair(index, SIZE)
        if photo is None:
            raise DataError("Colours are counted in photos, and this data set holds maps alone.")
        flat, pixels = labels.ravel().astype(np.int64), photo.reshape(-1, 3) / 255
        counts = np.bincount(flat, minlength=classes)[:classes]
        sums = np.stack([np.bincount(flat, pixels[:, c], minlength=classes)[:classes] for c in range(3)], 1)
        shown[index] = counts > 0
        colors[index] = sums / np.maximum(counts, 1)[:, None]
    return colors, shown


def density(points: Floats) -> Floats:
    """Gaussian kernel density of points [n, d] at themselves, bandwidth by Scott's rule: [n]."""
    count, width = points.shape
    covariance = np.cov(points, rowvar=False).reshape(width, width) * count ** (-2 / (width + 4))
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError as error:
        raise DataError(f"The colours of {count} images lie in a plane: no density can be estimated.") from error
    white = np.linalg.solve(factor, points.T).T
    square = (white**2).sum(1)
    total = np.concatenate(
        [
            np.exp(-0.5 * np.maximum(square[i : i + BLOCK, None] + square - 2 * white[i : i + BLOCK] @ white.T, 0)).sum(
                1
            )
            for i in range(0, count, BLOCK)
        ]
    )
    return total / (count * np.sqrt((2 * np.pi) ** width) * np.prod(np.diag(factor)))


def rarities(colors: Floats, shown: NDArray[np.bool_], *, rarest: int = RAREST, stand_in: bool = False) -> Floats:
    """One over the density of an image's colour of a class [images, classes]; 0 where it has none, or the class is too rare.

    stand_in: a class that is too rare has one over the largest rarity of the image's earlier classes, as in the authors' files, so that
    its pixels weigh next to nothing (without an earlier class: 0).
    """
    rarity, largest = np.zeros(shown.shape), np.zeros(len(shown))
    for label in range(shown.shape[1]):
        rows = shown[:, label]
        if rows.sum() > rarest:
            rarity[rows, label] = 1 / density(colors[rows, label])
            largest = np.maximum(largest, rarity[:, label])
        elif stand_in:
            known = rows & (largest > 0)
            rarity[known, label] = np.float32(1) / largest[known].astype(np.float32)  # the authors' have 32 bits here
    return rarity


def pixel_weights(labels: NDArray[Any], rarity: Floats) -> NDArray[np.float32]:
    """A map's weights [H, W]: each pixel's rarity over the largest in the image. rarity: [classes], the image's."""
    weights = rarity[np.minimum(labels.astype(np.int64), len(rarity) - 1)]
    return (weights / max(weights.max(), 1e-12)).astype(np.float32)


def compute(data: PairData, folder: Path, *, skip: Sequence[int] = (), rarest: int = RAREST) -> None:
    """Write the files of `Rarity` for a data set of 20 classes at 512 x 256. skip: images left out (blank ones). Not random.

    Raises DataError for data without photos, or without enough images of a class by which images are drawn.
    """
    classes = len(data.label_space)
    if classes <= max(BINS):
        raise DataError(f"Rebalancing is defined for GTA-5's 20 classes, {data.label_space.name!r} has {classes}.")
    colors, shown = mean_colors(data, classes)
    shown[list(skip)] = False
    rarity = rarities(colors, shown, rarest=rarest)
    empty = [data.label_space.names[b] for b in BINS if not rarity[:, b].any()]
    if empty:
        raise DataError(
            f"Images are drawn by classes that too few images show: {', '.join(empty)} (more than {rarest} needed)."
        )
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for label in BINS:
        write_atomic(folder / bin_name(label), partial(_save, np.cumsum(rarity[:, label] / rarity[:, label].sum())))

    def write(part: Path) -> None:
        mask = np.lib.format.open_memmap(part, "w+", np.float32, (len(data), *SIZE, 1))
        for index in range(len(data)):
            mask[index, :, :, 0] = pixel_weights(data.pair(index, SIZE)[1], rarity[index])
        mask.flush()

    write_atomic(folder / MASK, write)


def _save(values: Floats, path: Path) -> None:
    with path.open("wb") as file:  # by its name numpy would add an ending
        np.save(file, values)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m zoo.data.rarity", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", help="the training images, for example gta5:DIR#train")
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="folder for the files (6.5 GB for GTA-5)"
    )
    parser.add_argument(
        "--skip", type=int, action="append", default=[], metavar="N",
        help="leave out image N, counted from 0; repeatable (cIMLE: 9061, which is blank)",
    )  # fmt: skip
    given = parser.parse_args(arguments)
    try:
        data = open_data(given.data, resolution=SIZE)
        if wrong := [n for n in given.skip if not 0 <= n < len(data)]:
            raise UsageError(f"--skip {wrong[0]}: there are {len(data)} images, counted from 0.")
        compute(data, given.out, skip=given.skip)
    except ZooError as error:
        raise SystemExit(f"error: {error}") from error
    print(given.out)


if __name__ == "__main__":
    main()
