"""Pascal VOC's folders, which CVAT ("segmentation mask"), datumaro and labelme's `labelme2voc` write too; and CamVid's."""

from __future__ import annotations

from pathlib import Path

from zoo.data.layouts.base import SPLITS, Finder, Layout, dangling, paired, pictures, sub
from zoo.data.splits import ordered
from zoo.errors import DataError
from zoo.labels import LabelClass, LabelSpace, voc_color

MAPS = ("SegmentationClassPNG", "SegmentationClass")


def find_voc(root: Path) -> Layout | None:
    """JPEGImages with SegmentationClass, in the folder itself or in VOCdevkit/VOC*; splits of ImageSets/Segmentation."""
    places = [root, *sorted(root.glob("VOC20*")), *sorted(root.glob("VOCdevkit/VOC*"))]
    place = next((p for p in places if sub(p, ("JPEGImages",)) is not None), None) if root.is_dir() else None
    if place is None:
        return None
    photo_folder = sub(place, ("JPEGImages",))
    found = [pictures(f) for name in MAPS if (f := sub(place, (name,))) is not None]
    maps_there = next((f for f in found if f), None)
    if photo_folder is None or maps_there is None:
        return None
    photos = pictures(photo_folder)
    maps = paired(photos, maps_there)
    layout = Layout("VOC, JPEGImages/NAME.* with SegmentationClass/NAME.*", photos, maps, loose=True)
    layout.splits = _image_sets(place)
    layout.problems = dangling(photo_folder, *(sub(place, (m,)) for m in MAPS))
    return layout


def _image_sets(place: Path) -> dict[str, tuple[str, ...]]:
    lists = {p.stem: p for p in sorted((place / "ImageSets" / "Segmentation").glob("*.txt")) if p.name[0] != "."}
    lists = lists or {p.stem: p for p in sorted((place / "ImageSets").glob("*.txt")) if p.name[0] != "."}
    return {n: tuple(line.strip() for line in _lines(lists[n]) if line.strip()) for n in ordered(lists)}


def find_camvid(root: Path) -> Layout | None:
    """SPLIT/NAME.* with SPLITannot/NAME.*, classes in label_colors.txt."""
    photos: dict[str, Path] = {}
    maps: dict[str, tuple[Path, ...]] = {}
    splits: dict[str, tuple[str, ...]] = {}
    folders = []
    for folder in sorted(p for p in root.iterdir() if p.is_dir() and p.name.lower().endswith("annot")):
        split = folder.name[: -len("annot")]
        beside = sub(root, (split,)) if split.lower() in SPLITS else None
        if beside is None:
            continue
        own = pictures(beside)
        both = paired(own, pictures(folder))
        photos |= {f"{split}/{n}": p for n, p in own.items()}
        maps |= {f"{split}/{n}": p for n, p in both.items()}
        splits[SPLITS[split.lower()]] = tuple(f"{split}/{n}" for n in sorted(both))
        folders += [beside, folder]
    if not splits:
        return None
    layout = Layout("CamVid, SPLIT/NAME.* with SPLITannot/NAME.*", photos, maps, problems=dangling(*folders))
    layout.splits = {s: splits[s] for s in ordered(splits)}
    colors = root / "label_colors.txt"
    layout.space = _colored(colors) if colors.is_file() else None
    return layout


def _colored(path: Path) -> LabelSpace:
    """`R G B NAME` a line; a line without numbers has the Pascal VOC colour of its place. Raises DataError."""
    classes = []
    for line in _lines(path):
        words = line.split()
        if not words or line.startswith("#"):
            continue
        numbers = [w for w in words[:3] if w.isdecimal() and int(w) <= 255]
        name = " ".join(words[3:] if len(numbers) == 3 else words)
        if not name:
            raise DataError(f"{path}: the line {line!r} is not R G B NAME.")
        color = (int(numbers[0]), int(numbers[1]), int(numbers[2])) if len(numbers) == 3 else voc_color(len(classes))
        classes.append(LabelClass(name, color))
    background = next((c.name for c in classes if c.name.casefold() in ("background", "void")), None)
    return LabelSpace(path.name, tuple(classes), background)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text in UTF-8 ({error}).") from error


VOC = Finder("JPEGImages/NAME.* with SegmentationClass/NAME.* and ImageSets/Segmentation/SPLIT.txt (VOC)", find_voc)
CAMVID = Finder("SPLIT/NAME.* with SPLITannot/NAME.* and label_colors.txt (CamVid)", find_camvid)
