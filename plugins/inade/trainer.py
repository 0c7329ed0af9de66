"""Training of INADE: SPADE's two-step iteration with a code per instance, and fewer terms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from zoo.families.spade.discriminators import Opinion
from zoo.families.spade.losses import Outputs, generator_losses
from zoo.families.spade.trainer import GanTrainer
from zoo.nn.latents import reparameterize
from zoo.nn.losses import kl_divergence
from zoo.nn.one_batch import batch_sum
from zoo.plugin import Batch, ConfigError, Model, RngLike, SemanticMap, Style
from zoo_plugins.inade.config import InadeOptions
from zoo_plugins.inade.encoder import Posterior
from zoo_plugins.inade.instances import Shown
from zoo_plugins.inade.model import INADE


@dataclass
class InstanceOutputs(Outputs):
    """posterior: what the codes were drawn from, None without encoder; `mu` and `logvar` stay None, the divergence is ours."""

    posterior: Posterior | None = None


def divergence(posterior: Posterior, options: InadeOptions) -> Tensor:
    """The mean of the KL divergences of scales and shifts, each summed over batch, instances and numbers (as in the code), unweighted."""
    total = kl_divergence(posterior.mu, posterior.logvar) / 2
    return total / len(posterior.mu) if options.kld_mean else batch_sum(total)


class InadeTrainer(GanTrainer):
    """Per batch: a step of generator and encoder, then one of the discriminator on a fresh fake (docs/papers/inade.md, "Training").

    The planes that its methods hand on have one more, the last: each pixel's place among the codes; the discriminator does not see
    it. Random: of each sample the picture's latent and the noise of all codes, keys ("eps", step) and ("eps-d", step); with
    `diffaugment` ("augment", step).
    """

    gan: INADE  # pyright: ignore[reportIncompatibleVariableOverride]
    options: InadeOptions

    def __init__(self, model: Model, options: InadeOptions) -> None:
        """Raises ConfigError for a model that reads sketches, of which data sets have none."""
        super().__init__(model, options)
        if self.gan.config.sketch:
            raise ConfigError(
                "INADE with a sketch is not trained here, for no data set has sketches: set sketch=false."
            )

    # --- one batch ------------------------------------------------------------------------------------------------

    def _inputs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        planes, real = super()._inputs(batch)
        return torch.cat([planes, self.gan.places(batch.maps)[:, None].to(planes)], 1), real

    def _ask(self, planes: Tensor, images: Tensor, outputs: Outputs) -> Opinion:
        return super()._ask(planes[:, :-1], images, outputs)

    def _eps(self, rng: RngLike, *key: str | int) -> Tensor:
        """[B, z_dim + codes * 2 * noise_dim]: a sample's noise does not depend on which classes its batch shows."""
        config = self.gan.config
        return rng.normal(*key, shape=(config.z_dim + self.gan.codes * 2 * config.noise_dim,))

    def fake(self, planes: Tensor, real: Tensor, eps: Tensor | None, drawn: Style | None = None) -> InstanceOutputs:
        """A forward with codes drawn from the encoder's posteriors, mu + noise * sigma; without encoder with the noise itself."""
        assert eps is not None and drawn is None  # a model without a fitted prior has no `prior_half`
        config, values, eps = self.gan.config, planes[:, -1].long(), eps.to(real.device)
        z, noise = eps[:, : config.z_dim], eps[:, config.z_dim :].view(len(eps), -1, 2, config.noise_dim)
        posterior = None
        if self.gan.encoder is not None:
            shown = Shown.of(values)
            posterior = self.gan.encoder(real, shown.index, len(shown.values))
            codes = reparameterize(posterior.mu, posterior.logvar, noise[:, shown.values])
            noise = noise.index_copy(1, shown.values, codes)
        return InstanceOutputs(self.gan.generator(self.gan.plan(values), z, noise), posterior=posterior)

    def losses(self, outputs: Outputs, real: Tensor, on_fake: Opinion, on_real: Opinion) -> dict[str, Tensor]:
        o, posterior = self.options, cast(InstanceOutputs, outputs).posterior
        losses = {} if posterior is None else {"kld": o.lambda_kld * divergence(posterior, o)}
        on_fake, on_real = (
            Opinion(on.scores, [group[o.feature_layers_from :] for group in on.features]) for on in (on_fake, on_real)
        )
        matched = any(on_fake.features)
        if o.lambda_feat and not matched:  # the discriminator has no layers behind the first three
            losses["gan_feat"] = on_fake.scores[0].new_zeros(())
        options = o if matched else replace(o, lambda_feat=0.0)
        terms = generator_losses(outputs, real, on_fake, on_real, options, self.perceptual, vgg_weights=o.vgg_weights)
        return losses | terms

    # --- looking at it --------------------------------------------------------------------------------------------

    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        """As of every trainer of the family; without encoder map, photo and fake with a random style."""
        if self.gan.encoder is not None:
            return super().preview(batch, rng)
        assert batch.images is not None
        maps = batch.maps.resize(self.gan.resolution)
        drawn = self.gan.synthesize(maps, self.gan.sample_style(maps, rng))
        return {"map": maps.colorize(), "photo": self.gan.fit_image(batch.images), "random": drawn}

    def _reconstruct(self, maps: SemanticMap, photos: Tensor) -> Tensor:
        if self.gan.encoder is not None:
            maps = maps.resize((photos.shape[-2], photos.shape[-1]))
            return self.gan.synthesize(maps, self.gan.encode_style(photos, maps))
        return self.gan.synthesize(maps, self.gan.sample_style(maps, 0, prior="mean"))
