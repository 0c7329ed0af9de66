"""SEAN's style codes as Styles and back: of photos, the mean of the training photos, checked and completed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.plugin import RngLike, Style, UsageError, as_rng

if TYPE_CHECKING:
    from zoo_plugins.sean.model import SEAN


def make(model: SEAN, codes: Tensor, edges: Tensor | None, present: Tensor, rng: RngLike | None) -> Style:
    """A Style from codes [samples, classes, S] and of the edges' region [samples, S]: the same for all layers."""
    layers = model.config.layer_names
    tensors = {"codes": codes[:, :, None].expand(-1, -1, len(layers), -1).contiguous()}
    axes: dict[str, tuple[str, ...]] = {"codes": ("sample", "class", "layer", "channel")}
    if edges is not None:
        tensors["edges"] = edges[:, None].expand(-1, len(layers), -1).contiguous()
        axes["edges"] = ("sample", "layer", "channel")
    return Style(tensors, axes, model.channels, layers, present, rng=rng)


def from_codes(model: SEAN, codes: Tensor, present: Tensor, rng: RngLike | None) -> Style:
    """The style of encoded photos: codes [samples, planes, S], present [samples, planes]."""
    classes = len(model.channels)
    edges = codes[:, classes] if model.config.edges else None
    return make(model, codes[:, :classes], edges, present[:, :classes], rng)


def mean_style(model: SEAN, count: int, rng: RngLike | int | None, prior: str | None) -> Style:
    """See `SEAN.sample_style`."""
    if prior not in (None, "mean"):
        raise UsageError(f'SEAN has no prior {prior!r}: its style comes from a photo (<<style="PHOTO::MASK.png">>).')
    if "mean_style" not in model.assets:
        raise UsageError(
            'SEAN takes its style from a photo (<<style="PHOTO::MASK.png">>): it has no prior, and no asset mean_style'
            " (`zoo fit MODEL mean_style --data …` makes it)."
        )
    mean = model.assets["mean_style"]
    codes, present = (t.cpu().expand(count, *t.shape) for t in (mean["codes"].float(), mean["photos"] > 0))
    return from_codes(model, codes, present.clone(), as_rng(rng, count))


def check_style(model: SEAN, style: Style) -> None:
    """Raise UsageError for the style of another model."""
    layers, size = model.config.layer_names, model.config.style_dim
    shapes: dict[str, tuple[int, ...]] = {"codes": (len(model.channels), len(layers), size)}
    if model.config.edges:
        shapes["edges"] = (len(layers), size)
    fits = {name: tuple(t.shape[1:]) for name, t in style.tensors.items()} == shapes
    if not fits or style.classes != model.channels or style.layers != layers:
        got = ", ".join(f"{n} {list(t.shape)}" for n, t in style.tensors.items())
        wanted = " and ".join(f"{n} [samples, {', '.join(map(str, s))}]" for n, s in shapes.items())
        raise UsageError(f"A style of this SEAN holds {wanted} of its classes and layers, got {got}.")


def region_codes(model: SEAN, style: Style) -> Tensor:
    """The codes of all regions, [samples, planes, layers, S], of a checked style: what is absent takes the mean where there is one."""
    mean = mean_style(model, 1, 0, "mean").to(style.tensors["codes"].device) if "mean_style" in model.assets else None
    codes = (style if mean is None else style.fill(mean)).tensors["codes"]
    if not model.config.edges:
        return codes
    edges = style.tensors["edges"]
    if mean is not None:  # a photo without edges has zeros there
        edges = torch.where(edges.any(-1, keepdim=True), edges, mean.tensors["edges"].to(edges))
    return torch.cat([codes, edges[:, None]], 1)
