"""Data sets as they are written, `NAME[:PATH[,KEY=VALUE]...][#SPLIT]`, and opened. No torch at import."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.errors import UsageError, did_you_mean
from zoo.registry import plugin_code, registry

if TYPE_CHECKING:
    from zoo.data.pairs import PairData, Source
    from zoo.labels import LabelSpace


_OPTION = re.compile(r"(?P<path>.+),(?P<key>[a-z][a-z_-]*)=(?P<value>[^,]*)")


class DataSpec(NamedTuple):
    """A data set as it is written: NAME[:PATH[,KEY=VALUE]...][#SPLIT].

    path: with the options behind it; which of them are options only the data set knows (`path_and_options`).
    """

    name: str
    path: str | None
    split: str | None

    def __str__(self) -> str:
        return self.name + (f":{self.path}" if self.path is not None else "") + (f"#{self.split}" if self.split else "")

    def with_split(self, split: str | None) -> DataSpec:
        """The same data set, another split."""
        return self._replace(split=split)


def parse_spec(spec: str | DataSpec) -> DataSpec:
    """Takes NAME[:PATH[,KEY=VALUE]...][#SPLIT] apart; the last `#` starts the split, unless it belongs to the name of what lies
    there (`folder:C#1`; of two readings `folder:C#1#` and `folder:C#1#train` are always the folder C#1). Raises UsageError for
    an empty name."""
    if isinstance(spec, DataSpec):
        return spec
    rest, _, split = spec.rpartition("#") if "#" in spec else (spec, "", "")
    name, colon, path = _named(rest)
    whole = _named(spec)
    if "#" in whole[2] and _lies_there(whole[2]):
        (name, colon, path), split = whole, ""
    if not name or "," in name or (colon and not path):
        raise UsageError(
            f"Data set {spec!r}: expected NAME[:PATH[,KEY=VALUE]...][#SPLIT], for example celebamask-hq:DIR#train,"
            " humanparsing:DIR,aspect=1 or toy-faces."
        )
    return DataSpec(name, path if colon else None, split or None)


def _named(text: str) -> tuple[str, str, str]:
    """NAME, the colon, and what follows."""
    name, colon, path = text.partition(":")
    if colon and name not in registry().names("datasets"):
        return _qualified(text) or (name, colon, path)
    return name, colon, path


def _lies_there(path: str) -> bool:
    """Whether a path, or what stands before its `,KEY=VALUE` groups, is in the file system."""
    while not os.path.exists(path):
        match = _OPTION.fullmatch(path)
        if match is None or "#" in match["value"]:
            return False
        path = match["path"]
    return True


def _qualified(text: str) -> tuple[str, str, str] | None:
    """`DISTRIBUTION:NAME[:PATH]` taken apart behind the name of a plugin's data set, or None."""
    distribution, _, rest = text.partition(":")
    name, colon, path = rest.partition(":")
    qualified = f"{distribution}:{name}"
    return (qualified, colon, path) if qualified in registry().names("datasets") else None


def open_source(spec: str | DataSpec, *, space: LabelSpace | None = None) -> Source:
    """The data set's files, at their own size, without the cache and the resizing of PairData.

    space: the label space of the maps, for data sets that do not say it themselves (`folder`) or have several (`ccp`); the
    others ignore it: `label_space` of the result is what counts.
    Raises UsageError for an unknown name or option, DataError if nothing is found there.
    """
    parsed = parse_spec(spec)
    make = _data_set(parsed.name)
    known = tuple(getattr(make, "options", ()))
    path, options = path_and_options(parsed, known)
    owner = registry().owner_of("datasets", parsed.name).label
    with plugin_code(f"Plugin {owner}: its data set {parsed.name!r} cannot be opened"):
        source = make(path, parsed.split, space, options) if known else make(path, parsed.split, space)
        _check_source(source)
    return source


def _check_source(source: Any) -> None:
    """Raise TypeError for what is no Source, or lacks what one owes."""
    from zoo.data.pairs import Source
    from zoo.labels import LabelSpace

    if not isinstance(source, Source):
        raise TypeError(f"expected a Source, got {type(source).__name__}")
    if not isinstance(getattr(source, "label_space", None), LabelSpace):
        raise TypeError("its label_space should be a LabelSpace")
    names = getattr(source, "names", None)
    if not isinstance(names, tuple | list) or not all(isinstance(name, str) for name in names):
        raise TypeError("its names should be a tuple of texts, one for each pair")


def path_and_options(spec: DataSpec, known: Sequence[str]) -> tuple[str | None, dict[str, str]]:
    """The path alone, and the options behind it: the last `,KEY=VALUE` groups whose key is one of `known`.

    Raises UsageError for a key that occurs twice, and for an unknown one unless it belongs to the name of a folder.
    """
    path, options = spec.path, {}
    while path is not None and not os.path.exists(path) and (match := _OPTION.fullmatch(path)):
        key = match["key"]
        if key not in known:
            bare = path
            while more := _OPTION.fullmatch(bare):
                bare = more["path"]
            if not Path(path).exists() and Path(bare).exists():
                raise UsageError(
                    f"{spec}: {spec.name} has no option {key!r}{did_you_mean(key, known)} (options: {', '.join(known) or 'none'})."
                )
            break
        if key in options:
            raise UsageError(f"{spec}: {key} is given twice.")
        path, options[key] = match["path"], match["value"]
    return path, options


def open_data(
    spec: str | DataSpec,
    *,
    resolution: int | tuple[int, int] | None = None,
    space: LabelSpace | None = None,
    load_size: int | tuple[int, int] | None = None,
) -> PairData:
    """A data set at one resolution (side or (H, W)), ready for training and scoring; also a `torch.utils.data.Dataset`.

    resolution: None takes the size of the first pair, which is that of all in a folder that `zoo compose` wrote.
    load_size: the size at which pairs are kept in memory (default: the resolution); training with zoom wants it
    larger, so that crops stay sharp (`Augment.load_size`). Raises like `open_source`.
    """
    from zoo.data.pairs import PairData

    source = open_source(spec, space=space)
    if resolution is None:
        labels = source.read(0)[1]
        resolution = (labels.shape[0], labels.shape[1])
    return PairData(source, resolution, load_size=load_size)


def splits_of(spec: str | DataSpec, *, space: LabelSpace | None = None) -> tuple[str, ...]:
    """The splits that the data set at this place has, for example ("train", "val", "test"); () if it is one whole."""
    return tuple(open_source(parse_spec(spec).with_split(None), space=space).splits)


def _data_set(name: str) -> Callable[..., Source]:
    known = registry().names("datasets")
    if name in known:
        return registry().get("datasets", name)
    registry().refuse_clash("datasets", name)
    raise UsageError(
        f"No data set {name!r}{did_you_mean(name, known)} (known: {', '.join(known)}){registry().broken_hint()}."
    )
