"""What a model says of itself so that it can run outside torch: its networks as graphs with plain tensors in and out.

A graph is a module whose `forward` can be traced (`torch.export`): no branch on values, no shape that depends on them, batch first and
of any size. Maps go in and come out as numbers of the label space, int32, so that whoever calls a graph knows no channel order.
`zoo.export` writes graphs as ONNX files and compares them with the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor, nn

from zoo.errors import PluginError

if TYPE_CHECKING:
    from zoo.interfaces.models import MaskParser

Content = Literal["labels", "label-set", "mask", "normal", "latents", "style", "scale", "image", "scores"]
"""What a tensor holds.

labels: int32 [B, H, W], numbers of the label space. label-set, mask: float32 0 or 1 (of a label set at least one is 1). normal:
standard normals, drawn from the streams `keys`. latents, style, scores: real numbers. scale: 0 to 1. image: [B, 3, H, W] in [0, 1].
"""
Key = tuple[str | int, ...]
MAIN: Mapping[str, str] = {"mask-generator": "generate", "image-synthesizer": "render", "mask-parser": "parse"}
"""The graph that does the work of a kind; the others prepare its inputs."""


@dataclass(frozen=True)
class Port:
    """An input or output of a graph.

    shape: without the batch. axes: what each axis counts, words as in `Style.axes` ("class": the model's channels, in their order).
    keys: of an input `normal`, the streams of `zoo.Rng` that give its numbers: one key for all of them, or one for each row of the
    leading axes in row-major order.
    """

    name: str
    content: Content
    shape: tuple[int, ...]
    axes: tuple[str, ...]
    about: str
    keys: tuple[Key, ...] = ()

    @property
    def dtype(self) -> str:
        """Of its numbers: int32 for maps, else float32."""
        return "int32" if self.content == "labels" else "float32"


@dataclass(frozen=True, eq=False)
class Graph:
    """One network: `module(*inputs)` gives the outputs (a tensor, or a tuple of them), batch first.

    reference: what the model's own public calls give for the same inputs, with which the written file is compared beside the module's
    own outputs; None: the module alone.
    """

    name: str
    module: nn.Module
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    about: str
    reference: Callable[..., Tensor | tuple[Tensor, ...]] | None = None

    def __post_init__(self) -> None:
        """Raise PluginError for a name that stands twice: in a file inputs and outputs share their names."""
        names = [port.name for port in (*self.inputs, *self.outputs)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise PluginError(f"The graph {self.name!r} has two inputs or outputs of the name {', '.join(twice)}.")


@dataclass(frozen=True, eq=False)
class Exports:
    """All graphs of a model, and how they go together.

    recipe: JSON for whoever calls them without this package (docs/exporting.md says what the words mean). tensors: what a recipe
    computes with besides graphs.
    """

    graphs: tuple[Graph, ...]
    recipe: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, Tensor] = field(default_factory=dict)

    def graph(self, name: str) -> Graph:
        """The graph of this name."""
        return next(g for g in self.graphs if g.name == name)


def of_parser(model: MaskParser, network: nn.Module, scores: Callable[[Tensor], Tensor]) -> Exports:
    """The graph `parse` of a parser, at its own size: who has larger photos makes them that large, and scales the scores back where edges
    matter.

    network: photos [B, 3, H, W] in [0, 1] -> (class numbers int32 [B, H, W], scores [B, channels, H, W]). scores: the model's own.
    """
    side = model.resolution
    image = Port("image", "image", (3, *side), ("channel", "height", "width"), "the photo, red, green, blue, 0 to 1")
    labels = Port("labels", "labels", side, ("height", "width"), f"class numbers of {model.label_space.name}")
    of_classes = (len(model.channels), *side)
    told = Port("scores", "scores", of_classes, ("class", "height", "width"), "scores of the channels")

    def parse(photo: Tensor) -> tuple[Tensor, Tensor]:
        return model.parse(photo).labels.int(), scores(photo)

    return Exports((Graph("parse", network, (image,), (labels, told), "the map of a photo", parse),))
