"""The graphs of SEAN: map, codes and noise to picture, photo and map to codes, the mean of the training photos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.blocks import resize_planes
from zoo.families.spade.exports import map_port, picture_port
from zoo.interfaces.exports import Exports, Graph, Port
from zoo.plugin import SemanticMap, UsageError
from zoo_plugins.sean import styles
from zoo_plugins.sean.blocks import BlockInput, StyleConvs
from zoo_plugins.sean.config import STYLED

if TYPE_CHECKING:
    from zoo_plugins.sean.model import SEAN


class _Affine:
    """Scale and shift of a style as a norm asks for them."""

    def __init__(self, gamma: Tensor, beta: Tensor) -> None:
        self.pair = gamma, beta

    def affine(self) -> tuple[Tensor, Tensor]:
        return self.pair


def style_affine(style: StyleConvs, planes: Tensor, codes: Tensor) -> _Affine:
    """What a style adds to a norm, by plain convolutions of the map of its vectors. planes: [B, C, h, w]; codes: [B, C, S]."""
    vectors = torch.stack([F.relu(layer(codes[:, i])) for i, layer in enumerate(style.regions)], 1)
    spread = torch.einsum("bkhw,bks->bshw", planes, vectors)
    return _Affine(style.conv_gamma(spread), style.conv_beta(spread))


class _Render(nn.Module):
    def __init__(self, model: SEAN) -> None:
        super().__init__()
        self.inputs, self.generator = model.label_input, model.generator

    def forward(self, labels: Tensor, codes: Tensor, noise: Tensor) -> Tensor:
        g = self.generator
        planes = self.inputs.traced(labels)
        at = {step.scale: resize_planes(planes, g.size(step.scale)) for step in g.steps}
        return (g.paint(self._plans(at, codes, noise), start=g.start_from_map(planes)) + 1) / 2

    def _plans(self, at: dict[int, Tensor], codes: Tensor, noise: Tensor) -> Any:
        g = self.generator
        for (block, step), drawn in zip(g.blocks(), g.split_noise(noise), strict=True):
            planes = at[step.scale]
            rows: dict[str, Any] = {
                name: None
                if norm.style is None
                else style_affine(norm.style, planes, codes[:, :, STYLED.index(step.name)])
                for name, norm in block.noisy_norms().items()
            }
            yield BlockInput(block.plan(planes), drawn, rows)


class _Photo(nn.Module):
    def __init__(self, model: SEAN) -> None:
        super().__init__()
        self.inputs, self.encoder, self.layers = model.label_input, model.encoder, len(model.config.layer_names)

    def forward(self, image: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        codes, present = self.encoder(image * 2 - 1, self.inputs.traced(labels))
        return codes[:, :, None].expand(-1, -1, self.layers, -1), present.float()


def exports(model: SEAN) -> Exports:
    """`render` and `photo`; the mean as tensors. Raises UsageError for a model with instance edges, a region of their own."""
    if model.config.edges:
        raise UsageError(
            "This SEAN cannot be exported: its edges are a region with a code of its own, which a style of classes lacks."
        )
    labels, picture = map_port(model), picture_port(model)
    names, layers = model.channels, model.config.layer_names
    axes = ("class", "layer", "channel")
    codes = Port(
        "codes",
        "style",
        (len(names), len(layers), model.config.style_dim),
        axes,
        "style codes; zeros where a class has none",
    )
    noise = Port(
        "noise", "normal", (model.generator.noise_count,), ("channel",), "the noise of all norms", (("noise",),)
    )
    present = Port("present", "mask", (len(names),), ("class",), "1 for the classes that the photo shows")
    photo = picture_port(model, about="the photo, red, green, blue, 0 to 1")

    def maps(numbers: Tensor) -> SemanticMap:
        return SemanticMap(numbers.long(), model.label_space)

    def render(m: Tensor, c: Tensor, n: Tensor) -> Tensor:
        return (model.generator.render(model.layout(maps(m)).plan, c, n) + 1) / 2

    def encode(image: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
        style = model.encode_style(image, maps(m))
        assert style.present is not None
        return style.tensors["codes"], style.present.float()

    graphs = (
        Graph("render", _Render(model), (labels, codes, noise), (picture,), "the picture of a map in a style", render),
        Graph("photo", _Photo(model), (photo, labels), (codes, present), "the codes of the classes of a photo", encode),
    )
    tensors: dict[str, Tensor] = {}
    if "mean_style" in model.assets:
        mean = styles.mean_style(model, 1, 0, "mean")
        assert mean.present is not None
        tensors = {"mean.codes": mean.tensors["codes"][0], "mean.present": mean.present[0].float()}
    style = {"tensors": {"codes": ["sample", *axes]}, "classes": list(names), "layers": list(layers), "noise": "noise",
             "mean": "tensors" if tensors else None, "absent": "mean" if tensors else "zeros"}  # fmt: skip
    return Exports(graphs, {"style": style, "priors": []}, tensors)
