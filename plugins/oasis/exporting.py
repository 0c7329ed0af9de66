"""The graphs of OASIS: map and noise to picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.families.spade.exports import Unchanged, map_port, picture_port
from zoo.interfaces.exports import Exports, Graph, Key, Port
from zoo.plugin import SemanticMap
from zoo_plugins.oasis import styles

if TYPE_CHECKING:
    from zoo_plugins.oasis.model import OASIS


class _Render(nn.Module):
    def __init__(self, model: OASIS) -> None:
        super().__init__()
        self.inputs, self.generator = model.label_input, model.generator

    def forward(self, labels: Tensor, z: Tensor | None = None) -> Tensor:
        planes = self.inputs.traced(labels)
        if z is not None:  # each pixel has the noise of its class
            planes = torch.cat([torch.einsum("bkhw,bkz->bzhw", planes, z), planes], 1)
        return (self.generator(planes) + 1) / 2


def exports(model: OASIS) -> Exports:
    """`render` and, with noise, `prior`; a style of regions, whose number depends on the map, stays in Python."""
    labels, picture = map_port(model), picture_port(model)

    def maps(numbers: Tensor) -> SemanticMap:
        return SemanticMap(numbers.long(), model.label_space)

    if not model.config.use_noise:
        return Exports(
            (Graph("render", _Render(model), (labels,), (picture,), "the picture of a map", lambda m: model.synthesize(maps(m))),),
            {"style": None},
        )  # fmt: skip
    shape = (len(model.channels), model.config.z_dim)
    z = Port("z", "style", shape, ("class", "channel"), "the noise that each class has everywhere")
    one = model.config.noise == "image"
    keys: tuple[Key, ...] = (("z",),) if one else tuple(("z", name) for name in model.channels)
    noise = Port("noise", "normal", shape[one:], z.axes[one:], "standard normals", keys)
    render = Graph(
        "render", _Render(model), (labels, z), (picture,), "the picture of a map in a style",
        lambda m, code: model.synthesize(maps(m), styles.of_classes(model, code)),
    )  # fmt: skip
    prior = Graph(
        "prior",
        _Spread(shape[0]) if one else Unchanged(),
        (noise,),
        (z,),
        "the noise of all classes; of zeros the mean",
    )
    style = {"tensors": {"z": ["sample", "class", "channel"]}, "classes": list(model.channels), "layers": []}
    return Exports((render, prior), {"style": {**style, "mean": "prior of zeros"}, "priors": ["normal"]})


class _Spread(nn.Module):
    """One vector [B, n] for all classes, [B, classes, n]."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, noise: Tensor) -> Tensor:
        return noise[:, None] * torch.ones(self.classes, 1)
