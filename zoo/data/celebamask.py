"""CelebAMask-HQ: one data set, four layouts; which one it is shows in what lies there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from zoo.data.files import (
    LabelArray,
    LayerArray,
    PhotoArray,
    merged,
    read_label_array,
    read_photo_array,
    resize_labels,
    resize_layers,
)
from zoo.data.pairs import Source
from zoo.data.parts import NumberedParts, OfficialParts, PartMasks, merge_parts
from zoo.data.splits import one_split, read_list, splits_for
from zoo.errors import DataError, UsageError, did_you_mean
from zoo.files.images import is_hidden
from zoo.labels import LabelSpace
from zoo.registry import label_space

__all__ = ["CelebAMaskHQ", "merge_parts"]

LAYOUTS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "labels": ("CelebA-HQ-img", ("labels",), "{photos}/ID.jpg with {maps}/ID.png"),
    "parts": (
        "CelebA-HQ-img",
        ("CelebAMask-HQ-mask-anno", "CelebAMaskHQ-mask-anno"),
        "{photos}/N.jpg with {maps}/(N // 2000)/NNNNN_CLASS.png",
    ),
    "masks": ("CelebA-HQ-img", ("CelebAMaskHQ-mask", "CelebAMask-HQ-mask"), "{photos}/N.jpg with {maps}/N.png"),
    "segvae": ("img", ("segmentation_map",), "{photos}/N.jpg with {maps}/NNNNN/INDEX.png"),
}
"""By name: the folder of the photos, the folders that the maps may lie in, and the files as messages write them."""


class CelebAMaskHQ(Source):
    """Photos and 19-class maps, in the first of these layouts whose map folder is there (or `layout=NAME`):

    labels: CelebA-HQ-img/ID.jpg and labels/ID.png of equal size; faces named in mirrored.txt are flipped (both files) as
    they are read.
    parts: the official one, CelebA-HQ-img/N.jpg (1024 px) and CelebAMask-HQ-mask-anno/(N // 2000)/NNNNN_CLASS.png (512 px).
    The parts are painted in the official order (`zoo.data.parts.merge_parts`), and `read_layers` has them as they overlap.
    masks: CelebA-HQ-img/N.jpg and CelebAMaskHQ-mask/N.png, the maps that the official script paints; what SC-GAN reads.
    segvae: the SegVAE authors' img/N.jpg and segmentation_map/NNNNN/INDEX.png, in their own numbers; parts overlap.

    Without a size both come at the map's size. Splits are those of splits/*.txt or {train,val,test}_list.txt, else
    `hashed_split` of the names (CelebA's own partition is a file that does not come with CelebAMask-HQ).
    path: the folder. split: a name of a split, or None for all pairs. Raises DataError if nothing is there.
    """

    options = ("layout",)

    def __init__(
        self,
        path: str | None,
        split: str | None = None,
        space: LabelSpace | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        if path is None:
            raise UsageError("The data set celebamask-hq needs its folder: celebamask-hq:DIR[#train].")
        del space  # the maps are in the data set's own
        self.root = Path(path)
        self.location = str(self.root)
        self.label_space = label_space("celebamask-hq")
        self.layout, self._photos, self._maps = _find_layout(self.root, (options or {}).get("layout"))
        self._parts = _part_masks(self.layout, self._maps, self.label_space)
        self.has_layers = self._parts is not None
        self._mirrored = frozenset(read_list(self.root / "mirrored.txt") if self.layout == "labels" else ())
        photos = {p.stem for p in self._photos.glob("*.jpg") if not is_hidden(p.name)}
        flat = () if self._parts else self._maps.glob("*.png")
        maps = set(self._parts.names()) if self._parts else {p.stem for p in flat if not is_hidden(p.name)}
        splits = splits_for(self.root, sorted(photos & maps))
        self.splits = tuple(splits)
        wanted = photos | maps if split is None else set(one_split(self.root, splits, split))
        self.names = tuple(sorted(wanted & photos & maps, key=_natural))
        self._note_leftovers(wanted, photos, maps, split)
        if not self.names:
            raise DataError(
                f"{self.root}: 0 pairs found ({len(photos)} photos, {len(maps)} maps). Tried: {self._files_text('N')}"
                + (f", N of the split {split!r}" if split else "")
                + "."
            )

    def _note_leftovers(self, wanted: set[str], photos: set[str], maps: set[str], split: str | None) -> None:
        mapped = f"{self._maps.name}/" + ("{}.png" if self._parts is None else "…/{}")
        self._leftovers = [
            *(f"{self._photos.name}/{n}.jpg has no {mapped.format(n)}" for n in _sorted((wanted & photos) - maps)),
            *(f"{mapped.format(n)} has no {self._photos.name}/{n}.jpg" for n in _sorted((wanted & maps) - photos)),
            *(f"the list of the split {split} names {n}, which has no files" for n in _sorted(wanted - photos - maps)),
            *(self._parts.strange if self._parts else ()),
        ]

    def _files_text(self, name: str) -> str:
        photos, maps = self._photos.name, self._maps.name
        return LAYOUTS[self.layout][2].format(photos=photos, maps=maps).replace("ID", name)

    def read(self, index: int, size: tuple[int, int] | None = None) -> tuple[PhotoArray | None, LabelArray]:
        name = self.names[index]
        if self._parts is None:
            labels = read_label_array(self._maps / f"{name}.png", self.label_space, size)
        else:
            labels = merged(self._parts.layers(name))
            labels = labels if size is None else resize_labels(labels, size)
        photo_size = size
        if size is None and self.layout != "labels":
            # official photos have twice the side of their maps
            photo_size = (labels.shape[0], labels.shape[1])
        photo = read_photo_array(self._photos / f"{name}.jpg", photo_size)
        if name in self._mirrored:
            # These pairs were flipped without swapping the left/right numbers: flip both back, leave the numbers alone.
            photo, labels = photo[:, ::-1].copy(), labels[:, ::-1].copy()
        return photo, labels

    def read_layers(self, index: int, size: tuple[int, int] | None = None) -> LayerArray:
        if self._parts is None:
            return super().read_layers(index, size)
        layers = self._parts.layers(self.names[index])
        return layers if size is None else resize_layers(layers, size)

    def files(self, index: int) -> dict[str, str]:
        name = self.names[index]
        photo = {"photo": str(self._photos / f"{name}.jpg")}
        if self._parts is None:
            return {**photo, "map": str(self._maps / f"{name}.png")}
        return {**photo, **{f"mask of {part}": str(path) for part, path in self._parts.files(name).items()}}

    def leftovers(self) -> list[str]:
        return list(self._leftovers)

    def notes(self) -> list[str]:
        return [f"layout {self.layout}: {self._files_text('N')}" + ("; parts overlap" if self.has_layers else "")]


def _find_layout(root: Path, named: str | None) -> tuple[str, Path, Path]:
    """The layout's name and its folders of photos and maps. Raises UsageError, DataError."""
    if named is not None and named not in LAYOUTS:
        raise UsageError(
            f"layout={named}: no layout of celebamask-hq{did_you_mean(named, LAYOUTS)} (known: {', '.join(LAYOUTS)})."
        )
    if not root.is_dir():
        raise DataError(f"There is no folder {root}.")
    tried = {named: LAYOUTS[named]} if named else LAYOUTS
    for name, (photos, folders, _) in tried.items():
        maps = next((root / f for f in folders if (root / f).is_dir()), None)
        if maps is not None and (root / photos).is_dir():
            return name, root / photos, maps
    texts = [text.format(photos=photos, maps=folders[0]) for photos, folders, text in tried.values()]
    entries = sorted(p.name for p in root.iterdir() if not is_hidden(p.name))[:12]
    raise DataError(f"{root}: 0 pairs found. Tried {'; '.join(texts)}. Found: {', '.join(entries) or 'nothing'}.")


def _part_masks(layout: str, folder: Path, space: LabelSpace) -> PartMasks | None:
    if layout == "parts":
        return OfficialParts(folder, space)
    return NumberedParts(folder, space) if layout == "segvae" else None


def _natural(name: str) -> tuple[int, int, str]:
    """Face numbers in order of their values, other names behind them."""
    return (0, int(name), name) if name.isdecimal() else (1, 0, name)


def _sorted(names: Iterable[str]) -> list[str]:
    return sorted(names, key=_natural)
