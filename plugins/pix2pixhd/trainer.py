"""Training of pix2pixHD: both steps on one fake, three passes of the discriminator."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from zoo.api import load
from zoo.families.pix2pixhd.losses import discriminator_losses, generator_losses
from zoo.families.spade.diffaugment import augmented, draw
from zoo.families.spade.discriminators import MultiscaleDiscriminator, Opinion
from zoo.families.spade.losses import Outputs
from zoo.families.spade.trainer import GanTrainer
from zoo.nn.init import init_normal
from zoo.nn.takeover import take_over
from zoo.plugin import Batch, ConfigError, Model, RngLike, SemanticMap, Update
from zoo_plugins.pix2pixhd.config import Pix2PixHDOptions
from zoo_plugins.pix2pixhd.model import Pix2PixHD
from zoo_plugins.pix2pixhd.pool import ImagePool
from zoo_plugins.pix2pixhd.regions import paint_regions


class Pix2PixHDTrainer(GanTrainer):
    """Per batch: a step of generator and encoder, then one of the discriminator on the same fake, or on one of the pool.

    With `niter_fix_global` what lies inside the outermost enhancer has an optimizer of its own (`inner`), whose rate is 0 at first.
    Random: with `diffaugment` ("augment", step), with `pool_size` ("pool", step).
    """

    options: Pix2PixHDOptions

    def __init__(self, model: Model, options: Pix2PixHDOptions) -> None:
        """Raises ConfigError for options that the network's config does not allow, UsageError for a `load_pretrain` that does not fit."""
        super().__init__(model, options)
        synthesizer = self.synthesizer
        if options.niter_fix_global and not synthesizer.config.enhancers:
            raise ConfigError(
                "niter_fix_global trains the local enhancer alone, and this network has none: set it to 0, or generator=local."
            )
        if options.load_features and synthesizer.encoder is None:
            raise ConfigError("load_features keeps the encoder as it is, and features=none has no encoder.")
        if options.load_pretrain:
            take_over(synthesizer, load(options.load_pretrain), options.load_pretrain)
        channels = synthesizer.label_input.channels + 3
        shape = (channels, *synthesizer.resolution)
        self.pool = ImagePool(options.pool_size, shape) if options.pool_size else None

    @property
    def synthesizer(self) -> Pix2PixHD:
        """The model."""
        return cast(Pix2PixHD, self.model)

    # --- networks -------------------------------------------------------------------------------------------------

    def build_discriminator(self) -> nn.Module:
        """On planes (without the style) and photo; convolutions have biases in front of norms too."""
        o, channels = self.options, self.synthesizer.label_input.channels + 3
        return MultiscaleDiscriminator(channels, o.ndf, o.n_layers_d, o.num_d, o.norm_d, bias=True)

    def initialise(self, discriminator: nn.Module) -> None:
        init_normal(discriminator)

    @property
    def networks(self) -> dict[str, nn.Module]:
        return super().networks | ({} if self.pool is None else {"pool": self.pool})

    def parameters(self) -> dict[str, list[nn.Parameter]]:
        """Names: generator (with the encoder, unless `load_features`), discriminator, with `niter_fix_global` inner too."""
        outermost = f"generator.model{self.synthesizer.config.enhancers}_"
        chosen: dict[str, list[nn.Parameter]] = {
            "generator": [],
            "discriminator": list(self.discriminator.parameters()),
        }
        for name, parameter in self.synthesizer.named_parameters():
            if name.startswith("encoder."):
                owner = "" if self.options.load_features else "generator"
            else:
                owner = "inner" if self.options.niter_fix_global and not name.startswith(outermost) else "generator"
            if owner:
                chosen.setdefault(owner, []).append(parameter)
        return chosen

    def rates(self, epoch: float, step: int) -> dict[str, float]:
        """As of `GanTrainer`; what is fixed for `niter_fix_global` epochs has the rate 0 for so long."""
        rates = super().rates(epoch, step)
        if self.options.niter_fix_global:
            rates["inner"] = 0.0 if math.floor(epoch) < self.options.niter_fix_global else rates["generator"]
        return rates

    # --- one batch ------------------------------------------------------------------------------------------------

    def paint(self, planes: Tensor, real: Tensor, regions: Tensor) -> Outputs:
        """A forward in the photos' own styles. planes: without the style; regions: as the model's."""
        if self.synthesizer.encoder is None:
            return Outputs(self.synthesizer.generator(planes))
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.options.load_features):
            rows, _ = self.synthesizer.pooled(real, regions)
            style = paint_regions(rows, regions)
        return Outputs(self.synthesizer.generator(torch.cat([planes, style.to(planes)], 1)))

    def opinions(
        self, planes: Tensor, outputs: Outputs, real: Tensor, draws: Tensor | None, pool_draws: Tensor | None
    ) -> tuple[Opinion, Opinion, Opinion]:
        """Of the fakes that the discriminator learns from, of the photos, and of the fakes as the generator learns from them.

        Quirk: three passes one after the other, in this order, which a discriminator with batch norms notices.
        """
        shown, fake = augmented(planes, outputs.fake, draws, self.options.cutout)
        detached = fake.detach()
        if self.pool is not None:
            assert pool_draws is not None
            pooled = self.pool.query(torch.cat([shown, detached], 1), pool_draws)
            on_old = self._ask(pooled[:, :-3], pooled[:, -3:], outputs)
        else:
            on_old = self._ask(shown, detached, outputs)
        on_real = self._ask(*augmented(planes, real, draws, self.options.cutout), outputs)
        return on_old, on_real, self._ask(shown, fake, outputs)

    def losses(self, outputs: Outputs, real: Tensor, on_fake: Opinion, on_real: Opinion) -> dict[str, Tensor]:
        return generator_losses(outputs, real, on_fake, on_real, self.options, self.perceptual)

    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        planes, real = self._inputs(batch)
        for network in self._frozen:
            network.to(real.device)
        draws = draw(rng, "augment", step) if self.options.diffaugment else None
        pool_draws = None if self.pool is None else rng.uniform("pool", step, shape=(2,))
        outputs = self.paint(planes, real, self.synthesizer.regions(batch.maps))
        on_old, on_real, on_fake = self.opinions(planes, outputs, real, draws, pool_draws)
        losses = self.losses(outputs, real, on_fake, on_real) | self.feature_losses(outputs, real, batch.maps)
        yield Update(losses, tuple(n for n in self.optimizers() if n != "discriminator"))
        seen = {"score_real": on_real, "score_fake": on_old}
        logs: dict[str, Tensor | float] = {k: v.scores[0].detach().float().mean() for k, v in seen.items()}
        yield Update(discriminator_losses(on_old, on_real, self.options), ("discriminator",), logs)

    def statistics(self, batch: Batch, rng: RngLike) -> None:
        planes, real = self._inputs(batch)
        self.paint(planes, real, self.synthesizer.regions(batch.maps))

    # --- looking at it --------------------------------------------------------------------------------------------

    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        """Map, photo, and the picture, with features in the photo's own styles."""
        assert batch.images is not None
        maps, photos = batch.maps.resize(self.synthesizer.resolution), self.synthesizer.fit_image(batch.images)
        return {"map": maps.colorize(), "photo": photos, "image": self._reconstruct(maps, photos)}

    def _reconstruct(self, maps: SemanticMap, photos: Tensor) -> Tensor:
        small = maps.resize(self.synthesizer.resolution)
        style = None if self.synthesizer.encoder is None else self.synthesizer.encode_style(photos, small)
        return self.synthesizer.synthesize(small, style)
