"""Two folders of equal names, or photos and maps side by side: what most people and tools write."""

from __future__ import annotations

from pathlib import Path

from zoo.data.layouts.base import (
    MAP_ENDINGS,
    PHOTO_ENDINGS,
    PHOTO_FOLDERS,
    Finder,
    Layout,
    dangling,
    paired,
    pictures,
    plain_stem,
    splits_of_names,
    sub,
)
from zoo.files.images import is_picture

MAP_FOLDERS = ("maps", "labels", "masks", "map", "label", "mask", "annotations")
LOSSY, EXACT = (".jpg", ".jpeg", ".webp"), (".png", ".bmp")


def two_folders(root: Path) -> Layout | None:
    """`images` with `masks` and the like, with or without sub-folders; a map folder alone gives maps alone."""
    return _folders(root, PHOTO_FOLDERS, MAP_FOLDERS, "")


def mmsegmentation(root: Path) -> Layout | None:
    """`img_dir` with `ann_dir`, as mmsegmentation's documents have it."""
    if sub(root, ("ann_dir",)) is None:
        return None
    return _folders(root, ("img_dir",), ("ann_dir",), "mmsegmentation, ")


def _folders(root: Path, photo_names: tuple[str, ...], map_names: tuple[str, ...], tool: str) -> Layout | None:
    photo_folder, map_folder = sub(root, photo_names), sub(root, map_names)
    if photo_folder is None and map_folder is None:
        return None
    photos = pictures(photo_folder) if photo_folder else {}
    maps = paired(photos, pictures(map_folder) if map_folder else {})
    splits = splits_of_names(maps)
    inner = "SPLIT/NAME" if splits else "NAME"
    names = [f"{f.name}/{inner}.*" for f in (photo_folder, map_folder) if f]
    return Layout(tool + " with ".join(names), photos, maps, splits, problems=dangling(photo_folder, map_folder))


def side_by_side(root: Path) -> Layout | None:
    """NAME.jpg with NAME_mask.png (Roboflow) or another ending, NAME.jpg.png, or NAME.png."""
    files = sorted(p for p in root.iterdir() if is_picture(p) and p.is_file())
    ended = [p for p in files if _ends(p.stem)]
    doubled = [p for p in files if p not in ended and is_picture(Path(p.stem))]
    problems = [line for line in dangling(root) if Path(line.split(" is a link")[0]).parent == root]
    if ended or doubled:
        maps = {p.stem: p for p in [*ended, *doubled]}
        photos = {plain_stem_of(p): p for p in files if p not in maps.values()}
        named = {_short(s, photos): (p,) for s, p in maps.items()}
        return Layout("NAME.* beside " + _ending_of(ended), photos, named, problems=problems)
    lossy = {p.stem: p for p in files if p.suffix.lower() in LOSSY}
    exact = {p.stem: p for p in files if p.suffix.lower() in EXACT}
    if set(lossy) & set(exact):
        return Layout("NAME.jpg beside NAME.png", lossy, {n: (p,) for n, p in exact.items()}, problems=problems)
    small = {n.casefold(): n for n in lossy}
    maps = {small.get(n.casefold(), n): (p,) for n, p in exact.items()}
    if set(lossy) & set(maps):
        return Layout("NAME.jpg beside NAME.png", lossy, maps, problems=problems)
    return None


def plain_stem_of(path: Path) -> str:
    """A photo's stem without `_photo` and the like."""
    return next((path.stem[: -len(e)] for e in PHOTO_ENDINGS if path.stem.endswith(e)), path.stem)


def _ends(stem: str) -> bool:
    return any(stem.lower().endswith(e.lower()) and len(stem) > len(e) for e in MAP_ENDINGS)


def _short(stem: str, photos: dict[str, Path]) -> str:
    """The photo's name that belongs to a map's stem, else the stem without its ending."""
    bare = plain_stem(stem, MAP_ENDINGS)
    own = {n.casefold(): n for n in photos}
    return own.get(bare, stem[: len(bare)])


def _ending_of(ended: list[Path]) -> str:
    if not ended:
        return "NAME.jpg.png"
    ending = next(e for e in MAP_ENDINGS if ended[0].stem.lower().endswith(e.lower()))
    roboflow = (ended[0].parent / "_classes.csv").is_file()
    return f"NAME{ending}.*" + (" (Roboflow)" if roboflow else "")


MMSEGMENTATION = Finder("img_dir/[SPLIT/]NAME.* with ann_dir/[SPLIT/]NAME.* (mmsegmentation)", mmsegmentation)
TWO_FOLDERS = Finder(
    f"{{{','.join(PHOTO_FOLDERS)}}}/[SPLIT/]NAME.* with {{{','.join(MAP_FOLDERS)}}}/[SPLIT/]NAME.*", two_folders
)
SIDE_BY_SIDE = Finder(
    f"NAME.* or NAME{{{','.join(PHOTO_ENDINGS)}}}.* beside NAME{{{','.join(MAP_ENDINGS)}}}.* (Roboflow) or NAME.jpg.png;"
    " NAME.jpg beside NAME.png",
    side_by_side,
)
