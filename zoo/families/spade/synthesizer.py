"""Synthesizers with at most one Gaussian latent per image (SPADE with and without VAE, SC-GAN): maps, styles, pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

import torch
from torch import Tensor

from zoo.data import PairData
from zoo.errors import DataError, UsageError
from zoo.families.spade.encoders import ConvEncoder
from zoo.families.spade.generator import SkeletonGenerator
from zoo.families.spade.layouts import PlanLayout, plan_with
from zoo.families.spade.window_plans import plan_windows
from zoo.interfaces.models import Asset, ImageSynthesizer, Layout, as_map, shape_fault
from zoo.interfaces.training_options import TrainingOptions
from zoo.labels import LabelSpace
from zoo.maps import SemanticMap
from zoo.nn.labels import LabelInput
from zoo.nn.latents import reparameterize
from zoo.nn.resample import fit_photos
from zoo.rng import RngLike, as_rng
from zoo.style import Style

if TYPE_CHECKING:
    from zoo.interfaces.exports import Exports

FIT_BATCH = 8


class PlanningGenerator(Protocol):
    """A generator in two halves: what depends on the map alone, and the rest."""

    def plan(self, planes: Tensor) -> Any:
        """From one-hot planes [B, planes, H, W]."""
        ...

    def render(self, plan: Any, z: Tensor | None) -> Tensor:
        """Images [B, 3, H, W] in [-1, 1]; a plan of one map serves any number of latents."""
        ...


def choose_prior(prior: str | None, fitted: object | None) -> str:
    """Which prior to draw from: normal, fitted or mean; None: fitted if that asset (`latent_prior`) exists, else normal.

    Raises UsageError for another word, and for fitted without the asset.
    """
    prior = prior or ("normal" if fitted is None else "fitted")
    if prior not in ("normal", "fitted", "mean"):
        raise UsageError(f"Prior {prior!r}: expected normal, fitted or mean.")
    if prior == "fitted" and fitted is None:
        raise UsageError("This model has no fitted prior (asset latent_prior): use the prior 'normal'.")
    return prior


def prior_fault(model: Any, tensors: Mapping[str, Tensor]) -> str:
    """What is wrong with the asset `latent_prior` of a model of this family, or ""."""
    size = model.config.z_dim
    return shape_fault(tensors, {"mean": (size,), "factor": (size, size)})


class LatentSynthesizer(ImageSynthesizer):
    """Style: tensor `z` [samples, z_dim], from N(0, I), a fitted Gaussian or the encoder; without an encoder there is none
    and the images are functions of the map. Maps of another size are resized (nearest, pixel centres) and photos too
    (bicubic, antialiased) to `resolution`; images come out at `resolution`.

    A subclass sets `title` and `layout_type`, builds `label_input`, `generator` and `encoder` (or None), and calls
    `_set_styles` at the end of its `__init__`. Its config has `z_dim`.
    """

    ASSETS: ClassVar[Mapping[str, Asset]] = {
        "latent_prior": Asset(
            "tensors",
            "Gaussian over the encoder's codes of the training photos: mean [z_dim], factor [z_dim, z_dim]",
            fault=prior_fault,
        )
    }
    title: ClassVar[str] = "synthesizer"
    layout_type: ClassVar[type[PlanLayout]] = PlanLayout
    label_input: LabelInput
    encoder: ConvEncoder | None

    def __init__(self, config: Any, space: LabelSpace, names: tuple[str, ...]) -> None:
        """names: classes in the network's channel order. The value 255, where the space allows it, takes the last channel
        (officially the "don't care" class)."""
        super().__init__(config, space)
        self.label_input = LabelInput(space, names, ignore_channel=len(names) - 1, edges=config.edges)
        self._channels = tuple(names)

    @property
    def channels(self) -> tuple[str, ...]:
        return self._channels

    @property
    def planner(self) -> PlanningGenerator:
        """The generator in its two halves."""
        return cast(PlanningGenerator, self.generator)

    def _set_styles(self) -> None:
        if self.encoder is not None:
            self.styles = frozenset({"prior", "mean", "photo"})

    def fit_asset(self, name: str, data: PairData, options: TrainingOptions) -> Any | None:
        """`latent_prior` over the photos; None for a model without VAE. Raises DataError for data without photos."""
        return fit_latent_prior(self, data) if name == "latent_prior" and self.encoder is not None else None

    def exports(self) -> Exports:
        """`render` (map and latent to picture), `prior` and `photo` (to latents)."""
        from zoo.families.spade.exports import latent_exports

        return latent_exports(self)

    # --- maps -----------------------------------------------------------------------------------------------------

    def planes(self, semantic_map: SemanticMap) -> Tensor:
        """One-hot planes float32 [B, planes, H, W] at the model's resolution, on the model's device."""
        return self.label_input(semantic_map.to(self.device).resize(self.resolution))

    def plan(self, small: SemanticMap) -> Any:
        """What `layout` holds of maps at the model's resolution: the generator's plan of their planes."""
        return self.planner.plan(self.label_input(small))

    @torch.no_grad()
    def layout(self, semantic_map: SemanticMap, *, reuse: Layout | None = None) -> PlanLayout:
        """All that the generator derives from the map alone. `reuse`: rows whose maps are equal are taken from it; by distinct
        window also what pixels have that see no change (equal to rounding, and its memory is shared).

        Meant for evaluation mode. Raises LabelError for a map of another label space.
        """
        small = semantic_map.to(self.device).resize(self.resolution)
        old = reuse if isinstance(reuse, self.layout_type) else None
        inputs = self.label_input
        if isinstance(self.generator, SkeletonGenerator) and self.generator.windowed:
            usable = old is not None and old.semantic_map.space.names == small.space.names
            before = old.plan if old is not None and usable else None
            plan = plan_windows(self.generator, inputs.values(small), inputs.content, before)
            return old if old is not None and plan is before else self.layout_type(small, plan, inputs.notes(small))
        plan = plan_with(old, small, lambda rows: self.plan(small[rows]), edges=inputs.edges)
        if old is not None and plan is old.plan:
            return old
        return self.layout_type(small, plan, inputs.notes(small))

    @torch.no_grad()
    def synthesize(
        self, semantic_map: SemanticMap | Layout, style: Style | None = None, *, rng: RngLike | int | None = None
    ) -> Tensor:
        """Images float32 [B, 3, H, W] in [0, 1]; a single map (or layout) serves a style of any number of samples.

        Without `style` a latent is drawn per map from `rng` (None: a fresh seed). Raises UsageError where the counts do not
        fit, and for a style given to a model that has none.
        """
        layout = semantic_map if isinstance(semantic_map, self.layout_type) else self.layout(as_map(semantic_map))
        if self.encoder is None:
            if style is not None:
                self._require_style()
            return self._render(layout.plan, None)
        if style is None:
            style = self.sample_style(layout.semantic_map, rng)
        if "z" not in style.tensors or style.tensors["z"].shape[-1] != self.config.z_dim:
            raise UsageError(
                f"A style of {self.title} holds a tensor z [samples, {self.config.z_dim}], got {_describe(style)}."
            )
        if len(layout) != 1:
            style = style.expand(len(layout))
        return self._render(layout.plan, style.tensors["z"].to(self.device))

    def _render(self, plan: Any, z: Tensor | None) -> Tensor:
        return (self.planner.render(plan, z) + 1) / 2

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
        prior = choose_prior(prior, fitted)
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
        return fit_photos(image.to(self.device), self.resolution)

    def style(self, z: Tensor) -> Style:
        """A Style from latents [samples, z_dim]."""
        return Style({"z": z}, {"z": ("sample", "channel")})

    def _require_style(self) -> None:
        if self.encoder is None:
            raise UsageError(
                f"This {self.title} has no style (it was built without VAE): its image depends on the map alone."
            )


@torch.no_grad()
def fit_latent_prior(model: LatentSynthesizer, data: PairData) -> dict[str, Tensor]:
    """A Gaussian with the moments of the encoder's posterior over the photos. Not random. Ours, in no paper.

    mean [z_dim]; factor [z_dim, z_dim], lower triangular, factor @ factor.T = cov(mu) + mean(sigma^2), float32.
    Raises DataError for data without photos.
    """
    means, variances = [], []
    for batch in data.batches(FIT_BATCH):
        if batch.images is None:
            raise DataError(
                f"The prior of {model.title} is fitted to codes of photos, and this data set holds maps alone."
            )
        mu, logvar = model.encode(model.fit_image(batch.images) * 2 - 1)
        means.append(mu.double().cpu())
        variances.append(logvar.double().exp().cpu())
    mu, variance = torch.cat(means), torch.cat(variances).mean(0)
    covariance = torch.cov(mu.T, correction=0) + torch.diag(variance + 1e-6)
    factor = torch.linalg.cholesky(covariance)
    return {"mean": mu.mean(0).float(), "factor": factor.float()}


def _describe(style: Style) -> str:
    return ", ".join(f"{n} {list(t.shape)}" for n, t in style.tensors.items())
