"""The calls of what a model may be able to do beyond what its kind owes, for type checkers and for `model.capabilities()`.

Whether a model can do something, ask `model.capabilities()` (the names: `zoo.registry.capabilities`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from zoo.edits import Edit
from zoo.labels import LabelSet
from zoo.maps import LayeredMap, SemanticMap
from zoo.rng import RngLike
from zoo.style import Style

Latents = dict[str, Tensor]
Progress = Callable[[int, int], None]
Conditions = Sequence[LabelSet]


@runtime_checkable
class Reconstructs(Protocol):
    """Maps to codes and back."""

    def encode(self, semantic_map: SemanticMap, *, rng: RngLike | int | None = None) -> Latents:
        """Codes of the maps; rng None gives the mean."""
        ...

    def decode(self, latents: Latents, *, label_sets: Conditions, context: Any = None) -> SemanticMap:
        """Maps from codes."""
        ...


@runtime_checkable
class Layers(Protocol):
    """Soft overlapping shapes beside the flat map."""

    def generate_layers(
        self, conditions: Conditions, *, latents: Latents | None = None, rng: RngLike | int | None = None
    ) -> LayeredMap: ...


@runtime_checkable
class TakesGraphs(Protocol):
    """A label set may be a `zoo.graphs.SceneGraph`; predicates: what its relationships may be."""

    @property
    def predicates(self) -> tuple[str, ...]: ...


@runtime_checkable
class PaintsItself(Protocol):
    """Pictures of its own beside the maps: float32 [B, 3, H, W] in [0, 1], of what `generate` draws for the same latents."""

    def generate_pictures(
        self, conditions: Conditions, *, latents: Latents | None = None, rng: RngLike | int | None = None
    ) -> Tensor: ...


@runtime_checkable
class Codes(Protocol):
    """Features of maps, to compare two maps by."""

    def codes(self, semantic_map: SemanticMap) -> list[Tensor]:
        """float32 [B, C_l, h_l, w_l] for each of some layers."""
        ...


@runtime_checkable
class EditsParts(Protocol):
    """Changes parts of a given map; `edits` names the supported kinds: `model.capabilities()` has them as `edit:KIND`."""

    edits: frozenset[str]

    def edit(
        self,
        semantic_map: SemanticMap | LayeredMap,
        edits: Sequence[Edit],
        *,
        latents: Latents | None = None,
        rng: RngLike | int | None = None,
    ) -> SemanticMap:
        """All edits between one encode (the mean code unless `latents` are given) and one decode."""
        ...


@runtime_checkable
class SamplesStyle(Protocol):
    """Styles from a prior."""

    def sample_style(
        self, semantic_map: SemanticMap, rng: RngLike | int | None, *, prior: str | None = None
    ) -> Style: ...


@runtime_checkable
class EncodesStyle(Protocol):
    """Styles from photos."""

    def encode_style(self, image: Tensor, semantic_map: SemanticMap, *, rng: RngLike | int | None = None) -> Style:
        """image: float32 [B, 3, H, W] in [0, 1]; rng None gives the mean."""
        ...
