"""GroupDNet's codes as Styles and back: drawn from the prior, read from photos, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.families.spade.synthesizer import choose_prior
from zoo.nn.latents import reparameterize
from zoo.plugin import RngLike, SemanticMap, Style, UsageError, as_rng

if TYPE_CHECKING:
    from zoo_plugins.groupdnet.model import GroupDNet

AXES = ("sample", "class", "channel", "height", "width")


def make(model: GroupDNet, codes: Tensor, present: Tensor | None) -> Style:
    """A Style from codes [S, classes, code_width, height, width]; present: which classes have one, bool [S, classes] (None: all)."""
    return Style({"codes": codes}, {"codes": AXES}, model.channels, present=present)


def check_style(model: GroupDNet, style: Style) -> None:
    """Raise UsageError for the style of another model."""
    shapes = {k: tuple(t.shape[1:]) for k, t in style.tensors.items()}
    if shapes != {"codes": model.code_shape} or style.classes != model.channels:
        got = ", ".join(f"{n} {list(t.shape)}" for n, t in style.tensors.items())
        raise UsageError(
            f"A style of this GroupDNet holds codes [samples, {', '.join(map(str, model.code_shape))}] of its classes, got {got}."
        )


def latents(model: GroupDNet, style: Style) -> Tensor:
    """Codes [S, classes * code_width, height, width]; a class without one has what the encoder gives a class that is not there."""
    codes = style.tensors["codes"].to(model.device).float()
    if style.present is not None:
        absent = model.encoder.absent().float().view(model.code_shape[0], -1, 1, 1)
        codes = torch.where(style.present.to(model.device)[:, :, None, None, None], codes, absent)
    return codes.flatten(1, 2)


def class_noise(model: GroupDNet, rng: RngLike) -> Tensor:
    """Standard normals [B, classes, code_width, height, width], keys ("codes", class): a class's depend on nothing but its name."""
    return torch.stack([rng.normal("codes", name, shape=model.code_shape[1:]) for name in model.channels], 1)


def sample_prior(model: GroupDNet, semantic_map: SemanticMap, rng: RngLike | int | None, prior: str | None) -> Style:
    """See `GroupDNet.sample_style`."""
    count = len(semantic_map)
    if choose_prior(prior, None) == "mean":
        return make(model, torch.zeros(count, *model.code_shape), None)
    return make(model, class_noise(model, as_rng(rng, count)).float(), None)


def read_style(model: GroupDNet, images: Tensor, semantic_map: SemanticMap, rng: RngLike | None) -> Style:
    """The style of photos [B, 3, H, W] in [-1, 1] with their maps: means, or with `rng` draws; zeros for classes that are not there."""
    planes = model.planes(semantic_map)[:, : len(model.channels)]
    mu, logvar = (t.float().unflatten(1, model.code_shape[:2]) for t in model.encode(images, planes))
    present = planes.flatten(2).any(2)
    codes = mu if rng is None else reparameterize(mu, logvar, class_noise(model, rng).float().to(mu.device))
    return make(model, codes * present[:, :, None, None, None], present)
