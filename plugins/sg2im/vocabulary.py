"""Which object number of the network means which class, and the graphs of label sets."""

from __future__ import annotations

from functools import cached_property

from zoo.graphs import SceneGraph, known_predicates
from zoo.plugin import Conditions, ConfigError, LabelError, LabelSpace, UsageError
from zoo_plugins.sg2im.config import Sg2imConfig
from zoo_plugins.sg2im.graphs import Relation, encode
from zoo_plugins.sg2im.network import Graphs


class Vocabulary:
    """Object number i + 1 is `channels[i]`; 0 is the picture itself. Raises LabelError if the space lacks one of the config's
    classes, ConfigError for the background among them."""

    def __init__(self, config: Sg2imConfig, space: LabelSpace) -> None:
        names = config.channels or tuple(n for n in space.names if n != space.background)
        self.channels = tuple(space.names[space.index(n)] for n in names)
        if not self.channels or space.background in self.channels or len(set(self.channels)) != len(self.channels):
            raise ConfigError(
                f"sg2im config: channels must be distinct classes besides the background, got {', '.join(names[:6]) or 'none'}."
            )
        self.space, self.predicates = space, config.predicates
        self.objects = 1 + len(self.channels) + config.spare_objects

    @cached_property
    def values(self) -> tuple[int, ...]:
        """The label value of each channel."""
        return tuple(self.space.index(n) for n in self.channels)

    @cached_property
    def numbers(self) -> dict[int, int]:
        """Label value -> object number."""
        return {value: place + 1 for place, value in enumerate(self.values)}

    def classes_of(self, condition: SceneGraph | object) -> list[int]:
        """The label value of each object of a label set (one for each class, the background for none) or of a graph.

        Raises LabelError for classes that are no channels.
        """
        names = condition.objects if isinstance(condition, SceneGraph) else tuple(condition)  # type: ignore[call-overload]
        values = [self.space.index(n) for n in names]
        unknown = sorted(
            {self.space.names[v] for v in values if v not in self.numbers and v != self.space.background_index}
        )
        if unknown:
            raise LabelError(f"sg2im has no objects {', '.join(unknown)}; it has {', '.join(self.channels)}.")
        if isinstance(condition, SceneGraph):
            return values
        return [v for v in dict.fromkeys(values) if v in self.numbers]

    def relations_of(self, condition: SceneGraph | object) -> list[Relation]:
        """The relations of a graph, by number; none of a label set. Raises LabelError for unknown predicates."""
        if not isinstance(condition, SceneGraph):
            return []
        known_predicates([condition], self.predicates, "sg2im")
        return [(s, self.predicates.index(p) + 1, o) for s, p, o in condition.relationships]

    def encode(self, conditions: Conditions) -> tuple[Graphs, list[list[int]]]:
        """Conditions as one batch, and the label value of each object of each. Raises UsageError without any, LabelError."""
        if not conditions:
            raise UsageError("No label sets: give at least one.")
        values = [self.classes_of(c) for c in conditions]
        graphs = [
            ([self.numbers[v] for v in row], self.relations_of(c)) for row, c in zip(values, conditions, strict=True)
        ]
        return encode(graphs), values
