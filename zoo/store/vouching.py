"""Which files make a model folder, and who vouches for them: digests in a card, or those that were verified at a pull. No torch in here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from zoo.cards import README, listed_bytes, read_card
from zoo.errors import WeightsError, shown
from zoo.files.configfile import CONFIG as CONFIG
from zoo.files.digests import sha256
from zoo.files.headers import SUFFIX
from zoo.files.ordinary import lies_inside, ordinary_file

WEIGHTS, ASSETS, WRAPPED = "model.safetensors", "assets", "wrapped"
_ENTRIES = 10_000
"""More files and folders than any model has."""


def model_files(folder: Path) -> list[Path]:
    """The files of a model folder that its card vouches for: config, weights, assets and the files of a wrapped library's
    model (at any depth of `wrapped/`), sorted. Raises WeightsError for one that is no ordinary file of the folder."""
    files = []
    for path in _entries(folder):
        if path.suffix not in (".json", SUFFIX) or path.is_dir():
            if not lies_inside(path, folder):
                raise WeightsError(f"{path} is refused: it is a link out of its folder. Copy what it leads to there.")
        elif ordinary_file(folder, path.relative_to(folder).as_posix()) is not None:
            files.append(path)
    return sorted(files)


def _entries(folder: Path) -> Iterator[Path]:
    """Config, weights, and all that lies in the two sub-folders."""
    if (folder / CONFIG).exists() or (folder / CONFIG).is_symlink():
        yield folder / CONFIG
    try:
        yield from folder.glob(f"*{SUFFIX}")
        for i, path in enumerate(p for inner in (ASSETS, WRAPPED) for p in _below(folder / inner)):
            if i >= _ENTRIES:
                raise WeightsError(f"{folder} has more than {_ENTRIES:,} files: no model.")
            yield path
    except OSError as error:
        raise WeightsError(f"Cannot read {folder}: {error.strerror or error}.") from error


def _below(folder: Path) -> Iterator[Path]:
    if folder.is_symlink():
        yield folder
    yield from folder.glob("*") if folder.name == ASSETS else folder.rglob("*")


def is_model_file(name: str) -> bool:
    """True for the relative name (with `/`) of a file that a model folder is made of, its card included."""
    top, slash, _ = name.partition("/")
    return top in (ASSETS, WRAPPED) if slash else name in (CONFIG, README) or name.endswith(SUFFIX)


def digests(folder: Path) -> dict[str, str]:
    """Relative file name to sha256."""
    return {p.relative_to(folder).as_posix(): sha256(p) for p in model_files(folder)}


def card_files(folder: Path) -> dict[str, str]:
    """The digests that the card of a folder lists; {} for a folder without a card (no README.md, or one without `zoo:`), for which
    nobody vouches: what `zoo.save` writes. Raises WeightsError for a card that lists none: it would vouch for nothing.
    """
    ordinary_file(folder, README)
    card = read_card(folder)
    if card is None or not card.facts:
        return {}
    if not card.files:
        raise WeightsError(
            f"{folder / README} is no card: its `zoo:` part lists no `files` with their sha256, so it vouches for nothing. Get the"
            " whole folder again, or take README.md away if you made the folder yourself."
        )
    return card.files


def verify_files(folder: Path, expected: Mapping[str, str], repair: str = "get it again") -> None:
    """Compare the files with the digests of the card. Raises WeightsError naming the first file that differs."""
    for name, digest in expected.items():
        path = ordinary_file(folder, name)
        if path is None:
            raise WeightsError(
                f"{folder}: the card lists {shown(name, 200)}, which is missing: get the whole folder again."
            )
        actual = sha256(path)
        if actual != digest:
            raise WeightsError(
                f"{path} does not match its card: sha256 {actual}, expected {shown(digest, 80)}. The file is damaged or was changed:"
                f" {repair}."
            )


def check_listed(folder: Path, names: Collection[str], listed: Collection[str]) -> None:
    """Raise WeightsError where one of these files, which would be loaded, has no digest in a list that vouches for others."""
    strange = unlisted(names, listed)
    if strange:
        raise WeightsError(
            f"{folder}: its card does not list {shown(strange[0], 200)}, so nobody vouches for that file: take it out of the folder, or"
            " get the whole folder again."
        )


def unlisted(names: Collection[str], listed: Collection[str]) -> list[str]:
    """Those of a folder's files that a list leaves out; none where there is no list at all."""
    return [n for n in names if n not in listed] if listed else []


def vouched(folder: Path) -> dict[str, Any]:
    """The facts `bytes` and `files` (name to sha256) of a model folder."""
    files = digests(folder)
    return {"bytes": listed_bytes(folder, files), "files": files}
