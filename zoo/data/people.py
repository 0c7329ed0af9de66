"""Pictures of whole people with clothing labels: HumanParsing (ATR) and Clothing Co-Parsing (CCP)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from zoo.data.cleaning import OPTIONS, Cleaning, usual_proportions
from zoo.data.files import LabelArray, PhotoArray, read_label_array, read_photo_array, resize_labels, resize_photo
from zoo.data.pairs import Source
from zoo.data.splits import one_split, splits_for
from zoo.errors import DataError, UsageError
from zoo.files.images import is_hidden
from zoo.labels import LabelSpace
from zoo.registry import label_space

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png")


class People(Source):
    """One label PNG per picture, cleaned as the options say (`Cleaning`: aspect=1, crop=person, pad=square or mirror).

    Maps without a folder of photos are maps alone. Splits come from the lists in the folder, else from the names
    (`hashed_split`).
    """

    options = OPTIONS

    def _open(self, root: Path, photos: Path, maps: Path, split: str | None, options: Mapping[str, str] | None) -> None:
        self.root, self.location = root, str(root)
        self._cleaning = Cleaning.parse(options or {})
        self._maps = {p.stem: p for p in maps.glob("*.png") if not is_hidden(p.name)}
        self.has_images = photos.is_dir()
        self._photos = {
            p.stem: p for s in reversed(PHOTO_SUFFIXES) for p in photos.glob(f"*{s}") if not is_hidden(p.name)
        }
        paired = set(self._maps) & set(self._photos) if self.has_images else set(self._maps)
        splits = splits_for(root, sorted(paired))
        self.splits = tuple(splits)
        everything = set(self._maps) | set(self._photos)
        wanted = everything if split is None else set(one_split(root, splits, split))
        self._leftovers = [
            *(f"{self._photos[n]} has no map" for n in sorted(wanted & (set(self._photos) - set(self._maps)))),
            *(f"{self._maps[n]} has no photo" for n in sorted(wanted & (set(self._maps) - paired))),
            *(f"the list of the split {split} names {n}, which has no files" for n in sorted(wanted - everything)),
        ]
        self._notes: list[str] = []
        names = wanted & paired
        if not names:
            raise DataError(
                f"{root}: 0 pairs found ({len(self._photos)} photos, {len(self._maps)} maps)."
                f" Tried: {photos.name}/NAME.jpg with {maps.name}/NAME.png"
                + (f", NAME of the split {split!r}." if split else ".")
            )
        self.names = tuple(sorted(self._usual(names)))

    def _usual(self, names: set[str]) -> set[str]:
        """Without the maps of odd proportions. Raises DataError if none is left."""
        limit = self._cleaning.aspect
        if limit is None:
            return names
        proportions = usual_proportions(self._maps, self.label_space, limit)
        kept = names & proportions.kept
        self._notes.append(
            f"aspect={limit:g}: {len(names) - len(kept)} of {len(names)} maps left out, whose person box is more than"
            f" {limit:g} standard deviations ({proportions.deviation:.3f}) from the mean width by height ({proportions.mean:.3f})"
            f" of all {len(self._maps)} maps"
        )
        if not kept:
            raise DataError(f"{self.root}: aspect={limit:g} leaves no map of {len(names)}; allow more.")
        return kept

    def read(self, index: int, size: tuple[int, int] | None = None) -> tuple[PhotoArray | None, LabelArray]:
        name = self.names[index]
        if not self._cleaning.reshapes:
            photo = read_photo_array(self._photos[name], size) if self.has_images else None
            return photo, read_label_array(self._maps[name], self.label_space, size)
        labels = read_label_array(self._maps[name], self.label_space)
        photo = read_photo_array(self._photos[name], (labels.shape[0], labels.shape[1])) if self.has_images else None
        photo, labels = self._cleaning.apply(photo, labels, self.label_space.background_index or 0)
        if size is None:
            return photo, labels
        return None if photo is None else resize_photo(photo, size), resize_labels(labels, size)

    def files(self, index: int) -> dict[str, str]:
        name = self.names[index]
        photo = {"photo": str(self._photos[name])} if self.has_images else {}
        return {**photo, "map": str(self._maps[name])}

    def leftovers(self) -> list[str]:
        return list(self._leftovers)

    def notes(self) -> list[str]:
        return list(self._notes)


class HumanParsing(People):
    """HumanParsing, also known as ATR: 18 labels (label space `atr`).

    path: a folder with img_deploy/NAME.jpg and seg_deploy/NAME.png (the SegVAE authors' layout), or with
    JPEGImages/NAME.jpg and SegmentationClassAug/NAME.png (the release; its folder `humanparsing` may lie in between).
    The split that the SegVAE authors drew, whose test part is mostly training maps, is not reproduced (`hashed_split`).
    Raises UsageError without a path, DataError if nothing is there.
    """

    FOLDERS = (
        ("img_deploy", "seg_deploy"),
        ("JPEGImages", "SegmentationClassAug"),
        ("humanparsing/JPEGImages", "humanparsing/SegmentationClassAug"),
    )

    def __init__(
        self,
        path: str | None,
        split: str | None = None,
        space: LabelSpace | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        root = _folder("humanparsing", path)
        del space  # the maps are in the data set's own
        self.label_space = label_space("atr")
        folders = next(((p, m) for p, m in self.FOLDERS if (root / m).is_dir()), None)
        if folders is None:
            tried = "; ".join(f"{p}/NAME.jpg with {m}/NAME.png" for p, m in self.FOLDERS)
            raise DataError(f"{root}: 0 pairs found. Tried: {tried}.")
        self._open(root, root / folders[0], root / folders[1], split, options)


class ClothingCoParsing(People):
    """CCP as it lies here: photos/ID.jpg with labels/ID.png (59 labels, label space `ccp`) or labels_atr/ID.png (18 labels,
    derived from them by rule).

    space: the label space `atr` (or one of the same classes) takes labels_atr; anything else the 59 labels.
    Raises UsageError without a path, DataError if nothing is there.
    """

    def __init__(
        self,
        path: str | None,
        split: str | None = None,
        space: LabelSpace | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        root = _folder("ccp", path)
        people = label_space("atr")
        derived = space is not None and space.names == people.names
        self.label_space = people if derived else label_space("ccp")
        maps = root / ("labels_atr" if derived else "labels")
        if not maps.is_dir():
            raise DataError(f"{root}: 0 pairs found. Tried: photos/ID.jpg with {maps.name}/ID.png.")
        self._open(root, root / "photos", maps, split, options)


def _folder(name: str, path: str | None) -> Path:
    if path is None:
        raise UsageError(f"The data set {name} needs its folder: {name}:DIR[,{OPTIONS[0]}=1][#train].")
    if not Path(path).is_dir():
        raise DataError(f"There is no folder {path}.")
    return Path(path)
