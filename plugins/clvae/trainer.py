"""Training of CLVAE: SPADE's two-step iteration with latents per class and layer, and GTA-5's rebalancing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from zoo.data.rarity import Rarity
from zoo.families.spade.discriminators import Opinion
from zoo.families.spade.losses import Outputs
from zoo.families.spade.trainer import GanTrainer
from zoo.plugin import Batch, Model, PairData, RngLike, Style
from zoo_plugins.clvae.config import CLVAEOptions
from zoo_plugins.clvae.encoder import Codes
from zoo_plugins.clvae.losses import divergence
from zoo_plugins.clvae.model import CLVAE, draw_codes
from zoo_plugins.clvae.regions import find_regions
from zoo_plugins.clvae.styles import latents


@dataclass
class ClassOutputs(Outputs):
    """codes: the posteriors that the fake came from; `mu` and `logvar` stay None, the divergence is ours."""

    codes: Codes | None = None


class CLVAETrainer(GanTrainer):
    """Per batch: a step of generator and encoder, then one of the discriminator on a fresh fake (docs/papers/clvae.md, "Training").

    Random: eps of all classes and layers and of the picture, keys ("eps", step) and ("eps-d", step); as `GanTrainer`.
    """

    gan: CLVAE  # pyright: ignore[reportIncompatibleVariableOverride]
    options: CLVAEOptions

    def __init__(self, model: Model, options: CLVAEOptions) -> None:
        """Raises DataError if `rarity` names a folder without the rebalancing files."""
        super().__init__(model, options)
        self.rarity = Rarity.open(options.rarity) if options.rarity else None

    # --- one batch ------------------------------------------------------------------------------------------------

    def _eps(self, rng: RngLike, *key: str | int) -> Tensor:
        """[B, C * L * N + z_dim]: a sample's noise does not depend on which classes its batch shows."""
        local = self._local_shape
        return rng.normal(*key, shape=(local[0] * local[1] * local[2] + self.gan.config.z_dim,))

    @property
    def _local_shape(self) -> tuple[int, int, int]:
        config = self.gan.config
        return len(self.gan.channels) if config.classwise else 1, len(config.layer_names), self.gan.n_local

    def fake(self, planes: Tensor, real: Tensor, eps: Tensor | None, drawn: Style | None = None) -> ClassOutputs:
        """A forward with latents drawn from the encoder's posteriors: mu + eps * sigma, and eps alone for a class that the encoder's
        map does not show at a layer (as in the code); the last of the batch in the styles `drawn`."""
        assert eps is not None
        channels = planes.argmax(1)
        own = len(real) - (0 if drawn is None else len(drawn))
        posterior = self.gan.encoder(real[:own], channels[:own])
        eps = eps[:own].to(posterior.mu)
        local, eps_z = eps[:, : -self.gan.config.z_dim], eps[:, -self.gan.config.z_dim :]
        local = local.view(-1, *self._local_shape)
        codes, z = draw_codes(posterior, local.index_select(1, posterior.classes), eps_z)
        if self.gan.config.classwise:
            codes = local.index_copy(1, posterior.classes, codes)
        else:
            codes = self.gan.dense(codes, posterior.classes)
        if drawn is not None:
            other, other_z = latents(self.gan, drawn)
            codes, z = torch.cat([codes, other.to(codes)]), torch.cat([z, other_z.to(z)])
        return ClassOutputs(self.gan.generator(find_regions(channels), codes, z), own=own, codes=posterior)

    def losses(self, outputs: Outputs, real: Tensor, on_fake: Opinion, on_real: Opinion) -> dict[str, Tensor]:
        codes = cast(ClassOutputs, outputs).codes
        assert codes is not None
        kld = {"kld": self.options.lambda_kld * divergence(codes, self.options)}
        return kld | super().losses(outputs, real, on_fake, on_real)

    # --- rebalancing ----------------------------------------------------------------------------------------------

    def prepare(self, data: PairData) -> None:
        """Raises DataError for maps without photos, and for rebalancing files of another number of images."""
        super().prepare(data)
        if self.rarity is not None:
            self.rarity.fit(data.names)

    def epoch_order(self, epoch: int, data: PairData) -> Sequence[int] | None:
        """With `rarity`: pairs drawn by the rarity of their colours, instead of each pair once."""
        if self.rarity is None:
            return None
        o = self.options
        return self.rarity.order(o.seed, epoch, o.rarity_images, o.rarity_items)

    def pixel_weights(self, batch: Batch) -> Tensor | None:
        """With `rarity`: the rarity of each pixel's class. Quirk: not mirrored with the photo."""
        if self.rarity is None:
            return None
        assert batch.images is not None
        return torch.from_numpy(self.rarity.masks(batch.names)).to(batch.images.device)
