"""SC-GAN behind the zoo's interface: semantic maps to photos, with one latent per image as its style."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.data import PairData
from zoo.errors import UsageError
from zoo.interfaces import Asset, ImageSynthesizer, Layout
from zoo.labels import LabelSpace
from zoo.maps import SemanticMap
from zoo.nn.encoders import ConvEncoder
from zoo.nn.init import init_xavier
from zoo.nn.labels import LabelInput, background_last
from zoo.rng import RngLike, as_rng
from zoo.style import Style
from zoo.training.options import TrainingOptions
from zoo_plugins.scgan.config import SCGANConfig
from zoo_plugins.scgan.fitting import fit_latent_prior
from zoo_plugins.scgan.generator import Generator, Plan
from zoo_plugins.scgan.layouts import splice_plans


@dataclass(eq=False)
class SCGANLayout(Layout):
    """The map (at the model's resolution) and what the generator derives from it alone."""

    semantic_map: SemanticMap
    plan: Plan

    def __len__(self) -> int:
        return len(self.semantic_map)


class SCGAN(ImageSynthesizer):
    """SC-GAN (ICCV 2021). Style: tensor `z` [samples, z_dim], from N(0, I), a fitted Gaussian or the encoder.

    A config without VAE has no style; its images are functions of the map. Maps of another size are resized (nearest,
    pixel centres) and photos too (bicubic, antialiased) to `resolution`; images come out at `resolution`.
    """

    ASSETS: ClassVar[Mapping[str, Asset]] = {
        "latent_prior": Asset(
            "tensors", "Gaussian over the encoder's codes of the training photos: mean [z_dim], factor [z_dim, z_dim]"
        )
    }

    def __init__(self, config: SCGANConfig, space: LabelSpace) -> None:
        super().__init__(config, space)
        names = config.channels or background_last(space)
        # 255 takes the last channel, officially the "don't care" class
        self.label_input = LabelInput(space, names, ignore_channel=len(names) - 1, edges=config.edges)
        self._channels = tuple(names)
        self.generator = Generator(config, self.label_input.channels)
        self.encoder: ConvEncoder | None = None
        if config.use_vae:
            self.encoder = ConvEncoder(config.nef, config.z_dim, size=config.encoder_size, norm=config.encoder_norm)
            self.styles = frozenset({"prior", "mean", "photo"})
        init_xavier(self)

    @property
    def channels(self) -> tuple[str, ...]:
        return self._channels

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.resolution, self.config.resolution

    def fit_asset(self, name: str, data: PairData, options: TrainingOptions) -> Any | None:
        """`latent_prior` over the photos; None for a model without VAE. Raises DataError for data without photos."""
        return fit_latent_prior(self, data) if name == "latent_prior" and self.encoder is not None else None

    # --- maps -----------------------------------------------------------------------------------------------------

    def planes(self, semantic_map: SemanticMap) -> Tensor:
        """One-hot planes float32 [B, planes, H, W] at the model's resolution, on the model's device."""
        return self.label_input(semantic_map.to(self.device).resize(self.resolution))

    @torch.no_grad()
    def layout(self, semantic_map: SemanticMap, *, reuse: Layout | None = None) -> SCGANLayout:
        """Semantic vectors, SVG image and SPADE scales of the map. `reuse`: rows whose maps are equal are taken from it.

        Meant for evaluation mode. Raises LabelError for a map of another label space.
        """
        small = semantic_map.to(self.device).resize(self.resolution)
        fresh = list(range(len(small)))
        if isinstance(reuse, SCGANLayout) and len(reuse) == len(small) and small.instances is None:
            same = (reuse.semantic_map.labels.to(small.labels.device) == small.labels).flatten(1).all(1)
            fresh = [i for i, s in enumerate(same.tolist()) if not s]
            if not fresh:
                return reuse
        plan = self.generator.plan(self.label_input(small[fresh]))
        if isinstance(reuse, SCGANLayout) and len(fresh) < len(small):
            plan = splice_plans(reuse.plan, plan, fresh)
        return SCGANLayout(small, plan)

    @torch.no_grad()
    def synthesize(
        self, semantic_map: SemanticMap | Layout, style: Style | None = None, *, rng: RngLike | int | None = None
    ) -> Tensor:
        """Images float32 [B, 3, H, W] in [0, 1]; a single map (or layout) serves a style of any number of samples.

        Without `style` a latent is drawn per map from `rng` (None: a fresh seed). Raises UsageError where the counts do not
        fit, and for a style given to a model that has none.
        """
        layout = semantic_map if isinstance(semantic_map, SCGANLayout) else self.layout(_as_map(semantic_map))
        if self.encoder is None:
            if style is not None:
                raise UsageError(
                    "This SC-GAN has no style (it was built without VAE): its image depends on the map alone."
                )
            return self._render(layout.plan, None)
        if style is None:
            style = self.sample_style(layout.semantic_map, rng)
        if "z" not in style.tensors or style.tensors["z"].shape[-1] != self.config.z_dim:
            raise UsageError(
                f"An SC-GAN style holds a tensor z [samples, {self.config.z_dim}], got {_describe(style)}."
            )
        if len(layout) != 1:
            style = style.expand(len(layout))
        return self._render(layout.plan, style.tensors["z"].to(self.device))

    def _render(self, plan: Plan, z: Tensor | None) -> Tensor:
        return (self.generator.render(plan, z) + 1) / 2

    # --- styles ---------------------------------------------------------------------------------------------------

    def sample_style(
        self, semantic_map: SemanticMap, rng: RngLike | int | None = None, *, prior: str | None = None
    ) -> Style:
        """One latent per map. prior: "normal" (the paper's N(0, I)), "fitted" (needs the asset `latent_prior`), "mean" (the
        centre of the fitted prior, else zeros; nothing random), None: fitted if the asset exists.

        Random: `rng.normal("z")`. Raises UsageError for an unknown prior, a missing asset, or a model without VAE.
        """
        self._require_style()
        fitted = self.assets.get("latent_prior")
        prior = prior or ("normal" if fitted is None else "fitted")
        if prior not in ("normal", "fitted", "mean"):
            raise UsageError(f"Prior {prior!r}: expected normal, fitted or mean.")
        if prior == "fitted" and fitted is None:
            raise UsageError("This model has no fitted prior (asset latent_prior): use the prior 'normal'.")
        count, size = len(semantic_map), self.config.z_dim
        if prior == "mean":
            mean = torch.zeros(size) if fitted is None else fitted["mean"].float().cpu()
            return self.style(mean.expand(count, size).clone())
        noise = as_rng(rng, count).normal("z", shape=(size,))
        if prior == "fitted" and fitted is not None:
            # row by row in float64, so that a sample's latent does not depend on its batch
            factor, mean = fitted["factor"].double().cpu(), fitted["mean"].double().cpu()
            noise = torch.stack([mean + factor @ row.double() for row in noise]).float()
        return self.style(noise)

    @torch.no_grad()
    def encode_style(self, image: Tensor, semantic_map: SemanticMap, *, rng: RngLike | int | None = None) -> Style:
        """The latent of photos [B, 3, H, W] in [0, 1] of any size; rng None gives the mean, else mu + eps * sigma with
        eps = `rng.normal("eps")`. The map is not looked at (the encoder sees the photo alone).
        """
        mu, logvar = self.encode(self.fit_image(image) * 2 - 1)
        if rng is None:
            return self.style(mu.float())
        eps = as_rng(rng, len(mu)).normal("eps", shape=(self.config.z_dim,)).to(mu.device)
        return self.style(reparameterize(mu, logvar, eps))

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(mu, logvar), each [B, z_dim], of images in [-1, 1]."""
        self._require_style()
        assert self.encoder is not None
        return self.encoder(images)

    def fit_image(self, image: Tensor) -> Tensor:
        """Photos at the model's resolution, on its device (bicubic, antialiased, clipped to [0, 1])."""
        image = image.to(self.device, torch.float32)
        if tuple(image.shape[-2:]) == self.resolution:
            return image
        return F.interpolate(image, size=self.resolution, mode="bicubic", antialias=True, align_corners=False).clamp(
            0, 1
        )

    def style(self, z: Tensor) -> Style:
        """A Style from latents [samples, z_dim]."""
        return Style({"z": z}, {"z": ("sample", "channel")})

    def _require_style(self) -> None:
        if self.encoder is None:
            raise UsageError("This SC-GAN has no style (it was built without VAE): its image depends on the map alone.")

    def optimized(self) -> SCGAN:
        """A copy for inference: spectral norms folded, one convolution per SCC, SCN and SPADE folded with their norms."""
        from zoo_plugins.scgan.inference import fold_generator

        clone = copy.deepcopy(self).eval().requires_grad_(False)
        fold_generator(clone)
        return clone


def reparameterize(mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    """z = mu + eps * exp(logvar / 2), float32."""
    return mu.float() + eps * torch.exp(0.5 * logvar.float())


def _as_map(value: SemanticMap | Layout) -> SemanticMap:
    if isinstance(value, SemanticMap):
        return value
    raise UsageError(f"This layout ({type(value).__name__}) was made by another architecture: give the map itself.")


def _describe(style: Style) -> str:
    return ", ".join(f"{n} {list(t.shape)}" for n, t in style.tensors.items())
