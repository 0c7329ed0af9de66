"""The parts that classes play on a canvas, as numbers of the network's channels (docs/papers/sims.md, "Canvas")."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.plugin import LabelSpace
from zoo_plugins.sims.config import SIMSConfig


@dataclass(frozen=True)
class Roles:
    """classes: how many have segments; channels below it are theirs, this one is that of holes. order: far to near, all of them.

    objects: `standing` and `buildings`. The other fields are those of the config.
    """

    classes: int
    order: tuple[int, ...]
    thin: tuple[int, ...]
    ground: tuple[int, ...]
    planar: tuple[int, ...]
    vehicles: tuple[int, ...]
    ragged: tuple[int, ...]
    standing: tuple[int, ...]
    objects: tuple[int, ...]

    @property
    def context(self) -> tuple[int, ...]:
        """Classes that are not `objects`: where nothing was pasted they keep their place in the map."""
        return tuple(c for c in range(self.classes) if c not in self.objects)


def roles_of(config: SIMSConfig, space: LabelSpace, channels: tuple[str, ...]) -> Roles:
    """channels: class names in the network's order, `config.void` last where the space has it."""
    classes = [name for name in channels if name != config.void]

    def numbers(names: tuple[str, ...]) -> tuple[int, ...]:
        values = {space.find(name) for name in names} - {None}
        return tuple(i for i, name in enumerate(classes) if space.index(name) in values)

    known = [space.names[v] for name in config.painted if (v := space.find(name)) is not None]
    rest = [name for name in space.paint_order if name not in known]
    if space.background in rest:
        rest.insert(0, rest.pop(rest.index(space.background)))
    order = tuple(classes.index(name) for name in dict.fromkeys([*known, *rest]) if name in classes)
    fields = ("thin", "ground", "planar", "vehicles", "ragged", "standing")
    named = {field: numbers(getattr(config, field)) for field in fields}
    return Roles(len(classes), order, objects=numbers((*config.standing, *config.buildings)), **named)
