"""CelebAMask-HQ as it lies here (CelebA-HQ-img/ID.jpg, labels/ID.png, splits/, mirrored.txt), and the merge of part masks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from zoo.data.files import LabelArray, PhotoArray, read_label_array, read_photo_array
from zoo.data.pairs import Source
from zoo.errors import DataError, UsageError, did_you_mean
from zoo.images import open_image
from zoo.labels import LabelSpace
from zoo.registry import label_space

PHOTOS, LABELS = "CelebA-HQ-img", "labels"
PARTS_PER_FOLDER = 2000
SIDE = 512


class CelebAMaskHQ(Source):
    """Photos and 19-class maps at 512 px; faces named in mirrored.txt are flipped (both files) as they are read.

    path: the folder. split: a name of splits/*.txt, or None for all pairs. Raises DataError if nothing is there.
    """

    def __init__(self, path: str | None, split: str | None = None, space: LabelSpace | None = None) -> None:
        if path is None:
            raise UsageError("The data set celebamask-hq needs its folder: celebamask-hq:DIR[#train].")
        self.root = Path(path)
        self.location = str(self.root)
        del space  # the maps are in the data set's own
        self.label_space = label_space("celebamask-hq")
        _check_layout(self.root)
        self.splits = _split_names(self.root)
        self._mirrored = frozenset(_lines(self.root / "mirrored.txt"))
        photos = {p.stem for p in (self.root / PHOTOS).glob("*.jpg")}
        maps = {p.stem for p in (self.root / LABELS).glob("*.png")}
        wanted = photos | maps if split is None else set(_split_lines(self.root, split, self.splits))
        self.names = tuple(sorted(wanted & photos & maps))
        self._leftovers = [
            *(f"{PHOTOS}/{n}.jpg has no {LABELS}/{n}.png" for n in sorted((wanted & photos) - maps)),
            *(f"{LABELS}/{n}.png has no {PHOTOS}/{n}.jpg" for n in sorted((wanted & maps) - photos)),
            *(f"splits/{split}.txt names {n}, which has no files" for n in sorted(wanted - photos - maps)),
        ]
        if not self.names:
            tried = f"{PHOTOS}/ID.jpg with {LABELS}/ID.png" + (f", ID from splits/{split}.txt" if split else "")
            raise DataError(f"{self.root}: 0 pairs found ({len(photos)} photos, {len(maps)} maps). Tried: {tried}.")

    def read(self, index: int, size: tuple[int, int] | None = None) -> tuple[PhotoArray | None, LabelArray]:
        files = self.files(index)
        photo = read_photo_array(Path(files["photo"]), size)
        labels = read_label_array(Path(files["map"]), self.label_space, size)
        if self.names[index] in self._mirrored:
            # These pairs were flipped without swapping the left/right numbers: flip both back, leave the numbers alone.
            photo, labels = photo[:, ::-1].copy(), labels[:, ::-1].copy()
        return photo, labels

    def files(self, index: int) -> dict[str, str]:
        name = self.names[index]
        return {"photo": str(self.root / PHOTOS / f"{name}.jpg"), "map": str(self.root / LABELS / f"{name}.png")}

    def leftovers(self) -> list[str]:
        return list(self._leftovers)


def merge_parts(folder: Path, number: int, space: LabelSpace | None = None) -> LabelArray:
    """The official label map of face `number` from its part masks: uint8 [512, 512] (dossier section 1).

    folder: CelebAMask-HQ-mask-anno. The parts `number // 2000 / NNNNN_part.png` are painted in the order of the classes,
    so that the higher value wins wherever parts overlap. Quirks kept: a face without files gives a map of zeros; of an
    RGB mask only the blue channel counts, and any value but 0 does.
    Raises DataError for a mask of another size than 512 x 512.
    """
    space = space or label_space("celebamask-hq")
    parts = {}
    for name in space.names[1:]:
        path = folder / str(number // PARTS_PER_FOLDER) / f"{number:05d}_{name}.png"
        if path.exists():
            parts[name] = _part_mask(path)
    return paint_parts(parts, space)


def paint_parts(parts: Mapping[str, np.ndarray], space: LabelSpace) -> LabelArray:
    """Boolean masks [512, 512] by class name -> values uint8 [512, 512]; a later class covers an earlier one."""
    merged = np.zeros((SIDE, SIDE), dtype=np.uint8)
    for value, name in enumerate(space.names):
        if name in parts:
            merged[parts[name]] = value
    return merged


def _part_mask(path: Path) -> np.ndarray:
    image = open_image(path)
    if image.size != (SIDE, SIDE):
        raise DataError(f"{path}: part masks are {SIDE} x {SIDE}, got {image.width} x {image.height}.")
    if image.mode in ("L", "1"):
        return np.asarray(image) != 0
    return np.asarray(image.convert("RGB"))[..., 2] != 0


def _check_layout(root: Path) -> None:
    if not root.is_dir():
        raise DataError(f"There is no folder {root}.")
    missing = [name for name in (PHOTOS, LABELS) if not (root / name).is_dir()]
    if missing:
        found = sorted(p.name for p in root.iterdir())[:12]
        raise DataError(
            f"{root}: 0 pairs found. Tried {PHOTOS}/ID.jpg with {LABELS}/ID.png; there is no {' and no '.join(missing)}."
            f" Found: {', '.join(found) or 'nothing'}."
        )


def _split_names(root: Path) -> tuple[str, ...]:
    names = {p.stem for p in (root / "splits").glob("*.txt")}
    usual = [n for n in ("train", "val", "test") if n in names]
    return (*usual, *sorted(names - set(usual)))


def _split_lines(root: Path, split: str, known: tuple[str, ...]) -> list[str]:
    if split not in known:
        raise DataError(
            f"{root} has no split {split!r}{did_you_mean(split, known)} (splits: {', '.join(known) or 'none'})."
        )
    return _lines(root / "splits" / f"{split}.txt")


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()] if path.is_file() else []
