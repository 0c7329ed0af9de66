"""The graphs of mask-vae: label set and codes to map, map to codes, and the fitted prior of whole faces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.interfaces.exports import Exports, Graph, Port
from zoo.interfaces.presence import label_sets
from zoo.plugin import SemanticMap
from zoo_plugins.mask_vae.networks import with_background
from zoo_plugins.mask_vae.outlines import Outlines, blurred

if TYPE_CHECKING:
    from zoo_plugins.mask_vae.model import SemanticVAE
    from zoo_plugins.mask_vae.prior import LatentPrior


class _Outlined(nn.Module):
    """`Outlines.classes` of many maps at once: scores [B, P, H, W] and parts [B, P] -> classes int64 [B, H, W]."""

    offsets: Tensor
    places: Tensor

    def __init__(self, outlines: Outlines, rule: str, side: int) -> None:
        super().__init__()
        self.sigma, self.rule = float(outlines.sigma), rule
        self.least: list[int] = outlines.least.tolist()
        self.register_buffer("offsets", outlines.offsets.float())
        places = F.interpolate(outlines.places[None].float(), size=(side, side), mode="nearest")[0] > 0
        self.register_buffer("places", places)

    def forward(self, scores: Tensor, present: Tensor) -> Tensor:
        scores = blurred(scores, self.sigma)
        total = scores.sum(1)
        floor = (total <= 0).float() if self.rule == "sum" else torch.zeros_like(total)
        scores = scores + self.offsets[:, None, None]
        scores = torch.where(present[:, :, None, None] > 0, scores, -1e30)
        top, number = scores.max(1)
        found = torch.where(floor >= top, 0, number + 1)
        for part, least in enumerate(self.least):
            if least > 0:
                lost = (present[:, part] > 0) & ~(found == part + 1).flatten(1).any(1)
                found = self._forced(found, scores[:, part] - torch.maximum(floor, top), part, least, lost)
        return found

    def _forced(self, found: Tensor, margin: Tensor, part: int, least: int, lost: Tensor) -> Tensor:
        """Where a part is lost, its best pixels around the best of all, at its places."""
        side = found.shape[-1]
        margin = torch.where(self.places[part], margin, -1e30)
        best = margin.flatten(1).argmax(1)
        row, column = (best // side)[:, None, None], (best % side)[:, None, None]
        y, x = torch.arange(found.shape[-2])[:, None], torch.arange(side)[None]
        near = (y - row) * (y - row) + (x - column) * (x - column) <= max(least, 2)
        values, chosen = torch.where(near, margin, -1e30).flatten(1).topk(least, 1)
        flat = found.flatten(1)
        new = torch.where((values > -1e29) & lost[:, None], part + 1, flat.gather(1, chosen))
        return flat.scatter(1, chosen, new).view_as(found)


class _Generate(nn.Module):
    values: Tensor

    def __init__(self, model: SemanticVAE) -> None:
        super().__init__()
        self.generator, self.rule = model.generator, model.config.background
        self.register_buffer("values", model.values.int())
        outlines = model.outlines
        self.outlined = None if outlines is None else _Outlined(outlines, self.rule, model.config.side)

    def forward(self, present: Tensor, z: Tensor, h0: Tensor | None = None, c0: Tensor | None = None) -> Tensor:
        scores = self.generator(z, h0, c0)
        if self.outlined is not None:
            return self.values[self.outlined(scores, present)]
        logits = with_background(scores, self.rule)
        parts = torch.where(present[:, :, None, None] > 0, logits[:, 1:], -1e30)
        return self.values[torch.cat([logits[:, :1], parts], 1).argmax(1)]


class _Encode(nn.Module):
    values: Tensor

    def __init__(self, model: SemanticVAE) -> None:
        super().__init__()
        self.encoder = model.encoder
        self.register_buffer("values", model.values[1:].int())

    def forward(self, labels: Tensor) -> Tensor:
        side = self.encoder.side
        small = F.interpolate(labels[:, None].float(), size=(side, side), mode="nearest")[:, 0].int()
        return self.encoder((small[:, None] == self.values[:, None, None]).float())[0]


class _Prior(nn.Module):
    """Draws of all present parts, none given, in float64; absent parts have the empty code."""

    def __init__(self, prior: LatentPrior, empty: Tensor) -> None:
        super().__init__()
        self.empty: Tensor
        self.register_buffer("factor", prior._factor(None)[0])
        for name, value in (("mean", prior.mean), ("residual", prior.residual), ("empty", empty)):
            self.register_buffer(name, value.double())
        self.register_buffer("basis", prior.basis * prior.std[:, :, None])

    def forward(self, present: Tensor, scores: Tensor, rest: Tensor) -> Tensor:
        s = (scores.double().flatten(1) @ self.factor.T).view(scores.shape)  # type: ignore[operator, union-attr]
        drawn = self.mean + torch.einsum("bpk,pke->bpe", s, self.basis.double()) + self.residual * rest.double()  # type: ignore[operator]
        return torch.where(present[:, :, None] > 0, drawn, self.empty).float()


def exports(model: SemanticVAE) -> Exports:
    """`generate`, `encode` and, with a fitted prior, `prior`; edits change codes between `encode` and `generate`."""
    c, names = model.config, model.channels
    size = (len(names), c.latent)
    labels = Port(
        "labels", "labels", model.resolution, ("height", "width"), f"class numbers of {model.label_space.name}"
    )
    present = Port("present", "label-set", size[:1], ("class",), "1 for the classes that the map shall show")
    z = Port(
        "z", "latents", size, ("class", "channel"), "codes of the parts; an absent part has the code of an empty plane"
    )
    states: tuple[Port, ...] = ()
    if c.lstm_layers:
        shape = (c.lstm_layers * c.directions, c.latent)
        states = tuple(
            Port(n, "latents", shape, ("layer", "channel"), "start state of the LSTM; zeros with the fitted prior")
            for n in ("h0", "c0")
        )

    def generate(shown: Tensor, code: Tensor, *state: Tensor) -> Tensor:
        h0, c0 = state or (None, None)
        given = model.start_states(len(code), None) if h0 is None else {"h0": h0, "c0": c0}
        sets = label_sets(shown > 0, model.label_space, names)
        return model.decode({"z": code, **given}, label_sets=sets).labels.int()  # type: ignore[dict-item]

    def encode(numbers: Tensor) -> Tensor:
        return model.encode(SemanticMap(numbers.long(), model.label_space))["z"]

    graphs = [
        Graph("generate", _Generate(model), (present, z, *states), (labels,), "the map of a label set", generate),
        Graph("encode", _Encode(model), (labels,), (z,), "the mean codes of a map's parts", encode),
    ]
    empty = model.empty_code()
    recipe: dict[str, Any] = {"procedure": "codes", "edits": sorted(model.edits), "zeros": [p.name for p in states]}
    tensors: dict[str, Tensor] = {"empty": empty}
    prior = model.prior
    if prior is not None:
        scores = Port("scores", "normal", tuple(prior.std.shape), ("class", "channel"), "standard normals of the components",
                      tuple(("score", n) for n in names))  # fmt: skip
        rest = Port(
            "rest",
            "normal",
            size,
            ("class", "channel"),
            "standard normals of the rest",
            tuple(("rest", n) for n in names),
        )

        def draw(shown: Tensor, s: Tensor, r: Tensor) -> Tensor:
            wanted = shown > 0
            return prior.draw(s, r, wanted, torch.zeros_like(wanted), empty.expand(len(s), *size))

        about = "codes of the fitted prior for the present parts"
        graphs.append(Graph("prior", _Prior(prior, empty), (present, scores, rest), (z,), about, draw))
        tensors |= {f"prior.{n}": t for n, t in prior.tensors().items() if n != "counts"}
    else:
        recipe["normal"] = {"z": [["z", n] for n in names], **{p.name: [[p.name]] for p in states if c.random_state}}
    return Exports(tuple(graphs), {**recipe, "priors": ["normal"] if prior is None else ["fitted"]}, tensors)
