"""CLVAE's latents as Styles and back: drawn from a prior, read from photos, checked and completed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.families.spade.synthesizer import choose_prior
from zoo.nn.latents import reparameterize
from zoo.plugin import RngLike, SemanticMap, Style, UsageError, as_rng

if TYPE_CHECKING:
    from zoo_plugins.clvae.encoder import Codes
    from zoo_plugins.clvae.model import CLVAE

WHOLE = ""
"""In keys of random numbers: the one region of a model without class-wise latents."""


def shown_channels(model: CLVAE, semantic_map: SemanticMap) -> Tensor:
    """Which channels each map shows: bool [B, C]. Raises LabelError for a map of another label space."""
    return occurring(model.label_input.read(semantic_map.resize(model.resolution)), len(model.channels))


def occurring(channels: Tensor, count: int) -> Tensor:
    """Which of so many channels each map int64 [B, H, W] shows: bool [B, count]."""
    shown = torch.zeros(len(channels), count, dtype=torch.bool, device=channels.device)
    return shown.scatter_(1, channels.flatten(1), True)


def make(model: CLVAE, codes: Tensor, z: Tensor, present: Tensor | None, visible: Tensor | None) -> Style:
    """A Style from latents of all channels [B, C, L, N] (without class-wise ones: [B, 1, L, N]) and z [B, z_dim]."""
    if not model.config.classwise:
        tensors, axes = (
            {"z": z, "codes": codes[:, 0]},
            {"z": ("sample", "channel"), "codes": ("sample", "layer", "channel")},
        )
        return Style(tensors, axes, (), model.config.layer_names)
    axes = {"z": ("sample", "channel"), "codes": ("sample", "class", "layer", "channel")}
    return Style({"z": z, "codes": codes}, axes, model.channels, model.config.layer_names, present, visible)


def latents(model: CLVAE, style: Style) -> tuple[Tensor, Tensor]:
    """(codes [B, C, L, N], z) of a checked style."""
    codes = style.tensors["codes"]
    if not model.config.classwise:
        codes = codes[:, None].expand(-1, len(model.channels), -1, -1)
    return codes, style.tensors["z"]


def check_style(model: CLVAE, style: Style) -> None:
    """Raise UsageError for the style of another model."""
    config = model.config
    sizes = (len(config.layer_names), model.n_local)
    shape = (len(model.channels), *sizes) if config.classwise else sizes
    codes, z = style.tensors.get("codes"), style.tensors.get("z")
    classes = model.channels if config.classwise else ()
    fits = codes is not None and z is not None and tuple(codes.shape[1:]) == shape and z.shape[-1] == config.z_dim
    if not fits or style.classes != classes or style.layers != config.layer_names:
        got = ", ".join(f"{n} {list(t.shape)}" for n, t in style.tensors.items())
        raise UsageError(
            f"A style of this CLVAE holds z [samples, {config.z_dim}] and codes [samples, {', '.join(map(str, shape))}] of its classes"
            f" and layers ({', '.join(config.layer_names)}); got {got}."
        )


def class_noise(model: CLVAE, rng: RngLike, *prefix: str, classes: list[int]) -> Tensor:
    """Standard normals [B, C or 1, L, N], zeros for channels other than `classes`: keys (*prefix, class name, layer from 1)."""
    names = model.channels if model.config.classwise else (WHOLE,)
    count, size = len(model.config.layer_names), (model.n_local,)
    noise = torch.zeros(len(rng.samples), len(names), count, model.n_local)
    for index in classes:
        for layer in range(count):
            noise[:, index, layer] = rng.normal(*prefix, names[index], layer + 1, shape=size)
    return noise


def sample_prior(model: CLVAE, semantic_map: SemanticMap, rng: RngLike | int | None, prior: str | None) -> Style:
    """See `CLVAE.sample_style`."""
    fitted = model.assets.get("latent_prior")
    prior = choose_prior(prior, fitted)
    shown = shown_channels(model, semantic_map).cpu()
    if not model.config.classwise:
        shown = torch.ones(len(shown), 1, dtype=torch.bool)
    if prior == "mean":
        z = torch.zeros(len(shown), model.config.z_dim)
        codes = torch.zeros(len(shown), shown.shape[1], len(model.config.layer_names), model.n_local)
    else:
        source = as_rng(rng, len(shown))
        z = source.normal("z", shape=(model.config.z_dim,))
        codes = class_noise(model, source, classes=shown.any(0).nonzero().flatten().tolist())
    if prior != "normal" and fitted is not None:
        z, codes = apply_prior(fitted, z, codes, shown)
    codes = codes * shown[:, :, None, None]
    return make(model, codes, z, shown, shown[:, :, None].expand(-1, -1, codes.shape[2]).clone())


def apply_prior(fitted: dict[str, Tensor], z: Tensor, codes: Tensor, shown: Tensor) -> tuple[Tensor, Tensor]:
    """Standard normals as draws of the fitted Gaussians, row by row in float64: a sample must not depend on its batch."""
    mean, factor = fitted["mean"].double().cpu(), fitted["factor"].double().cpu()
    z = torch.stack([mean + factor @ row.double() for row in z]).float()
    class_mean, class_factor = fitted["class_mean"].double().cpu(), fitted["class_factor"].double().cpu()
    out = torch.zeros_like(codes)
    for sample_index, index in shown.nonzero().tolist():
        row = codes[sample_index, index].flatten().double()
        spread = class_factor[index] * row if class_factor.dim() == 2 else class_factor[index] @ row
        out[sample_index, index] = (class_mean[index] + spread).float().view_as(out[sample_index, index])
    return z, out


def from_codes(model: CLVAE, posterior: Codes, rng: RngLike | None) -> Style:
    """The style of encoded photos: the means, or with `rng` draws from the posteriors."""
    z, codes = posterior.mu.float(), posterior.class_mu.float()
    visible, present = posterior.visible, posterior.present
    if model.config.classwise:
        codes = model.dense(codes, posterior.classes)
        shape = (len(codes), len(model.channels))
        present = present.new_zeros(shape).index_copy(1, posterior.classes, present)
        visible = visible.new_zeros(*shape, visible.shape[2]).index_copy(1, posterior.classes, visible)
    if rng is not None:
        eps = rng.normal("eps", "z", shape=(model.config.z_dim,)).to(z.device)
        z = reparameterize(posterior.mu, posterior.logvar, eps)
        indices = posterior.classes.tolist() if model.config.classwise else [0]
        noise = class_noise(model, rng, "eps", classes=indices).to(codes.device)
        logvar = (
            model.dense(posterior.class_logvar.float(), posterior.classes)
            if model.config.classwise
            else posterior.class_logvar
        )
        codes = codes + noise * torch.exp(0.5 * logvar.float()) * visible[:, :, :, None]
    return make(model, codes, z, present, visible)
