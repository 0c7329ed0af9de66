"""folder:DIR: any folder of photos and label maps as people and tools lay them out, also one that `zoo compose` wrote."""

from __future__ import annotations

from pathlib import Path

from zoo.data.files import (
    InstanceArray,
    LabelArray,
    PhotoArray,
    read_instance_array,
    read_label_array,
    read_photo_array,
    resize_labels,
)
from zoo.data.layouts import find_layout, looked_for
from zoo.data.layouts.base import SPLITS, Layout, pictures, sub
from zoo.data.layouts.named import space_of
from zoo.data.layouts.plain import MAP_FOLDERS
from zoo.data.pairs import Source
from zoo.data.places import not_there
from zoo.data.splits import USUAL, hashed_split, ordered, read_lines
from zoo.errors import DataError, LabelError, UsageError, did_you_mean
from zoo.files.classfiles import load_space
from zoo.files.images import is_hidden
from zoo.files.jsonfiles import read_json
from zoo.labels import LabelSpace, parse_space
from zoo.registry import label_space

INSTANCE_FOLDERS = ("instances", "inst", "instance")
SPACE_FILES = ("manifest.json", "space.json", "label_space.json", "labels.json")
CLASS_FILES = (
    *("labelmap.txt", "_classes.csv", "class_names.txt", "labels.txt", "id2label.json", "meta.json"),
    *("obj_class_to_machine_color.json", "label_config.xml", "config.xml"),
)
"""Class lists that tools leave beside their maps (`zoo.files.classfiles`)."""
LISTED = 12


class Folder(Source):
    """Pairs in the first layout of `zoo.data.layouts` that lies there; a map folder alone gives maps alone. A sub-folder
    `instances` with a file for every pair numbers the objects.

    path: the folder. split: a file splits/SPLIT.txt of stems, a sub-folder SPLIT that holds the pairs, what the layout calls
    a split, or where there is nothing of that a part by the hash of each name (`splits.hashed_split`); None: all.
    space: the maps' label space, needed where neither a file of the folder (`SPACE_FILES`, `CLASS_FILES`) nor the layout says it.
    Raises DataError if no pairs are found (naming what was looked for and what lies there), UsageError if nothing says the
    label space.
    """

    def __init__(self, path: str | None, split: str | None = None, space: LabelSpace | None = None) -> None:
        if path is None:
            raise UsageError("The data set folder needs its place: folder:DIR.")
        self._place, root = path, Path(path)
        if not root.is_dir():
            raise DataError(
                f"There is no folder {not_there(path)}."
                if not root.exists()
                else f"{root} is a file, expected a folder of photos and maps."
            )
        listed = {p.stem: p for p in (root / "splits").glob("*.txt") if not is_hidden(p.name)}
        layout = find_layout(root)
        inner = _inner_splits(root, layout)
        self.splits = ordered({*listed, *inner}) or tuple(layout.splits if layout is not None else ())
        hashed = {} if self.splits or layout is None else _hashed(layout)
        self.splits = self.splits or tuple(hashed)
        if split not in self.splits and SPLITS.get(split or "") in self.splits:
            split = SPLITS[split or ""]
        if split is not None and split not in self.splits:
            raise DataError(
                f"{root} has no split {split!r}{did_you_mean(split, self.splits)} (splits: {', '.join(self.splits) or 'none'})."
            )
        self.root, stems = root, None
        if split in listed:
            stems = read_lines(listed[split])
        elif split in inner:
            self.root = root / inner[split]
        elif split in hashed:
            stems = hashed[split]
        elif split is not None and layout is not None:
            stems = list(layout.splits[split])
        self.location = str(self.root)
        parts = {s: found for s, f in inner.items() if (found := find_layout(root / f)) is not None}
        if split is not None and split in inner:
            layout = parts.get(split)
        elif (layout is None or not layout.maps) and split is None and parts:
            layout = _joined({inner[s]: part for s, part in parts.items()})
        self._layout = layout or Layout("", {}, {})
        self.has_images = bool(self._layout.photos)
        self._choose(stems, f"splits/{split}.txt" if split in listed else f"the list of the split {split}")
        self.label_space = _space(root, space, [root / inner[s] for s in parts], [self._layout, *parts.values()])
        numbered = sub(self.root, INSTANCE_FOLDERS)
        self._instances = pictures(numbered) if numbered else {}
        self.has_instances = set(self.names) <= set(self._instances)

    def _choose(self, stems: list[str] | None, told: str) -> None:
        photos, maps = self._layout.photos, self._layout.maps
        both = set(maps) & set(photos) if self.has_images else set(maps)
        wanted = set(stems) if stems is not None else set(maps) | set(photos)
        self.names = tuple(sorted(wanted & both))
        if not self.names:
            raise DataError(
                f"{self.root}: 0 pairs found ({len(photos)} photos, {len(maps)} maps). Patterns tried: {looked_for()}."
                + (f" Only names of {told} count." if stems is not None else "")
                + f" There lie: {_what_lies(self.root)}."
                + "".join(f" {line}." for line in self._layout.problems[:3])
            )
        alone = sorted((wanted & set(photos)) - both)
        lacking = sorted(set(stems or ()) - (set(maps) if self._layout.loose else set(photos) | set(maps)))
        files = "map" if self._layout.loose else "files"
        self._leftovers = [
            *([] if self._layout.loose else [f"{photos[n]} has no map" for n in alone]),
            *(f"{maps[n][0]} has no photo" for n in sorted((wanted & set(maps)) - both)),
            *(f"{told} names {n}, which has no {files}" for n in lacking),
            *self._layout.problems,
        ]
        self._notes = [f"layout {self._layout.name}", *self._layout.notes]
        if self._layout.loose and alone and stems is None:
            self._notes.append(f"{len(alone)} photos have no map and are left out")

    def read(self, index: int, size: tuple[int, int] | None = None) -> tuple[PhotoArray | None, LabelArray]:
        name = self.names[index]
        photo = read_photo_array(self._layout.photos[name], size) if self.has_images else None
        if self._layout.draw is None:
            return photo, read_label_array(self._layout.maps[name][0], self.label_space, size)
        labels = self._layout.draw(name, self.label_space)
        return photo, labels if size is None else resize_labels(labels, size)

    def read_instances(self, index: int, size: tuple[int, int] | None = None) -> InstanceArray:
        path = self._instances.get(self.names[index])
        return super().read_instances(index, size) if path is None else read_instance_array(path, size)

    def files(self, index: int) -> dict[str, str]:
        name = self.names[index]
        photo = {"photo": str(self._layout.photos[name])} if self.has_images else {}
        instances = {"instances": str(self._instances[name])} if self.has_instances else {}
        return {**photo, "map": str(self._layout.maps[name][0]), **instances}

    def places(self) -> list[str]:
        return [self._place]

    def leftovers(self) -> list[str]:
        return list(self._leftovers)

    def notes(self) -> list[str]:
        return list(self._notes)


def _hashed(layout: Layout) -> dict[str, list[str]]:
    """Names of pairs by the hash of each, so that a pair stays in its split when others come; {} where
    one split would be empty of what to train on, or be all there is."""
    both = sorted(set(layout.maps) & set(layout.photos) if layout.photos else layout.maps)
    by_split = {split: [n for n in both if hashed_split(n) == split] for split in USUAL}
    return (
        {split: names for split, names in by_split.items() if names}
        if by_split["train"] and len(both) > len(by_split["train"])
        else {}
    )


def _inner_splits(root: Path, layout: Layout | None) -> dict[str, str]:
    """Sub-folders that hold pairs themselves, by their split: those with a map folder in them, and where the folder itself has no
    pairs those called as a split is."""
    folders = [p for p in root.iterdir() if p.is_dir() and not is_hidden(p.name)]
    names = {p.name: p.name for p in folders if any((p / m).is_dir() for m in MAP_FOLDERS)}
    if layout is None or not layout.found:
        called = [p for p in folders if p.name.lower() in SPLITS]
        own = [p.name for p in called if (found := find_layout(p)) is not None and found.found]
        names = {SPLITS[n.lower()]: n for n in own if n not in names} | names
    return {split: names[split] for split in ordered(names)}


def _joined(parts: dict[str, Layout]) -> Layout:
    """The pairs of all sub-folders that are splits, named SPLIT/NAME."""
    inner = {split: part.prefixed(split) for split, part in parts.items()}
    first = next(iter(parts.values()))
    joined = Layout(f"SPLIT/ of {first.name}", {}, {}, space=first.space, loose=first.loose)
    for part in inner.values():
        joined.photos |= part.photos
        joined.maps |= part.maps
        joined.notes += part.notes
        joined.problems += part.problems
    draws = {name: part.draw for part in inner.values() for name in part.maps if part.draw is not None}

    def draw(name: str, space: LabelSpace) -> LabelArray:
        return draws[name](name, space) if name in draws else read_label_array(joined.maps[name][0], space)

    joined.draw = draw if draws else None
    return joined


def _what_lies(root: Path) -> str:
    """The first entries of a folder, of sub-folders how much is in them."""
    entries = sorted(p for p in root.iterdir() if not is_hidden(p.name))
    lines = [f"{p.name}/ ({sum(1 for _ in p.iterdir())} entries)" if p.is_dir() else p.name for p in entries[:LISTED]]
    more = len(entries) - LISTED
    return (", ".join(lines) or "nothing") + (f", … {more} more" if more > 0 else "")


def _space(root: Path, given: LabelSpace | None, inner: list[Path], layouts: list[Layout]) -> LabelSpace:
    """What files in the folder (or in its splits) say, else what the layout says, else what the caller says."""
    own = _own_space(root, given)
    own = own or next((s for place in (root, *inner) if (s := _listed_space(place, given)) is not None), None)
    own = own or next((layout.space for layout in layouts if layout.space is not None), None)
    classes = sorted(frozenset[str]().union(*(layout.classes for layout in layouts)))
    if own is None and any(layout.draw for layout in layouts):
        own = space_of(classes, "names in the files")
    if own is None and given is None:
        raise UsageError(
            f'{root}: which label space are its maps in? Name it (<<space="celebamask-hq">>, or <<space="FILE.json">>),'
            f" or put it there as space.json (none of {', '.join((*SPACE_FILES, *CLASS_FILES))} says it)."
        )
    return own or given  # pyright: ignore[reportReturnType]


def _listed_space(place: Path, given: LabelSpace | None) -> LabelSpace | None:
    """The class list of a tool. One that cannot be read is an error only where nobody else says the classes."""
    for name in CLASS_FILES:
        if (place / name).is_file():
            try:
                return load_space(place / name)
            except LabelError:
                if given is None and name == CLASS_FILES[0]:
                    raise
    return None


def _own_space(root: Path, given: LabelSpace | None) -> LabelSpace | None:
    for name in SPACE_FILES:
        path = root / name
        if path.is_file():
            space = stated_space(read_json(path, object, what="a file of a label space", by_hand=True), path, given)
            if space is not None:
                return space
    return None


def stated_space(values: object, path: Path, given: LabelSpace | None) -> LabelSpace | None:
    """A space file itself, or a manifest whose `label_space` is a name or such a form; None if it says nothing."""
    if isinstance(values, str):
        return given if given is not None and given.name == values else label_space(values)
    if not isinstance(values, dict):
        return None
    if isinstance(values.get("classes"), list):
        return parse_space(values, str(path))
    return stated_space(values["label_space"], path, given) if "label_space" in values else None
