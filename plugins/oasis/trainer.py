"""Training of OASIS: a step of the generator, then one of the discriminator on a fresh fake (docs/papers/oasis.md, "Training")."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from zoo.families.spade.losses import Outputs
from zoo.families.spade.trainer import GanTrainer
from zoo.plugin import Batch, Model, RngLike, SemanticMap, Style
from zoo_plugins.oasis import styles
from zoo_plugins.oasis.config import OasisOptions
from zoo_plugins.oasis.discriminator import SegmentingDiscriminator
from zoo_plugins.oasis.losses import SegmentationObjective
from zoo_plugins.oasis.model import OASIS


class OasisTrainer(GanTrainer):
    """Per batch: a step of the generator, then one of the discriminator on a fresh fake with fresh noise.

    Random: the noise of both steps, keys ("eps", step) and ("eps-d", step), with noise by class also its name; the coins of LabelMix
    (`SegmentationObjective`); as `GanTrainer`.
    """

    gan: OASIS  # pyright: ignore[reportIncompatibleVariableOverride]
    options: OasisOptions

    def __init__(self, model: Model, options: OasisOptions) -> None:
        super().__init__(model, options)
        if options.discriminator == "oasis":
            self.objective = SegmentationObjective(self.discriminator, self.gan.label_input, options)

    def build_discriminator(self) -> nn.Module:
        if self.options.discriminator == "oasis":
            return SegmentingDiscriminator.of(self.gan.label_input, self.options)
        return super().build_discriminator()

    def _eps(self, rng: RngLike, *key: str | int) -> Tensor | None:
        """[B, classes, z_dim]; None without noise."""
        config = self.gan.config
        return styles.draw(self.gan, rng, *key, noise=config.noise) if config.use_noise else None

    def fake(self, planes: Tensor, real: Tensor, eps: Tensor | None, drawn: Style | None = None) -> Outputs:
        """A forward with noise [B, classes, z_dim]."""
        del real, drawn
        if eps is not None:
            noise = torch.einsum("bcz,bchw->bzhw", eps.to(planes), planes)
            planes = torch.cat([noise, planes], 1)
        return Outputs(self.gan.generator(planes))

    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        """Map, photo, and fakes with two draws of noise (without noise: the fake)."""
        assert batch.images is not None
        maps = batch.maps.resize(self.gan.resolution)
        layout = self.gan.layout(maps)
        rows = {"map": maps.colorize(), "photo": self.gan.fit_image(batch.images)}
        if not self.gan.config.use_noise:
            return rows | {"image": self.gan.synthesize(layout)}
        draws = {name: self.gan.sample_style(maps, rng.within(name)) for name in ("image", "another")}
        return rows | {name: self.gan.synthesize(layout, style) for name, style in draws.items()}

    def _reconstruct(self, maps: SemanticMap, photos: Tensor) -> Tensor:
        """Pictures for `validate`, with the same noise every time."""
        del photos
        style = self.gan.sample_style(maps, 0) if self.gan.config.use_noise else None
        return cast(OASIS, self.gan).synthesize(maps, style)
