"""The graphs of synthesizers with one latent per picture (SPADE, SC-GAN): map and latent to picture, photo to latent, prior to latent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from zoo.interfaces.exports import Exports, Graph, Port
from zoo.maps import SemanticMap

if TYPE_CHECKING:
    from zoo.families.spade.synthesizer import LatentSynthesizer


def map_port(model: Any) -> Port:
    """The map that a synthesizer reads."""
    return Port("labels", "labels", model.resolution, ("height", "width"), f"class numbers of {model.label_space.name}")


def picture_port(model: Any, name: str = "image", about: str = "the picture, red, green, blue, 0 to 1") -> Port:
    """A picture at the model's resolution, in or out."""
    return Port(name, "image", (3, *model.resolution), ("channel", "height", "width"), about)


class AffinePrior(nn.Module):
    """mean + factor @ noise in float64, as `sample_style` computes it; forward: [B, n] -> [B, n] float32."""

    mean: Tensor
    factor: Tensor

    def __init__(self, mean: Tensor, factor: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.double().cpu())
        self.register_buffer("factor", factor.double().cpu())

    def forward(self, noise: Tensor) -> Tensor:
        return (self.mean + noise.double() @ self.factor.T).float()


class Unchanged(nn.Module):
    """The paper's prior: the noise is the latent."""

    def forward(self, noise: Tensor) -> Tensor:
        return noise * 1.0


class _Render(nn.Module):
    def __init__(self, model: LatentSynthesizer) -> None:
        super().__init__()
        self.inputs, self.generator = model.label_input, model.generator

    def forward(self, labels: Tensor, z: Tensor | None = None) -> Tensor:
        generator: Any = self.generator
        return (generator.render(generator.plan(self.inputs.traced(labels)), z) + 1) / 2


class _Photo(nn.Module):
    def __init__(self, model: LatentSynthesizer) -> None:
        super().__init__()
        self.encoder = model.encoder

    def forward(self, image: Tensor) -> Tensor:
        assert self.encoder is not None
        return self.encoder(image * 2 - 1)[0]


def latent_exports(model: LatentSynthesizer) -> Exports:
    """What `LatentSynthesizer.exports` gives."""
    labels, picture = map_port(model), picture_port(model)

    def maps(numbers: Tensor) -> SemanticMap:
        return SemanticMap(numbers.long(), model.label_space)

    if model.encoder is None:
        render = Graph(
            "render", _Render(model), (labels,), (picture,), "the picture of a map", lambda m: model.synthesize(maps(m))
        )
        return Exports((render,), {"style": None})
    z = Port("z", "style", (model.config.z_dim,), ("channel",), "the latent of the picture")
    noise = Port("noise", "normal", z.shape, z.axes, "standard normals", (("z",),))
    photo = picture_port(model, about="the photo, red, green, blue, 0 to 1")
    fitted = model.assets.get("latent_prior")
    draw: nn.Module = Unchanged() if fitted is None else AffinePrior(fitted["mean"], fitted["factor"])
    graphs = (
        Graph("render", _Render(model), (labels, z), (picture,), "the picture of a map in a style",
              lambda m, code: model.synthesize(maps(m), model.style(code))),
        Graph("prior", draw, (noise,), (z,), "a latent of the fitted prior, or of the paper's N(0, 1) where there is none;"
              " of zeros the mean"),
        Graph("photo", _Photo(model), (photo,), (z,), "the latent that a photo has",
              lambda image: model.encode_style(image, maps(torch.zeros(len(image), 1, 1))).tensors["z"]),
    )  # fmt: skip
    style = {"tensors": {"z": ["sample", "channel"]}, "classes": [], "layers": [], "mean": "prior of zeros"}
    return Exports(graphs, {"style": style, "priors": ["normal"] if fitted is None else ["fitted"]})
