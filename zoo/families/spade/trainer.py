"""Training of synthesizers with an encoder and a conditional discriminator: SPADE's two-step iteration.

SPADE and SC-GAN train with it; what differs between them are the generator's outputs, its losses and the discriminator.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from zoo.api import load
from zoo.data import Batch, PairData
from zoo.errors import DataError
from zoo.families.spade.diffaugment import augment, draw
from zoo.families.spade.discriminators import MultiscaleDiscriminator, Opinion, opinion
from zoo.families.spade.options import GanOptions
from zoo.families.spade.synthesizer import LatentSynthesizer
from zoo.interfaces.models import Model
from zoo.interfaces.trainers import Trainer, Update
from zoo.maps import SemanticMap
from zoo.nn.init import init_xavier
from zoo.nn.latents import reparameterize
from zoo.nn.losses import feature_l1, gan_loss, kl_divergence
from zoo.nn.perceptual import perceptual_loss, perceptual_network
from zoo.rng import RngLike

VALIDATION_BATCH = 8


@dataclass
class Outputs:
    """fake: [B, 3, H, W] in [-1, 1]; mu, logvar: [B, z_dim], None without VAE; weights: [B, 1, H, W] of the perceptual loss's
    pixels, None for 1. Subclasses add what their losses need."""

    fake: Tensor
    mu: Tensor | None = None
    logvar: Tensor | None = None
    weights: Tensor | None = None


def generator_losses(
    outputs: Outputs, real: Tensor, on_fake: Opinion, on_real: Opinion, options: GanOptions, network: nn.Module | None
) -> dict[str, Tensor]:
    """All terms of the generator step, weighted, by name. real: [-1, 1]; network: the perceptual features, or None."""
    o = options
    losses = {"gan": gan_loss(on_fake.scores, True, for_discriminator=False, mode=o.gan_mode)}
    if outputs.mu is not None and outputs.logvar is not None:
        kld = kl_divergence(outputs.mu, outputs.logvar)
        losses["kld"] = o.lambda_kld * (kld / len(real) if o.kld_mean else kld)
    if o.lambda_feat:
        losses["gan_feat"] = o.lambda_feat * feature_l1(on_fake.features, on_real.features)
    if network is not None and o.lambda_perceptual:
        losses["perceptual"] = o.lambda_perceptual * perceptual_loss(network, outputs.fake, real, outputs.weights)
    if o.lambda_l1:
        losses["l1"] = o.lambda_l1 * F.l1_loss(outputs.fake, real)
    return losses


def discriminator_losses(on_fake: Opinion, on_real: Opinion, options: GanOptions) -> dict[str, Tensor]:
    """Both terms of the discriminator step (their sum, no 1/2)."""
    return {
        "d_fake": gan_loss(on_fake.scores, False, for_discriminator=True, mode=options.gan_mode),
        "d_real": gan_loss(on_real.scores, True, for_discriminator=True, mode=options.gan_mode),
    }


class GanTrainer(Trainer):
    """Per batch: a step of generator and encoder, then one of the discriminator on a fresh fake.

    Random: eps of the encoder, keys ("eps", step) and ("eps-d", step), and with `diffaugment` ("augment", step).
    """

    lower_is_better: ClassVar[frozenset[str]] = frozenset({"l1"})

    def __init__(self, model: Model, options: GanOptions) -> None:
        super().__init__(model, options)
        self.gan = cast(LatentSynthesizer, model)
        self.options: GanOptions = options
        self.discriminator = self.build_discriminator()
        init_xavier(self.discriminator)
        self.perceptual = perceptual_network(options.perceptual, load)
        if self.perceptual is not None and options.channels_last:
            self.perceptual.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self._optimizers: dict[str, Optimizer] = {}

    # --- what a system may have otherwise -------------------------------------------------------------------------

    def build_discriminator(self) -> nn.Module:
        """The network that `opinion` asks."""
        o = self.options
        return MultiscaleDiscriminator(self.gan.label_input.channels + 3, o.ndf, o.n_layers_d, o.num_d, o.norm_d)

    def opinion(self, planes: Tensor, images: Tensor, outputs: Outputs) -> Opinion:
        """What the discriminator says of images [B, 3, H, W] in [-1, 1] with their planes. outputs: the generator's for the
        same maps (its batch may be half of B: fakes and reals of the same maps)."""
        return opinion(self.discriminator(torch.cat([planes, images], 1)))

    def outputs(self, planes: Tensor, z: Tensor | None) -> Outputs:
        """A forward of the generator."""
        generator = self.gan.planner
        return Outputs(generator.render(generator.plan(planes), z))

    def pixel_weights(self, batch: Batch) -> Tensor | None:
        """Weights [B, 1, H, W] of the pixels in the perceptual loss, or None: all 1."""
        del batch
        return None

    def losses(self, outputs: Outputs, real: Tensor, on_fake: Opinion, on_real: Opinion) -> dict[str, Tensor]:
        """The weighted terms of the generator step."""
        return generator_losses(outputs, real, on_fake, on_real, self.options, self.perceptual)

    # --- networks -------------------------------------------------------------------------------------------------

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"model": self.gan, "discriminator": self.discriminator}

    def optimizers(self) -> dict[str, Optimizer]:
        """Names: generator (with the encoder) and discriminator, both Adam."""
        if not self._optimizers:
            rates = self.rates(0.0, 0)
            for name, network in (("generator", self.gan), ("discriminator", self.discriminator)):
                self._optimizers[name] = Adam(network.parameters(), lr=rates[name], betas=self.options.betas)
        return self._optimizers

    def rates(self, epoch: float, step: int) -> dict[str, float]:
        """Full rate, then linear decay to 0: by epochs (official), or over the last `decay_last` of the steps."""
        o = self.options
        if o.decay_last > 0:
            factor = min(1.0, max(0.0, (o.steps - step) / (o.decay_last * o.steps)))
        else:
            # quirk: epochs are counted from 1 and the first decay comes after epoch niter + 1
            factor = max(0.0, 1 - max(0, math.floor(epoch) - o.niter) / max(1, o.niter_decay))
        g, d = (o.lr / 2, o.lr * 2) if o.ttur else (o.lr, o.lr)
        return {"generator": g * factor, "discriminator": d * factor}

    def prepare(self, data: PairData) -> None:
        """Raises DataError for maps without photos, before anything is written."""
        if not data.has_images:
            raise DataError(f"{self.gan.title} learns from photos with their maps, and this data set holds maps alone.")

    # --- one batch ------------------------------------------------------------------------------------------------

    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        planes, real = self._inputs(batch)
        draws = draw(rng, "augment", step) if self.options.diffaugment else None
        shared: list[Outputs] = []
        yield self._generator_update(planes, real, rng, step, draws, shared, self.pixel_weights(batch))
        yield self._discriminator_update(planes, real, rng, step, draws, shared)

    def _inputs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """One-hot planes and photos in [-1, 1]."""
        assert batch.images is not None  # `prepare` has seen to it
        planes, real = self.gan.planes(batch.maps), self.gan.fit_image(batch.images) * 2 - 1
        if self.options.channels_last:
            planes, real = (t.contiguous(memory_format=torch.channels_last) for t in (planes, real))
        return planes, real

    def fake(self, planes: Tensor, real: Tensor, eps: Tensor | None) -> Outputs:
        """A forward with a style drawn from the encoder's posterior: z = mu + eps * sigma (without VAE: no style)."""
        if self.gan.encoder is None:
            return self.outputs(planes, None)
        assert eps is not None
        mu, logvar = self.gan.encoder(real)
        outputs = self.outputs(planes, reparameterize(mu, logvar, eps.to(mu.device)))
        outputs.mu, outputs.logvar = mu, logvar
        return outputs

    def _eps(self, rng: RngLike, *key: str | int) -> Tensor | None:
        return None if self.gan.encoder is None else rng.normal(*key, shape=(self.gan.config.z_dim,))

    def _generator_update(
        self, planes: Tensor, real: Tensor, rng: RngLike, step: int, draws: Tensor | None, shared: list[Outputs],
        weights: Tensor | None,
    ) -> Update:  # fmt: skip
        if self.perceptual is not None:
            self.perceptual.to(real.device)
        outputs = self.fake(planes, real, self._eps(rng, "eps", step))
        outputs.weights = weights
        on_fake, on_real = self.judge(planes, outputs, real, draws, real_grad=False)
        losses = self.losses(outputs, real, on_fake, on_real)
        if self.options.share_fake:
            outputs.fake = outputs.fake.detach()
            shared.append(outputs)
        return Update(losses, ("generator",))

    def _discriminator_update(
        self, planes: Tensor, real: Tensor, rng: RngLike, step: int, draws: Tensor | None, shared: list[Outputs]
    ) -> Update:
        if shared:
            outputs = shared.pop()
        else:
            with torch.no_grad():
                outputs = self.fake(planes, real, self._eps(rng, "eps-d", step))
        on_fake, on_real = self.judge(planes, outputs, real, draws, real_grad=True)
        losses = discriminator_losses(on_fake, on_real, self.options)
        seen = {"score_real": on_real, "score_fake": on_fake}
        logs: dict[str, Tensor | float] = {k: v.scores[0].detach().float().mean() for k, v in seen.items()}
        return Update(losses, ("discriminator",), logs)

    def judge(
        self, planes: Tensor, outputs: Outputs, real: Tensor, draws: Tensor | None = None, *, real_grad: bool = True
    ) -> tuple[Opinion, Opinion]:
        """The discriminator's opinions of fakes and reals; officially both in one batch, so one power iteration."""
        pairs = [_augmented(planes, x, draws) for x in (outputs.fake, real)]
        if real_grad or not self.options.share_fake:
            (fake_planes, fake), (real_planes, photo) = pairs
            return self.opinion(torch.cat([fake_planes, real_planes]), torch.cat([fake, photo]), outputs).split()
        with torch.no_grad():  # the generator's step needs no gradient through the real half
            on_real = self.opinion(*pairs[1], outputs)
        return self.opinion(*pairs[0], outputs), on_real

    def statistics(self, batch: Batch, rng: RngLike) -> None:
        planes, real = self._inputs(batch)
        self.fake(planes, real, self._eps(rng, "eps", 0))

    # --- looking at it --------------------------------------------------------------------------------------------

    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        """Map, photo, fake with the photo's style, fake with a random style (without VAE: the fake)."""
        assert batch.images is not None
        maps = batch.maps.resize(self.gan.resolution)
        layout = self.gan.layout(maps)
        rows = {"map": maps.colorize(), "photo": self.gan.fit_image(batch.images)}
        if self.gan.encoder is None:
            return rows | {"image": self.gan.synthesize(layout)}
        encoded = self.gan.encode_style(batch.images, maps)
        drawn = self.gan.sample_style(maps, rng, prior="normal")
        return rows | {"encoded": self.gan.synthesize(layout, encoded), "random": self.gan.synthesize(layout, drawn)}

    @torch.no_grad()
    def validate(self, data: PairData) -> dict[str, float]:
        """l1: mean |image - photo| on [-1, 1] over all pairs, with the mean encoded style (lower is better)."""
        total, count = 0.0, 0
        for batch in data.batches(VALIDATION_BATCH):
            if batch.images is None:
                raise DataError(f"Validation of {self.gan.title} needs photos, and this data set holds maps alone.")
            photos = self.gan.fit_image(batch.images)
            total += 2 * F.l1_loss(self._reconstruct(batch.maps, photos).float(), photos).item() * len(photos)
            count += len(photos)
        return {"l1": total / max(count, 1)}

    def _reconstruct(self, maps: SemanticMap, photos: Tensor) -> Tensor:
        style = None if self.gan.encoder is None else self.gan.encode_style(photos, maps)
        return self.gan.synthesize(maps, style)


def _augmented(planes: Tensor, images: Tensor, draws: Tensor | None) -> tuple[Tensor, Tensor]:
    if draws is None:
        return planes, images
    both = augment(planes, images, draws)
    return both[:, :-3], both[:, -3:]
