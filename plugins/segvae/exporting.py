"""The graphs of SegVAE: label set and codes to map, the fitted prior, and edits of single parts; classes one after the other, unrolled.

A graph decodes every class for every sample and takes away what a label set lacks, where `steps.unroll` skips it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from zoo.interfaces.exports import Exports, Graph, Port
from zoo.plugin import LayeredMap, SemanticMap
from zoo_plugins.segvae.editing import EditPlan, edit_layers
from zoo_plugins.segvae.fitting import SCALES
from zoo_plugins.segvae.networks import State, sample_code

if TYPE_CHECKING:
    from zoo_plugins.segvae.model import SegVAE
    from zoo_plugins.segvae.prior import LocalPrior


def painted(planes: dict[int, Tensor], order: list[int], background: int, threshold: float) -> Tensor:
    """`LayeredMap.flatten` by the painter's rule: planes [B, R, R] by class number -> int32 [B, R, R]."""
    stack = torch.stack([planes[value] for value in order], 1)
    numbers = torch.tensor(order, dtype=torch.int32)
    labels = torch.where(stack.sum(1) > threshold, numbers[stack.argmax(1)], background)
    for position, value in enumerate(order):
        labels = torch.where(stack[:, position] > 0.5, value, labels)
    return labels.int()


class _Steps(nn.Module):
    """Base: the networks, and the passes over the classes."""

    def __init__(self, model: SegVAE) -> None:
        super().__init__()
        self.context, self.prior, self.decoder = model.context, model.prior, model.decoder
        self.order, self.side = model.order, model.config.size
        self.values: list[int] = model.values.tolist()
        space = model.label_space
        self.paint = [space.index(n) for n in model.paint_order if n != space.background]
        self.background, self.threshold = int(model.values[0]), model.config.background
        self.uses_prior = model.prior is not None

    def vector(self, present: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(present[:, :1]), present], 1)

    def feature(self, canvas: list[Tensor], label_set: Tensor, channel: int) -> Tensor:
        """The context code of the step that draws `channel`. canvas: planes [B, R, R]."""
        here = torch.arange(label_set.shape[1]) == channel
        return self.context(torch.stack(canvas, 1), label_set, label_set * here)

    def shape(self, feature: Tensor, code: Tensor, present: Tensor) -> Tensor:
        return torch.sigmoid(self.decoder(feature, code))[:, 0] * present[:, None, None]

    def empty(self, present: Tensor) -> list[Tensor]:
        plane = present.new_zeros(1, self.side, self.side).expand(present.shape[0], -1, -1)
        return [plane] * (present.shape[1] + 1)

    def code(self, feature: Tensor, eps: Tensor, state: State | None) -> tuple[Tensor, State | None]:
        """What the learned prior makes of noise [B, Z]."""
        if self.prior is None:
            return eps, None
        mu, log_var, state = self.prior(feature, state)
        return sample_code(mu, log_var, eps), state


class _Generate(_Steps):
    """learned: the numbers are noise for the learned prior, else codes."""

    def __init__(self, model: SegVAE, learned: bool) -> None:
        super().__init__(model)
        self.learned = learned

    def forward(self, present: Tensor, numbers: Tensor) -> Tensor:
        label_set, canvas, state = self.vector(present), self.empty(present), None
        zero = canvas[0]
        for channel in self.order:
            feature, code = self.feature(canvas, label_set, channel), numbers[:, channel - 1]
            if self.learned:
                code, state = self.code(feature, code, state)
            canvas[channel] = self.shape(feature, code, present[:, channel - 1])
        planes = dict.fromkeys(self.paint, zero) | {v: canvas[c + 1] for c, v in enumerate(self.values[1:])}
        return painted(planes, self.paint, self.background, self.threshold)


class _Edit(_Steps):
    def __init__(self, model: SegVAE) -> None:
        super().__init__(model)
        self.under = model.label_space.under

    def filled(self, labels: Tensor) -> dict[int, Tensor]:
        """`LayeredMap.from_map` with `fill`, by class number."""
        planes = {}
        for value in self.paint:
            shown = labels == value
            for above, lower in enumerate(self.under):
                if value in lower:
                    shown = shown | (labels == above)
            planes[value] = shown.float()
        return planes

    def forward(self, labels: Tensor, present: Tensor, drawn: Tensor, removed: Tensor, eps: Tensor) -> Tensor:
        planes, label_set, canvas, state = self.filled(labels), self.vector(present), self.empty(present), None
        for channel, value in enumerate(self.values[1:], 1):
            planes[value] = planes[value] * (1 - removed[:, channel - 1])[:, None, None]
        for channel in self.order:
            feature, value = self.feature(canvas, label_set, channel), self.values[channel]
            code, state = self.code(feature, eps[:, channel - 1], state)
            new = (self.shape(feature, code, present[:, channel - 1]) > 0.5).float()
            chosen = (drawn * present)[:, channel - 1, None, None] > 0
            canvas[channel] = planes[value] = torch.where(chosen, new, planes[value])
        return painted(planes, self.paint, self.background, self.threshold)


class _Prior(nn.Module):
    """`LocalPrior.codes` of many maps, in float64."""

    centres: Tensor
    weights: Tensor
    mean: Tensor
    directions: Tensor

    def __init__(self, prior: LocalPrior) -> None:
        super().__init__()
        self.register_buffer("centres", prior.centres.float())
        self.register_buffer("weights", prior.weights.double())
        self.register_buffer("mean", prior.mean)
        self.register_buffer("directions", prior.directions)

    def forward(self, present: Tensor, scores: Tensor, scale: Tensor) -> Tensor:
        distance = (self.centres[None] - present[:, None]).abs().double() @ self.weights
        nearest = distance.argmin(1)
        spread = torch.einsum("bk,bkcz->bcz", scores.double(), self.directions[nearest].double())
        return (self.mean[nearest].double() + scale.double()[:, :, None] * spread).float()


def exports(model: SegVAE) -> Exports:
    """`generate`, `edit` and, with a fitted prior, `prior`, whose codes `generate` then takes (else it takes noise)."""
    c, names = model.config, model.channels
    size = (len(names), c.z_dim)
    labels = Port(
        "labels", "labels", model.resolution, ("height", "width"), f"class numbers of {model.label_space.name}"
    )
    present = Port("present", "label-set", size[:1], ("class",), "1 for the classes that the map shall show")
    keys = tuple(("eps", name) for name in names)
    eps = Port("eps", "normal", size, ("class", "channel"), "noise of the learned prior", keys)
    fitted = model.fitted_prior
    z = Port("z", "latents", size, ("class", "channel"), "codes of the classes")
    graphs = [
        Graph("generate", _Generate(model, fitted is None), (present, eps if fitted is None else z), (labels,),
              "the map of a label set", _decoded(model, "eps" if fitted is None else "z")),
    ]  # fmt: skip
    recipe: dict[str, Any] = {
        "procedure": "steps",
        "edits": sorted(model.edits),
        "uncovered": "nearest",
        "under": [list(v) for v in model.label_space.under],
    }
    if fitted is not None:
        scores = Port("scores", "normal", (fitted.components,), ("channel",), "standard normals", (("score",),))
        scale = Port("scale", "scale", size[:1], ("class",), "1, or less for classes nearer to their means")
        graphs.append(
            Graph("prior", _Prior(fitted), (present, scores, scale), (z,), "codes of the fitted prior", _drawn(fitted))
        )
        recipe["retry"] = {"scales": list(SCALES), "connected": float(fitted.connected[0])}
    if model.prior is not None:
        wanted = Port(
            "drawn", "mask", size[:1], ("class",), "1 for classes that get a new shape; they are in `present`, too"
        )
        removed = Port("removed", "mask", size[:1], ("class",), "1 for classes that lose their shape")
        after = Port("present", "label-set", size[:1], ("class",), "1 for the classes of the edited map")
        given = Port("map", "labels", model.resolution, ("height", "width"), labels.about)
        about = "a map with single parts drawn anew or taken away; uncovered pixels show what lies beneath, or the background"
        graphs.append(
            Graph("edit", _Edit(model), (given, after, wanted, removed, eps), (labels,), about, _edited(model))
        )
    else:
        recipe["edits"] = []
    return Exports(tuple(graphs), {**recipe, "priors": ["normal"] if fitted is None else ["fitted"]})


def _decoded(model: SegVAE, name: str) -> Any:
    def generate(present: Tensor, numbers: Tensor) -> Tensor:
        return model.flatten(model.layers(model.shapes(model.vector(present > 0), {name: numbers}))).labels.int()

    return generate


def _drawn(prior: LocalPrior) -> Any:
    def draw(present: Tensor, scores: Tensor, scale: Tensor) -> Tensor:
        return torch.stack([prior.codes(p > 0, s, w) for p, s, w in zip(present, scores, scale, strict=True)])

    return draw


def _edited(model: SegVAE) -> Any:
    def edit(labels: Tensor, present: Tensor, drawn: Tensor, removed: Tensor, eps: Tensor) -> Tensor:
        given: LayeredMap = model.layered(SemanticMap(labels.long(), model.label_space))
        plan = EditPlan(present > 0, drawn * present > 0, removed > 0, eps)
        return model.flatten(edit_layers(model, given, plan, {"eps": eps})).labels.int()

    return edit
