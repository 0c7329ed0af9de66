"""INADE's codes as Styles and back: drawn from the prior, read from photos, copied from one instance to another, checked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.errors import did_you_mean
from zoo.families.spade.synthesizer import choose_prior
from zoo.nn.latents import reparameterize
from zoo.plugin import RngLike, SemanticMap, Style, UsageError, as_rng
from zoo_plugins.inade.instances import Shown

if TYPE_CHECKING:
    from zoo_plugins.inade.model import INADE

KINDS = ("scale", "shift")
Instance = tuple[str, int]
"""A class and the number of one of its instances, from 0."""


def make(model: INADE, z: Tensor, codes: Tensor, present: Tensor) -> Style:
    """A Style from z [S, z_dim], codes [S, classes, instances, 2, noise_dim] and which classes have one, bool [S, classes]."""
    tensors = {"z": z, **dict(zip(KINDS, codes.unbind(3), strict=True))}
    axes = {"z": ("sample", "channel"), **dict.fromkeys(KINDS, ("sample", "class", "instance", "channel"))}
    return Style(tensors, axes, model.channels, present=present)


def latents(style: Style) -> tuple[Tensor, Tensor]:
    """(z [S, z_dim], noise [S, classes * instances, 2, noise_dim]) of a checked style."""
    return style.tensors["z"], torch.stack([style.tensors[k] for k in KINDS], 3).flatten(1, 2)


def check_style(model: INADE, style: Style) -> None:
    """Raise UsageError for the style of another model."""
    config = model.config
    shape = (len(model.channels), config.instances, config.noise_dim)
    shapes = {k: tuple(t.shape[1:]) for k, t in style.tensors.items()}
    if shapes != {"z": (config.z_dim,), **dict.fromkeys(KINDS, shape)} or style.classes != model.channels:
        got = ", ".join(f"{n} {list(t.shape)}" for n, t in style.tensors.items())
        raise UsageError(
            f"A style of this INADE holds z [samples, {config.z_dim}], and scale and shift [samples, {', '.join(map(str, shape))}] of its"
            f" classes; got {got}."
        )


def class_noise(model: INADE, rng: RngLike, shown: Tensor) -> Tensor:
    """Standard normals [B, classes, instances, 2, noise_dim], 0 for classes that no map shows; keys ("noise", class).

    A class's numbers depend on nothing but its name, those of its first instances not even on how many codes there are.
    """
    size = (model.config.instances, 2, model.config.noise_dim)
    noise = torch.zeros(len(rng.samples), len(model.channels), *size)
    for index in shown.any(0).nonzero().flatten().tolist():
        noise[:, index] = rng.normal("noise", model.channels[index], shape=size)
    return noise * shown[:, :, None, None, None]


def sample_prior(model: INADE, semantic_map: SemanticMap, rng: RngLike | int | None, prior: str | None) -> Style:
    """See `INADE.sample_style`."""
    shown = model.shown(semantic_map).cpu()
    if choose_prior(prior, None) == "mean":
        size = (len(model.channels), model.config.instances, 2, model.config.noise_dim)
        return make(model, torch.zeros(len(shown), model.config.z_dim), torch.zeros(len(shown), *size), shown)
    source = as_rng(rng, len(shown))
    z = source.normal("z", shape=(model.config.z_dim,))
    return make(model, z, class_noise(model, source, shown), shown)


def read_style(model: INADE, images: Tensor, values: Tensor, rng: RngLike | None) -> Style:
    """The style of photos [B, 3, H, W] in [-1, 1] with each pixel's place among the codes: means, or with `rng` draws.

    A code beyond a photo's instances of a class repeats theirs in turn, so that maps with more of them have a style.
    """
    assert model.encoder is not None
    config, shown = model.config, Shown.of(values)
    posterior = model.encoder(images, shown.index, len(shown.values))
    pixels = torch.zeros(len(images), len(model.channels) * config.instances, dtype=torch.bool, device=images.device)
    pixels = pixels.scatter_(1, values.flatten(1), True).unflatten(1, (-1, config.instances))
    count = pixels.sum(2, keepdim=True)
    turns = torch.arange(config.instances, device=images.device) % count.clamp_min(1)

    def dense(known: Tensor) -> Tensor:
        whole = known.new_zeros(len(known), pixels[0].numel(), *known.shape[2:])
        whole = whole.index_copy(1, shown.values, known.float()).unflatten(1, (-1, config.instances))
        return whole.gather(2, turns[..., None, None].expand_as(whole))

    mu, logvar = dense(posterior.mu), dense(posterior.logvar)
    present = count[:, :, 0] > 0
    if rng is None:
        return make(model, torch.zeros(len(images), config.z_dim, device=images.device), mu, present)
    noise = class_noise(model, rng, present.cpu()).to(mu.device)
    z = rng.normal("z", shape=(config.z_dim,)).to(mu.device)
    return make(model, z, reparameterize(mu, logvar, noise) * present[:, :, None, None, None], present)


def copy_codes(style: Style, other: Style, to: Instance, of: Instance) -> Style:
    """The style with the codes of instance `of` of the other style at its instance `to`, of any class; the rest stays.

    With `other` drawn anew and `of` = `to` one object is given another look. Raises UsageError for a class or an instance that there is not.
    """
    other = other.to(style.tensors["z"].device).expand(len(style))
    places = [_place(one, instance) for one, instance in ((style, to), (other, of))]
    tensors = dict(style.tensors)
    for kind in KINDS:
        tensors[kind] = style.tensors[kind].clone()
        tensors[kind][:, *places[0]] = other.tensors[kind][:, *places[1]]
    present = style.present
    if present is not None:
        present = present.clone()
        present[:, places[0][0]] = True
    return replace(style, tensors=tensors, present=present)


def _place(style: Style, instance: Instance) -> tuple[int, int]:
    name, number = instance
    if name not in style.classes:
        raise UsageError(
            f"No style class {name!r}{did_you_mean(name, style.classes)} (here: {', '.join(style.classes)})."
        )
    if not 0 <= number < style.tensors[KINDS[0]].shape[2]:
        raise UsageError(
            f"Instance {number} of {name!r}: this style has codes 0 to {style.tensors[KINDS[0]].shape[2] - 1} of each class."
        )
    return style.classes.index(name), number
