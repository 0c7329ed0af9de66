"""Training of cgan: hinge steps of discriminator and generator in turn (SAGAN's; the paper says nothing)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from zoo.interfaces.label_sets import only
from zoo.metrics.frechet import frechet_distance
from zoo.metrics.images import image_l1
from zoo.nn.init import init_xavier
from zoo.nn.losses import gan_loss
from zoo.plugin import Batch, DataError, LabelSet, PairData, Rng, RngLike, Trainer, Update
from zoo_plugins.cgan.config import CGANTraining
from zoo_plugins.cgan.model import CGAN
from zoo_plugins.cgan.networks import Discriminator

VALIDATION_BATCH = 16
THUMBNAIL = 4


class CGANTrainer(Trainer):
    """Per batch: a discriminator step on photos and fakes of the same label sets, then a generator step on fresh fakes.

    A photo's label set is what its map shows at the model's size; the maps are not looked at otherwise.
    Random: the latents, keys ("d", step, "z") and ("g", step, "z").
    """

    model: CGAN
    options: CGANTraining
    lower_is_better: ClassVar[frozenset[str]] = frozenset({"thumbnails"})

    def __init__(self, model: CGAN, options: CGANTraining) -> None:
        super().__init__(model, options)
        self.discriminator = Discriminator(
            len(model.channels), side=model.config.side, width=options.ndf, attention=options.attention_d
        )
        init_xavier(self.discriminator, 1.0)
        self._optimizers: dict[str, Optimizer] = {}

    @property
    def networks(self) -> dict[str, nn.Module]:
        """`model` and `discriminator`."""
        return {"model": self.model, "discriminator": self.discriminator}

    def optimizers(self) -> dict[str, Optimizer]:
        """Names: generator and discriminator, both Adam."""
        if not self._optimizers:
            for name, network in (("generator", self.model), ("discriminator", self.discriminator)):
                rate = self.rates(0.0, 0)[name]
                self._optimizers[name] = Adam(network.parameters(), lr=rate, betas=self.options.betas)
        return self._optimizers

    def rates(self, epoch: float, step: int) -> dict[str, float]:
        """Constant, as in SAGAN."""
        del epoch, step
        return {"generator": self.options.lr_g, "discriminator": self.options.lr_d}

    def prepare(self, data: PairData) -> None:
        """Raises DataError for maps without photos, before anything is written."""
        if not data.has_images:
            raise DataError("cgan learns from photos with their label sets, and this data set holds maps alone.")

    # --- one batch ------------------------------------------------------------------------------------------------

    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        presence = self.model.presence(self.label_sets(batch))
        yield self._discriminator_update(batch, presence, rng.within("d", step))
        yield self._generator_update(presence, rng.within("g", step))

    def label_sets(self, batch: Batch) -> list[LabelSet]:
        """What each map of the batch shows of the model's classes."""
        return [only(s, self.model.channels) for s in batch.maps.resize(self.model.resolution).label_sets()]

    def _fake(self, presence: Tensor, rng: RngLike) -> Tensor:
        z = rng.normal("z", shape=(self.model.config.z_dim,)).to(presence.device)
        fake = self.model.generator(z, presence)
        return fake.contiguous(memory_format=torch.channels_last) if self.options.channels_last else fake

    def _photos(self, batch: Batch) -> Tensor:
        """The photos in [-1, 1]."""
        assert batch.images is not None  # `prepare` has seen to it
        photos = batch.images * 2 - 1
        return photos.contiguous(memory_format=torch.channels_last) if self.options.channels_last else photos

    def _discriminator_update(self, batch: Batch, presence: Tensor, rng: RngLike) -> Update:
        with torch.no_grad():
            fake = self._fake(presence, rng)
        # one batch, so that a step is one power iteration
        pictures = torch.cat([fake, self._photos(batch).to(fake.dtype)])
        on_fake, on_real = self.discriminator(pictures, presence.repeat(2, 1)).chunk(2)
        mode = self.options.gan_mode
        losses = {
            "d_fake": gan_loss(on_fake, False, for_discriminator=True, mode=mode),
            "d_real": gan_loss(on_real, True, for_discriminator=True, mode=mode),
        }
        scores = {"score_fake": on_fake.detach().float().mean(), "score_real": on_real.detach().float().mean()}
        return Update(losses, ("discriminator",), dict(scores))

    def _generator_update(self, presence: Tensor, rng: RngLike) -> Update:
        scores = self.discriminator(self._fake(presence, rng), presence)
        loss = gan_loss(scores, True, for_discriminator=False, mode=self.options.gan_mode)
        return Update({"g": loss}, ("generator",))

    def statistics(self, batch: Batch, rng: RngLike) -> None:
        """Fakes of the batch's label sets, for the batch norms' statistics."""
        self._fake(self.model.presence(self.label_sets(batch)), rng)

    # --- looking at it --------------------------------------------------------------------------------------------

    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        """The photos, pictures of their label sets, and the same with one latent for all: what the set alone changes."""
        assert batch.images is not None
        sets = self.label_sets(batch)
        latents = self.model.sample_latents(sets, rng.within("preview"))
        same = {"z": latents["z"][:1].expand(len(sets), -1)}
        return {
            "photo": batch.images,
            "sample": self.model.generate(sets, latents=latents),
            "same-latent": self.model.generate(sets, latents=same),
        }

    @torch.no_grad()
    def validate(self, data: PairData) -> dict[str, float]:
        """Pictures of the held-out label sets (latents of seed 0) against the held-out photos.

        thumbnails: Frechet distance between the two sets of pictures, averaged down to 4 x 4 pixels in [-1, 1]: layout and
        colours only, but without another network, and finite for few pictures (lower is better). set_effect: how much (L1 on
        [-1, 1]) a picture changes when its latent stays and it takes its neighbour's label set; 0 for a generator that does
        not listen.
        """
        real, fake, effects, seen = [], [], [], 0
        for batch in data.batches(VALIDATION_BATCH):
            if batch.images is None:
                raise DataError("Validation of cgan needs photos, and this data set holds maps alone.")
            sets = self.label_sets(batch)
            latents = self.model.sample_latents(sets, Rng(0, range(seen, seen + len(batch))).within("validate"))
            pictures = self.model.generate(sets, latents=latents)
            other = self.model.generate([*sets[1:], sets[0]], latents=latents)
            effects.append(image_l1(pictures, other).cpu())
            real.append(_thumbnails(batch.images))
            fake.append(_thumbnails(pictures))
            seen += len(batch)
        return {
            "thumbnails": frechet_distance(torch.cat(fake), torch.cat(real), correction=0),
            "set_effect": float(torch.cat(effects).mean()),
        }


def _thumbnails(pictures: Tensor) -> Tensor:
    """[B, 3, H, W] in [0, 1] -> float64 [B, 48] in [-1, 1]."""
    return F.adaptive_avg_pool2d(pictures.float(), THUMBNAIL).flatten(1).cpu().double() * 2 - 1
