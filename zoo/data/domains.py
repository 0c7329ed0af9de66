"""domains:DIR: unpaired photos of two or more domains, a folder each, for image translators. torch is not needed to look at it.

To the rest of the zoo it is a data set like any other: a domain is a class of a label space, and the map of a photo shows its domain
everywhere. That is what makes splits, augmentation, checks and fingerprints the same as elsewhere.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from zoo.data.files import LabelArray, PhotoArray, read_photo_array
from zoo.data.layouts.base import SPLITS, dangling, pictures, shadowed
from zoo.data.pairs import Batch, PairData, Source
from zoo.data.splits import USUAL, hashed_split, one_split, ordered, read_lines, split_files
from zoo.errors import DataError, UsageError, few
from zoo.files.images import IMAGE_SUFFIXES, is_hidden
from zoo.labels import LabelSpace, parse_space
from zoo.registry import label_space
from zoo.rng import Rng

SPACE = "domains"
"""The label space of folders whose names nobody declared: A, B, … in the order of their names."""
LOOKED_FOR = "DIR/A and DIR/B, DIR/trainA and DIR/trainB (testA, testB, valA, …), DIR/train/A and DIR/train/B"
_NAMED = re.compile(rf"(?P<split>{'|'.join(sorted(SPLITS, key=len, reverse=True))})[_-]?(?P<domain>.+)", re.IGNORECASE)


class Domains(Source):
    """Photos alone, each with its domain; names are DOMAIN/FILE, without the suffix, and the domains come one after the other.

    path: the folder; what is in it: `LOOKED_FOR`, pictures at any depth. split: what the folders say, a list `splits/SPLIT.txt` of such
    names, or else a part by the hash of each name; None: all. space: the domains by name, where the folders are called as its classes
    are; else they are A, B, … of the label space `domains`, in order of name.
    Raises DataError for fewer than two domains, an empty one, a split that is not there, UsageError without a path.
    """

    whole_maps = True

    def __init__(self, path: str | None, split: str | None = None, space: LabelSpace | None = None) -> None:
        if path is None:
            raise UsageError("The data set domains needs its place: domains:DIR.")
        root = Path(path)
        if not root.is_dir():
            raise DataError(
                f"There is no folder {root}." if not root.exists() else f"{root} is a file, expected a folder."
            )
        self.location = str(root)
        parts = _folders(root)
        folders = sorted({domain for by_domain in parts.values() for domain in by_domain})
        if len(folders) < 2:
            raise DataError(
                f"{root} holds {len(folders) or 'no'} domain{'s' if len(folders) != 1 else ''}{': ' if folders else ''}"
                f"{', '.join(folders)}; expected two or more. Patterns tried: {LOOKED_FOR}."
            )
        self.label_space = _space(folders, space)
        called = {f: self.label_space.names[self.label_space.index(f)] for f in folders} if _knows(
            self.label_space, folders
        ) else dict(zip(folders, self.label_space.names, strict=False))  # fmt: skip
        self._notes = [f"{called[f]} is {f}" for f in folders if called[f] != f]
        self._files = {
            split_name: {
                f"{called[domain]}/{name}": file
                for domain in folders
                for name, file in (pictures(by_domain[domain]) if domain in by_domain else {}).items()
            }
            for split_name, by_domain in parts.items()
        }
        places = [folder for by_domain in parts.values() for folder in by_domain.values()]
        self._leftovers = dangling(*places) + shadowed(*places)
        self._domains = tuple(called[f] for f in folders)
        chosen = self._split(root, SPLITS.get(split, split) if split else None)
        self.names = tuple(sorted(chosen, key=lambda name: (self._domains.index(name.partition("/")[0]), name)))
        self._paths = tuple(chosen[name] for name in self.names)
        empty = [d for d in self._domains if not any(name.startswith(f"{d}/") for name in self.names)]
        if empty:
            where = f"The split {split!r} of {root}" if split else str(root)
            raise DataError(f"{where} has no pictures of the domain {', '.join(empty)}. Patterns tried: {LOOKED_FOR}.")

    def _split(self, root: Path, split: str | None) -> dict[str, Path]:
        """The files of the split by name; sets `splits`."""
        if set(self._files) != {""}:
            self.splits = ordered(self._files)
            if split is None:
                return {
                    f"{name.partition('/')[0]}/{part}/{name.partition('/')[2]}": file
                    for part, files in self._files.items()
                    for name, file in files.items()
                }
            one_split(root, {part: list(self._files[part]) for part in self.splits}, split)
            return self._files[split]
        files = self._files[""]
        listed = {name: [_bare(line) for line in read_lines(path)] for name, path in split_files(root).items()}
        parts = listed or _hashed(files, self._domains)
        self.splits = ordered(parts)
        if split is None:
            return files
        names = one_split(root, parts, split)
        self._leftovers += [f"splits/{split}.txt names {n}, which is not there" for n in names if n not in files]
        return {name: files[name] for name in names if name in files}

    def read(self, index: int, size: tuple[int, int] | None = None) -> tuple[PhotoArray | None, LabelArray]:
        photo = read_photo_array(self._paths[index], size)
        domain = self.label_space.index(self.names[index].partition("/")[0])
        return photo, np.full(photo.shape[:2], domain, dtype=np.uint8)

    def files(self, index: int) -> dict[str, str]:
        return {"photo": str(self._paths[index])}

    def leftovers(self) -> list[str]:
        return list(self._leftovers)

    def notes(self) -> list[str]:
        counts = [f"{d} {sum(name.startswith(f'{d}/') for name in self.names)}" for d in self._domains]
        return [f"domains: {', '.join(counts)} photos", *self._notes]


def _folders(root: Path) -> dict[str, dict[str, Path]]:
    """Split ("" where the folders say none) -> domain -> folder."""
    entries = sorted(p for p in root.iterdir() if p.is_dir() and not is_hidden(p.name) and not p.name.startswith("__"))
    whole = [p for p in entries if p.name.lower() in SPLITS]
    named = {p: match for p in entries if p not in whole and (match := _NAMED.fullmatch(p.name)) is not None}
    parts: dict[str, dict[str, Path]] = {}
    if len({m["domain"] for m in named.values() if SPLITS[m["split"].lower()] == "train"}) > 1:
        others = [p.name for p in entries if p not in named and p.name != "splits" and pictures(p)]
        if others:
            raise DataError(
                f"{root} has folders of a split and a domain ({few([p.name for p in named])}) and others of pictures ({few(others)}), which"
                " would be left out: name all of them in one way (DIR/train/NAME for each domain), or move the others elsewhere."
            )
        for folder, match in named.items():
            parts.setdefault(SPLITS[match["split"].lower()], {})[match["domain"]] = folder
    elif whole:
        for folder in whole:
            inner = {p.name: p for p in sorted(folder.iterdir()) if p.is_dir() and not is_hidden(p.name)}
            parts.setdefault(SPLITS[folder.name.lower()], {}).update(inner)
    else:
        found = {p.name: p for p in entries if p.name != "splits"}
        return {"": found}
    return parts


def _bare(line: str) -> str:
    """A line of a list without the suffix of a picture."""
    return line.rpartition(".")[0] if line.lower().endswith(IMAGE_SUFFIXES) else line


def _knows(space: LabelSpace, names: Iterable[str]) -> bool:
    """Whether each of these is a class of its own there: folders a and A, which only capitals tell apart, are not."""
    found = [space.find(name) for name in names]
    return None not in found and len(set(found)) == len(found)


def _space(folders: Sequence[str], given: LabelSpace | None) -> LabelSpace:
    """The space of the caller where it has these domains, else the registered one, else one of as many as there are."""
    letters = label_space(SPACE)
    if given is not None and _knows(given, folders):
        return given
    if len(folders) <= len(letters):
        return letters
    return parse_space({"name": SPACE, "classes": list(folders)}, "the folders' names")


def _hashed(files: dict[str, Path], domains: Sequence[str]) -> dict[str, list[str]]:
    """Names by the hash of each; {} where one of the parts would lack a domain."""
    parts = {split: [n for n in sorted(files) if hashed_split(n) == split] for split in USUAL}
    parts = {split: names for split, names in parts.items() if names}
    whole = all({n.partition("/")[0] for n in names} == set(domains) for names in parts.values())
    return parts if whole and len(parts) > 1 and "train" in parts else {}


# --- the order of training ----------------------------------------------------------------------------------------


def indices_by_domain(data: PairData, domains: Sequence[str]) -> list[list[int]]:
    """The positions of the photos of each domain, read off their names. Raises DataError for data that are no domains, or lack one."""
    found: dict[str, list[int]] = {domain: [] for domain in domains}
    for i, name in enumerate(data.names):
        first = name.partition("/")[0]
        if first in found:
            found[first].append(i)
    lacking = [domain for domain, indices in found.items() if not indices]
    if lacking:
        raise DataError(
            f"{data.source.location or 'The data set'} has no photos of the domain {few(lacking)}: a translator learns from"
            " domains:DIR, a folder for each domain."
        )
    return list(found.values())


def unused_domains(data: PairData, domains: Sequence[str]) -> list[str]:
    """A sentence on the photos of domains that a model has not, [] where there are none or the data are no domains."""
    if not data.source.whole_maps:
        return []
    counts = Counter(name.partition("/")[0] for name in data.names)
    others = [
        f"{domain} ({count} {'photo' if count == 1 else 'photos'})"
        for domain, count in counts.items()
        if domain not in domains
    ]
    if not others:
        return []
    return [
        f"Not trained on: {few(others)}. The model's domains are {', '.join(domains)}: set the config's channels for others."
    ]


def batch_by_domain(batch: Batch, domains: Sequence[str]) -> list[list[int]]:
    """The rows of a batch that show each domain, as many of each. Raises DataError for a batch that `unpaired_order` did not fill."""
    shown = batch.maps.labels.flatten(1).amax(1).tolist()  # beyond the border of a small photo lies class 0
    rows = [[i for i, value in enumerate(shown) if value == batch.maps.space.index(name)] for name in domains]
    if not rows[0] or any(len(found) != len(rows[0]) for found in rows):
        counts = ", ".join(f"{len(found)} of {name}" for name, found in zip(domains, rows, strict=True))
        raise DataError(f"A batch of a translator holds as many photos of each domain, and this one holds {counts}.")
    return rows


def unpaired_order(
    data: PairData, domains: Sequence[str], epoch: int, seed: int, *, longest: bool = False
) -> list[int]:
    """One photo of each domain after the other, the domains shuffled independently: a batch of k * len(domains) has k of each.

    An epoch ends with the shortest domain; `longest`: with the longest, and shorter ones go on with random photos. The same arguments
    give the same order, as `Trainer.epoch_order` has to.
    """
    groups = indices_by_domain(data, domains)
    length = (max if longest else min)(len(group) for group in groups)
    columns = []
    for number, group in enumerate(groups):
        rng = Rng(seed, [epoch], ("unpaired", number))
        order = [group[i] for i in rng.uniform("order", shape=(len(group),))[0].argsort(stable=True).tolist()]
        more = rng.uniform("more", shape=(max(0, length - len(group)),))[0]
        columns.append((order + [group[int(u * len(group))] for u in more.tolist()])[:length])
    return [index for row in zip(*columns, strict=True) for index in row]
