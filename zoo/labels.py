"""Label spaces (ordered vocabularies of classes) and label sets (which classes are present). No torch in here.

Two models are joined by class *names*: `LabelSpace.mapping_to` is the only place where one vocabulary becomes another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import Any

from zoo.errors import LabelError, did_you_mean, shown
from zoo.labelforms import FAULTS, NAMED, TITLE, class_fault, is_name

Color = tuple[int, int, int]
IGNORE = 255


@dataclass(frozen=True)
class LabelClass:
    """One class: its name, its colour in pictures, other names it goes by, and its left/right counterpart.

    colors: further colours under which published colour-coded maps show it; read, never written.
    on: the class that this one lies on wherever it is seen, so that this pixel belongs to both. In the face spaces the
    facial features (nose, eyes, brows, lips, mouth) and glasses lie on the skin, a necklace lies on the neck; hair, hats,
    ears, earrings and clothes lie on nothing that a flat map tells (an earring hangs beside the ear as often as on it).
    In `atr` and `ccp` nothing lies on anything: annotators saw one label per pixel.
    counts_as: the class that its pixels count as in a space which lacks it, where that is not the one it lies on: a watch is worn
    on the skin, a blazer is an upper garment. Unlike `on` it says nothing about layers.
    """

    name: str
    color: Color
    aliases: tuple[str, ...] = ()
    mirror: str | None = None
    colors: tuple[Color, ...] = ()
    on: str | None = None
    counts_as: str | None = None


@dataclass(frozen=True)
class Mapping:
    """How the classes of `source` become classes of `target`: by name, by alias, by what they lie on, or not at all.

    pairs: by name or alias. table: for each source value the target value; a dropped class has the target's background, or -1 if
    it has none. laid: classes that the target lacks, with the target's class of what they lie on (nose, skin).
    """

    source: LabelSpace
    target: LabelSpace
    pairs: tuple[tuple[str, str], ...]
    dropped: tuple[str, ...]
    table: tuple[int, ...]
    laid: tuple[tuple[str, str], ...] = ()

    @property
    def identity(self) -> bool:
        """True if nothing changes: same names in the same order."""
        return self.source.names == self.target.names

    def report(self) -> dict[str, object]:
        """What was mapped and what was dropped, as the manifest records it; `laid` stands there only where there is any."""
        return {
            "from": self.source.name,
            "to": self.target.name,
            "mapped": dict(self.pairs),
            **({"laid": dict(self.laid)} if self.laid else {}),
            "dropped": list(self.dropped),
            "dropped_become": self.target.background,
        }

    def describe(self) -> str:
        """The report in one line for people."""
        renamed = [f"{a} -> {b}" for a, b in self.pairs if a != b]
        text = (
            f"{self.source.name} -> {self.target.name}: {len(self.pairs)} of {len(self.source)} classes mapped by name"
        )
        if renamed:
            text += f" (renamed: {', '.join(renamed)})"
        if self.laid:
            text += f"; no counterpart, becomes what it lies on: {', '.join(f'{a} -> {b}' for a, b in self.laid)}"
        if self.dropped:
            text += f"; no counterpart, becomes {self.target.background or 'an error'}: {', '.join(self.dropped)}"
        return text


@dataclass(frozen=True)
class LabelSpace:
    """An ordered vocabulary; a class's position is its value in a semantic map.

    background: the class that uncovered or dropped pixels take, if the space has one.
    ignore: True if the value 255 ("unlabeled") is legal in its maps.
    """

    name: str
    classes: tuple[LabelClass, ...]
    background: str | None = None
    ignore: bool = False
    title: str = ""

    def __post_init__(self) -> None:
        names = [c.name for c in self.classes]
        doubles = sorted({n for n in names if names.count(n) > 1})
        if not names or doubles:
            raise LabelError(
                f"Label space {self.name!r}: "
                + (f"class names occur twice: {', '.join(doubles)}." if doubles else "it has no classes.")
            )
        if self.background is not None and self.background not in names:
            raise LabelError(
                f"Label space {self.name!r}: its background {self.background!r} is not one of its classes."
            )
        if len(names) > IGNORE:
            raise LabelError(f"Label space {self.name!r}: {len(names)} classes; 8-bit maps hold at most {IGNORE}.")
        _check_on(self)

    def __len__(self) -> int:
        return len(self.classes)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Class names in order of their values."""
        return tuple(c.name for c in self.classes)

    @cached_property
    def palette(self) -> tuple[Color, ...]:
        """RGB colours in order of the values."""
        return tuple(c.color for c in self.classes)

    @cached_property
    def voc_colored(self) -> bool:
        """True if its colours are Pascal VOC's, which tools give to maps of any space: they tell nothing."""
        return self.palette == tuple(voc_color(v) for v in range(len(self)))

    @cached_property
    def _by_name(self) -> dict[str, int]:
        table: dict[str, int] = {}
        for value, cls in enumerate(self.classes):
            for alias in cls.aliases:
                table.setdefault(alias.casefold(), value)
        table.update({cls.name.casefold(): value for value, cls in enumerate(self.classes)})
        return table

    def find(self, name: str) -> int | None:
        """Value of the class that goes by `name` (case and aliases do not matter), or None."""
        return self._by_name.get(name.strip().casefold())

    def index(self, name: str) -> int:
        """Value of a class by name or alias. Raises LabelError with near misses."""
        value = self.find(name)
        if value is None:
            hint = did_you_mean(name, self._by_name)
            raise LabelError(f"No class {name!r} in label space {self.name!r}{hint} (see: zoo labels {self.name})")
        return value

    @cached_property
    def background_index(self) -> int | None:
        """Value of the background class, or None."""
        return None if self.background is None else self.names.index(self.background)

    @cached_property
    def mirror_pairs(self) -> tuple[tuple[int, int], ...]:
        """Values to swap when a map is flipped horizontally, each pair once."""
        pairs = {tuple(sorted((v, self.index(c.mirror)))) for v, c in enumerate(self.classes) if c.mirror}
        return tuple(sorted((a, b) for a, b in pairs))

    @cached_property
    def mirror_table(self) -> tuple[int, ...]:
        """For each value the value after a horizontal flip."""
        table = list(range(len(self)))
        for a, b in self.mirror_pairs:
            table[a], table[b] = b, a
        return tuple(table)

    @cached_property
    def under(self) -> tuple[tuple[int, ...], ...]:
        """For each value the values that lie under it: what it lies on, what that lies on, and so on."""
        below = [None if c.on is None else self.names.index(c.on) for c in self.classes]
        chains = []
        for value in below:
            chain: list[int] = []
            while value is not None:
                chain.append(value)
                value = below[value]
            chains.append(tuple(chain))
        return tuple(chains)

    @cached_property
    def paint_order(self) -> tuple[str, ...]:
        """The class names in the space's order, but each behind all that it lies on: painted in this order, the layers of
        `LayeredMap.from_map(fill=True)` give the flat map back."""
        return self.painted(self.names)

    def painted(self, names: Iterable[str]) -> tuple[str, ...]:
        """These classes in their order, but each behind all of them that it lies on."""
        waiting = [self.index(n) for n in names]
        order: list[int] = []
        while waiting:
            value = next(v for v in waiting if not set(self.under[v]) & set(waiting))
            waiting.remove(value)
            order.append(value)
        return tuple(self.names[v] for v in order)

    def label_set(self, names: Iterable[str]) -> LabelSet:
        """The set of these classes (names or aliases). Raises LabelError for an unknown one or an empty set."""
        values = sorted({self.index(n) for n in names})
        if not values:
            raise LabelError(
                f"The label set is empty: name at least one class of {self.name!r} (see: zoo labels {self.name})"
            )
        return LabelSet(self, tuple(self.names[v] for v in values))

    def mapping_to(self, other: LabelSpace, *, lay: bool = True) -> Mapping:
        """Join by name, then by alias; a class that `other` lacks becomes what it lies on (`LabelClass.on`, `counts_as`, and on from
        there), as far as `other` has that.

        lay: False gives the join of 0.3.0 and before, in which such a class was dropped.
        Raises LabelError if not one class but the background is common.
        """
        pairs, laid, dropped, table = [], [], [], []
        nothing = -1 if other.background_index is None else other.background_index
        for cls in self.classes:
            value = _counterpart(cls, other)
            if value is None and cls.name == self.background and other.background_index is not None:
                value = other.background_index
            if value is not None:
                pairs.append((cls.name, other.names[value]))
            elif lay and (value := self._beneath(cls, other)) is not None:
                laid.append((cls.name, other.names[value]))
            else:
                dropped.append(cls.name)
            table.append(nothing if value is None else value)
        if not [1 for a, b in pairs if a != self.background and b != other.background]:
            raise LabelError(
                f"Label spaces {self.name!r} and {other.name!r} have no class in common"
                f" ({_some(self.names)} against {_some(other.names)}): a map of the one cannot be read as one of the other."
            )
        return Mapping(self, other, tuple(pairs), tuple(dropped), tuple(table), tuple(laid))

    def _beneath(self, cls: LabelClass, other: LabelSpace) -> int | None:
        """The value in another space of the nearest class that a class lies on, or counts as; None where it has none of them."""
        lower = cls.on or cls.counts_as
        while lower is not None:
            cls = self.classes[self.names.index(lower)]
            value = _counterpart(cls, other)
            if value is not None:
                return None if value == other.background_index else value
            lower = cls.on or cls.counts_as
        return None

    def to_json(self) -> dict[str, object]:
        """The form of the files in `zoo/label_spaces` and of a user's own JSON file."""
        classes = []
        for c in self.classes:
            entry: dict[str, object] = {"name": c.name, "color": list(c.color)}
            if c.aliases:
                entry["aliases"] = list(c.aliases)
            if c.mirror:
                entry["mirror"] = c.mirror
            if c.on:
                entry["on"] = c.on
            if c.counts_as:
                entry["counts_as"] = c.counts_as
            if c.colors:
                entry["colors"] = [list(color) for color in c.colors]
            classes.append(entry)
        return {
            "name": self.name,
            "title": self.title,
            "background": self.background,
            "ignore": self.ignore,
            "classes": classes,
        }


@dataclass(frozen=True)
class LabelSet:
    """Which classes are present. Make it with `LabelSpace.label_set`; `names` are in the space's order."""

    space: LabelSpace
    names: tuple[str, ...]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.space.find(name) in self.indices

    @cached_property
    def indices(self) -> tuple[int, ...]:
        """Values of the classes."""
        return tuple(self.space.names.index(n) for n in self.names)


def _counterpart(cls: LabelClass, other: LabelSpace) -> int | None:
    """The value of a class in another space, by name or alias."""
    return next((v for v in map(other.find, (cls.name, *cls.aliases)) if v is not None), None)


def _check_on(space: LabelSpace) -> None:
    """Raises LabelError for a class that lies on (or counts as) an unknown one, or itself through others."""
    below = {c.name: c.on or c.counts_as for c in space.classes if c.on is not None or c.counts_as is not None}
    for name, lower in below.items():
        if lower not in space.names:
            raise LabelError(
                f"Label space {space.name!r}: {name!r} lies on {lower!r}, which is not one of its classes"
                f"{did_you_mean(str(lower), space.names)}."
            )
        seen, here = [name], lower
        while here is not None:
            if here in seen:
                raise LabelError(
                    f"Label space {space.name!r}: classes lie on each other in a circle: {' on '.join([*seen, here])}."
                )
            seen.append(here)
            here = below.get(here)


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:6]) + (", …" if len(names) > 6 else "")


def numbered_space(count: int, name: str = "numbered", *, background: bool = False) -> LabelSpace:
    """A space of `count` classes `label_0`, `label_1`, … with generated colours, for maps whose names are unknown."""
    classes = tuple(LabelClass(f"label_{i}", voc_color(i)) for i in range(count))
    return LabelSpace(name, classes, background="label_0" if background else None)


def voc_color(value: int) -> Color:
    """The Pascal VOC bit-interleaved colour of a class number."""
    rgb = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            rgb[channel] |= ((value >> channel) & 1) << (7 - bit)
        value >>= 3
    return rgb[0], rgb[1], rgb[2]


def parse_space(values: object, where: str) -> LabelSpace:
    """A LabelSpace from the JSON form, which anybody may have written. Raises LabelError naming `where` and each fault."""
    if not isinstance(values, dict) or not isinstance(values.get("classes"), list):
        raise LabelError(f'{where}: expected {{"name": …, "classes": [{{"name": …, "color": [r, g, b]}}, …]}}.')
    entries = values["classes"]
    if len(entries) > IGNORE:
        raise LabelError(f"{where}: {len(entries)} classes; 8-bit maps hold at most {IGNORE}.")
    faults, classes = [], []
    for i, entry in enumerate(entries):
        entry = {"name": entry} if isinstance(entry, str) else entry
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            faults.append(f"class {i} has no name")
        elif wrong := class_fault(entry):
            faults.append(f"class {i} ({shown(entry['name'])}): {wrong}")
        else:
            classes.append(_class(entry, i))
    name, title = values.get("name", PurePath(where).stem), values.get("title", "")
    background, ignore = values.get("background"), values.get("ignore", False)
    if "name" in values and not is_name(name):
        faults.append(f"its name is {NAMED}, got {shown(repr(name))}")
    if not isinstance(title, str) or len(title) > TITLE:
        faults.append(f"its title is a text of at most {TITLE} characters, got {shown(repr(title))}")
    if background is not None and not is_name(background):
        faults.append(f"its background is the name of a class, got {shown(repr(background))}")
    if not isinstance(ignore, bool):
        faults.append(f"ignore is true or false, got {shown(repr(ignore))}")
    folded = [c.name.casefold() for c in classes]
    twice = [c.name for c in classes if folded.count(c.name.casefold()) > 1]
    if twice:
        faults.append(f"class names occur twice: {', '.join(twice)}")
    if faults:
        raise LabelError(f"{where}: " + "; ".join(faults[:FAULTS]) + ("; …" if len(faults) > FAULTS else "") + ".")
    space = LabelSpace(name, tuple(classes), background, ignore, title)
    # a mirror that names no class, or two that share one, fail here, not at the first flip
    if sorted(space.mirror_table) != list(range(len(space))):
        raise LabelError(
            f"{where}: a class is the mirror of two others; each pair of left and right names one another."
        )
    return space


def _class(entry: dict[str, Any], value: int) -> LabelClass:
    first, *more = [(c[0], c[1], c[2]) for c in (entry.get("color", voc_color(value)), *entry.get("colors", ()))]
    aliases, mirror = tuple(entry.get("aliases", ())), entry.get("mirror")
    return LabelClass(entry["name"], first, aliases, mirror, tuple(more), entry.get("on"), entry.get("counts_as"))
