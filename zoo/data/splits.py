"""Splits of a data set: from its own lists where it has them, else by the names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from zoo.errors import DataError, did_you_mean
from zoo.files.images import IMAGE_SUFFIXES, is_hidden

USUAL = ("train", "val", "test")


def split_files(root: Path) -> dict[str, Path]:
    """The lists that lie there: splits/NAME.txt, else {train,val,test}{,_list,_id}.txt beside the data."""
    paths = {p.stem: p for p in (root / "splits").glob("*.txt") if p.is_file() and not is_hidden(p.name)}
    if not paths:
        for name in USUAL:
            path = next((p for e in ("_list", "_id", "") if (p := root / f"{name}{e}.txt").is_file()), None)
            if path is not None:
                paths[name] = path
    return {name: paths[name] for name in ordered(paths)}


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Train, val, test first, the rest by name."""
    names = set(names)
    usual = [n for n in USUAL if n in names]
    return (*usual, *sorted(names - set(usual)))


def read_lines(path: Path) -> list[str]:
    """The lines of a list that hold something, which may have spaces inside. Raises DataError for a file that cannot be read, or is no
    text."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8; expected one name per line.") from error
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror or error}.") from error
    return [line.strip() for line in lines if line.strip()]


def read_list(path: Path) -> list[str]:
    """One name per line; of file names the stem counts, of further columns nothing. A missing file is an empty list.

    Raises DataError for a file that cannot be read, or is no text.
    """
    names = [line.split()[0] for line in read_lines(path)] if path.is_file() else []
    return [Path(n).stem if Path(n).suffix.lower() in IMAGE_SUFFIXES else n for n in names]


def hashed_split(name: str) -> str:
    """The split of a pair without a list: 80 % train, 10 % val, 10 % test, by the first 64 bits of sha256 of its name.

    It depends on the name alone: the splits share no pair, whoever makes them, and stay as they are when pairs are added.
    (The SegVAE authors drew the training and the test part separately, so that four fifths of their test maps were
    training maps; that is not reproduced.)
    """
    place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
    return "train" if place < 0.8 else "val" if place < 0.9 else "test"


def splits_for(root: Path, names: Iterable[str]) -> dict[str, list[str]]:
    """Names by split: as the lists say (which may name files that do not exist), else by `hashed_split`; no empty ones."""
    files = split_files(root)
    if files:
        return {split: read_list(path) for split, path in files.items()}
    by_split: dict[str, list[str]] = {}
    for name in names:
        by_split.setdefault(hashed_split(name), []).append(name)
    return {split: by_split[split] for split in ordered(by_split)}


def one_split(root: Path, splits: dict[str, list[str]], split: str) -> list[str]:
    """The names of one split. Raises DataError if there is none of this name."""
    if split not in splits:
        raise DataError(
            f"{root} has no split {split!r}{did_you_mean(split, splits)} (splits: {', '.join(splits) or 'none'})."
        )
    return splits[split]
