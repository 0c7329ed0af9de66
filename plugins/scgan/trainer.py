"""Training of SC-GAN: the official two-step iteration, with the options of our small variant beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from zoo.data import Batch, PairData
from zoo.errors import DataError
from zoo.interfaces import Model, Trainer, Update
from zoo.maps import SemanticMap
from zoo.nn.discriminators import MultiscaleDiscriminator, split_pair
from zoo.nn.init import init_xavier
from zoo.nn.perceptual import perceptual_network
from zoo.rng import RngLike
from zoo_plugins.scgan.augment import augment, draw
from zoo_plugins.scgan.config import SCGANOptions
from zoo_plugins.scgan.losses import GeneratorOutputs, Scales, discriminator_losses, generator_losses
from zoo_plugins.scgan.model import SCGAN, reparameterize

VALIDATION_BATCH = 8


class SCGANTrainer(Trainer):
    """Per batch: a step of generator and encoder, then one of the discriminator on a fresh fake (dossier sections 6, 7).

    Random: eps of the encoder, keys ("eps", step) and ("eps-d", step), and with `diffaugment` ("augment", step).
    """

    lower_is_better: ClassVar[frozenset[str]] = frozenset({"l1"})

    def __init__(self, model: Model, options: SCGANOptions) -> None:
        super().__init__(model, options)
        self.gan = cast(SCGAN, model)
        self.options: SCGANOptions = options
        channels = self.gan.label_input.channels + 3
        self.discriminator = MultiscaleDiscriminator(
            channels, options.ndf, options.n_layers_d, options.num_d, options.norm_d
        )
        init_xavier(self.discriminator)
        self.perceptual = perceptual_network(options.perceptual)
        if self.perceptual is not None and options.channels_last:
            self.perceptual.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self._optimizers: dict[str, Optimizer] = {}

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"model": self.gan, "discriminator": self.discriminator}

    def optimizers(self) -> dict[str, Optimizer]:
        """Names: generator (with the encoder) and discriminator, both Adam."""
        if not self._optimizers:
            betas = (self.options.beta1, self.options.beta2)
            rates = self.rates(0.0, 0)
            for name, network in (("generator", self.gan), ("discriminator", self.discriminator)):
                self._optimizers[name] = Adam(network.parameters(), lr=rates[name], betas=betas)
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
            raise DataError("SC-GAN learns from photos with their maps, and this data set holds maps alone.")

    # --- one batch ------------------------------------------------------------------------------------------------

    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        planes, real = self._inputs(batch)
        draws = draw(rng, "augment", step) if self.options.diffaugment else None
        shared: list[Tensor] = []
        yield self._generator_update(planes, real, rng, step, draws, shared)
        yield self._discriminator_update(planes, real, rng, step, draws, shared)

    def _inputs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """One-hot planes and photos in [-1, 1]."""
        assert batch.images is not None  # `prepare` has seen to it
        planes, real = self.gan.planes(batch.maps), self.gan.fit_image(batch.images) * 2 - 1
        if self.options.channels_last:
            planes, real = (t.contiguous(memory_format=torch.channels_last) for t in (planes, real))
        return planes, real

    def _fake(self, planes: Tensor, real: Tensor, rng: RngLike, key: str, step: int) -> GeneratorOutputs:
        """A forward with a style drawn from the encoder's posterior (without VAE: no style)."""
        if self.gan.encoder is None:
            fake, plan = self.gan.generator(planes)
            return GeneratorOutputs(fake, plan.svg_image, None, None)
        mu, logvar = self.gan.encoder(real)
        eps = rng.normal(key, step, shape=(self.gan.config.z_dim,)).to(mu.device)
        fake, plan = self.gan.generator(planes, reparameterize(mu, logvar, eps))
        return GeneratorOutputs(fake, plan.svg_image, mu, logvar)

    def _generator_update(
        self, planes: Tensor, real: Tensor, rng: RngLike, step: int, draws: Tensor | None, shared: list[Tensor]
    ) -> Update:
        if self.perceptual is not None:
            self.perceptual.to(real.device)
        outputs = self._fake(planes, real, rng, "eps", step)
        pred_fake, pred_real = self._judge(planes, outputs.fake, real, draws, real_grad=False)
        losses = generator_losses(outputs, real, pred_fake, pred_real, self.options, self.perceptual)
        if self.options.share_fake:
            shared.append(outputs.fake.detach())
        return Update(losses, ("generator",))

    def _discriminator_update(
        self, planes: Tensor, real: Tensor, rng: RngLike, step: int, draws: Tensor | None, shared: list[Tensor]
    ) -> Update:
        if shared:
            fake = shared.pop()
        else:
            with torch.no_grad():
                fake = self._fake(planes, real, rng, "eps-d", step).fake
        pred_fake, pred_real = self._judge(planes, fake, real, draws, real_grad=True)
        losses = discriminator_losses(pred_fake, pred_real, self.options)
        scores = {"score_real": pred_real, "score_fake": pred_fake}
        logs: dict[str, Tensor | float] = {k: v[0][-1].detach().float().mean() for k, v in scores.items()}
        return Update(losses, ("discriminator",), logs)

    def _judge(
        self, planes: Tensor, fake: Tensor, real: Tensor, draws: Tensor | None, *, real_grad: bool
    ) -> tuple[Scales, Scales]:
        """The discriminator's outputs on fakes and reals; officially both in one batch, so one power iteration."""
        pairs = [torch.cat([planes, x], 1) if draws is None else augment(planes, x, draws) for x in (fake, real)]
        if real_grad or not self.options.share_fake:
            return split_pair(self.discriminator(torch.cat(pairs)))
        with torch.no_grad():  # the generator's step needs no gradient through the real half
            pred_real = self.discriminator(pairs[1])
        return self.discriminator(pairs[0]), pred_real

    def statistics(self, batch: Batch, rng: RngLike) -> None:
        planes, real = self._inputs(batch)
        self._fake(planes, real, rng, "eps", 0)

    # --- looking at it --------------------------------------------------------------------------------------------

    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        """Map, photo, fake with the photo's style, fake with a random style."""
        assert batch.images is not None
        maps = batch.maps.resize(self.gan.resolution)
        layout = self.gan.layout(maps)
        rows = {"map": maps.colorize(), "photo": self.gan.fit_image(batch.images)}
        if self.gan.encoder is None:
            return rows | {"image": self.gan.synthesize(layout)}
        encoded = self.gan.encode_style(batch.images, maps)
        drawn = self.gan.sample_style(maps, rng, prior="normal")
        rows |= {"encoded": self.gan.synthesize(layout, encoded), "random": self.gan.synthesize(layout, drawn)}
        svg = (layout.plan.svg_image.float() + 1) / 2
        return rows | {"svg": svg}

    @torch.no_grad()
    def validate(self, data: PairData) -> dict[str, float]:
        """l1: mean |image - photo| on [-1, 1] over all pairs, with the mean encoded style (lower is better)."""
        total, count = 0.0, 0
        for batch in data.batches(VALIDATION_BATCH):
            if batch.images is None:
                raise DataError("Validation of SC-GAN needs photos, and this data set holds maps alone.")
            photos = self.gan.fit_image(batch.images)
            total += 2 * F.l1_loss(self._reconstruct(batch.maps, photos).float(), photos).item() * len(photos)
            count += len(photos)
        return {"l1": total / max(count, 1)}

    def _reconstruct(self, maps: SemanticMap, photos: Tensor) -> Tensor:
        style = None if self.gan.encoder is None else self.gan.encode_style(photos, maps)
        return self.gan.synthesize(maps, style)
