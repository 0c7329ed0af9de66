"""The graphs of CLVAE: map and latents to picture, the prior of each class, photo and map to latents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.blocks import BlockAffine, resize_numbers, resize_planes
from zoo.families.spade.exports import map_port, picture_port
from zoo.interfaces.exports import Exports, Graph, Port
from zoo.nn.labels import one_hot_traced
from zoo.plugin import SemanticMap, Style, UsageError
from zoo_plugins.clvae import styles
from zoo_plugins.clvae.config import LEVELS
from zoo_plugins.clvae.regions import Regions

if TYPE_CHECKING:
    from zoo_plugins.clvae.model import CLVAE


def all_regions(channels: Tensor, classes: int) -> Regions:
    """`find_regions` with every class, whether the map shows it or not: shapes that depend on no value."""
    height, width = channels.shape[-2:]
    pyramid = [resize_numbers(channels, (max(1, height >> i), max(1, width >> i))) for i in range(LEVELS + 1)]
    return Regions(torch.arange(classes), tuple(pyramid))


class _Map(nn.Module):
    """Base: maps as channels."""

    def __init__(self, model: CLVAE) -> None:
        super().__init__()
        self.inputs, self.classes = model.label_input, len(model.channels)

    def channels(self, labels: Tensor) -> Tensor:
        return self.inputs.table[labels.long().clamp(0, 255)].clamp_min(0)


class _Render(_Map):
    """The generator's course with every class in every map: what a pixel gets is a product with its one-hot plane."""

    def __init__(self, model: CLVAE) -> None:
        super().__init__(model)
        self.generator = model.generator

    def forward(self, labels: Tensor, z: Tensor, codes: Tensor) -> Tensor:
        return (self.generator.paint(self._plans(self.channels(labels), codes), z) + 1) / 2

    def _plans(self, channels: Tensor, codes: Tensor) -> Iterator[BlockAffine]:
        g = self.generator
        numbers = all_regions(channels, self.classes).pyramid
        for block, step in g.blocks():
            level, size = g.level(step), g.size(step.scale)
            if not level:
                yield block.plan(one_hot_traced(resize_numbers(numbers[0], size), self.classes))
                continue
            table = g.cse.embedding.weight + codes[:, :, g.layer_of(level)]
            planes = torch.einsum("bkhw,bkn->bnhw", one_hot_traced(numbers[level], self.classes), table)
            yield block.plan(resize_planes(planes, size))


class _Prior(nn.Module):
    """Standard normals as draws of the fitted Gaussians, in float64 as `styles.apply_prior`; classes that are not shown are 0."""

    mean: Tensor
    factor: Tensor
    class_mean: Tensor
    class_factor: Tensor

    def __init__(self, fitted: dict[str, Tensor] | None) -> None:
        super().__init__()
        self.fitted = fitted is not None
        for name, tensor in (fitted or {}).items():
            if name in ("mean", "factor", "class_mean", "class_factor"):
                self.register_buffer(name, tensor.double().cpu())

    def forward(self, shown: Tensor, z: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        z, rows = z.double(), codes.double().flatten(2)
        if self.fitted:
            z = self.mean + z @ self.factor.T
            if self.class_factor.dim() == 2:
                rows = self.class_factor * rows
            else:
                rows = (self.class_factor @ rows[..., None])[..., 0]
            rows = self.class_mean + rows
        return z.float(), rows.float().unflatten(2, codes.shape[2:]) * shown[:, :, None, None]


class _Photo(_Map):
    def __init__(self, model: CLVAE) -> None:
        super().__init__(model)
        self.encoder = model.encoder

    def forward(self, image: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        e, channels = self.encoder, self.channels(labels)
        features = e.features(image * 2 - 1)
        regions = all_regions(resize_numbers(channels, (e.size, e.size)), self.classes)
        rows, seen = [], []
        for tap in e.taps:
            planes = one_hot_traced(regions.pyramid[tap], self.classes)
            there = planes.flatten(2).amax(2)
            # the least finite number for pixels of other classes, so that no class is left with an infinity
            low = features[tap - 1][:, None] * planes[:, :, None] + (planes[:, :, None] - 1) * 1e30
            maxima = low.flatten(3).amax(3) * there[:, :, None]
            rows.append(e.local_mu[str(tap)](F.leaky_relu(maxima, 0.2)) * there[:, :, None])
            seen.append(there)
        present = one_hot_traced(channels, self.classes).flatten(2).amax(2)
        return e.head(features[-1])[0], torch.stack(rows, 2), present, torch.stack(seen, 2)


def exports(model: CLVAE) -> Exports:
    """`render`, `prior` and `photo`. Raises UsageError for a model without latents of classes or of layers (the paper's ablations)."""
    c = model.config
    if not c.classwise or not c.taps:
        raise UsageError(
            "This CLVAE cannot be exported: it has no latents by class and layer (an ablation of the paper)."
        )
    labels, picture = map_port(model), picture_port(model)
    names, layers, axes = model.channels, c.layer_names, ("class", "layer", "channel")
    shape = (len(names), len(layers), model.n_local)
    z = Port("z", "style", (c.z_dim,), ("channel",), "the latent of the picture")
    codes = Port(
        "codes", "style", shape, axes, "latents of the classes at the layers, coarsest first; absent classes 0"
    )
    present = Port("present", "mask", shape[:1], ("class",), "1 for the classes that the map shows")
    visible = Port("visible", "mask", shape[:2], ("class", "layer"), "1 where a class has a pixel at a layer")
    z_noise = Port("z_noise", "normal", z.shape, z.axes, "standard normals", (("z",),))
    keys = tuple((name, layer + 1) for name in names for layer in range(len(layers)))
    code_noise = Port("code_noise", "normal", shape, axes, "standard normals", keys)
    photo = picture_port(model, about="the photo, red, green, blue, 0 to 1")
    fitted = model.assets.get("latent_prior")

    def maps(numbers: Tensor) -> SemanticMap:
        return SemanticMap(numbers.long(), model.label_space)

    def render(m: Tensor, z_: Tensor, codes_: Tensor) -> Tensor:
        return model.synthesize(maps(m), styles.make(model, codes_, z_, None, None))

    def encode(image: Tensor, m: Tensor) -> tuple[Tensor, ...]:
        style: Style = model.encode_style(image, maps(m))
        assert style.present is not None and style.visible is not None
        return style.tensors["z"], style.tensors["codes"], style.present.float(), style.visible.float()

    graphs = (
        Graph("render", _Render(model), (labels, z, codes), (picture,), "the picture of a map in a style", render),
        Graph("prior", _Prior(fitted), (present, z_noise, code_noise), (z, codes), "latents of the fitted prior, or of the"
              " paper's N(0, 1) where there is none; of zeros the mean"),
        Graph("photo", _Photo(model), (photo, labels), (z, codes, present, visible), "the latents of a photo and its classes", encode),
    )  # fmt: skip
    style = {"tensors": {"z": ["sample", "channel"], "codes": ["sample", *axes]}, "classes": list(names), "layers": list(layers),
             "mean": "prior of zeros", "absent": "prior"}  # fmt: skip
    return Exports(graphs, {"style": style, "priors": ["normal"] if fitted is None else ["fitted"]})
