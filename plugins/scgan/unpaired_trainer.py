"""Training of unpaired SC-GAN (docs/papers/scgan_unpaired.md, "Losses"): SC-GAN's two steps on photos of two domains."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from zoo.api import load
from zoo.data.domains import batch_by_domain, indices_by_domain, unpaired_order
from zoo.families.spade.discriminators import MultiscaleDiscriminator
from zoo.nn.init import init_xavier
from zoo.nn.latents import reparameterize
from zoo.nn.losses import gan_loss, kl_divergence
from zoo.nn.one_batch import batch_sum
from zoo.nn.perceptual import perceptual_loss, perceptual_network
from zoo.plugin import Batch, ConfigError, DataError, PairData, RngLike, Trainer, Update
from zoo.rng import take_rows
from zoo_plugins.scgan.generator import SCGANPlan
from zoo_plugins.scgan.svg import pool_channels
from zoo_plugins.scgan.unpaired import UnpairedSCGAN
from zoo_plugins.scgan.unpaired_config import UnpairedOptions

VALIDATION_BATCH = 8


@dataclass(frozen=True)
class Made:
    """Of sources and references [B, 3, H, W] in [-1, 1]: guided (the source in the reference's style), drawn (in a drawn one), again (the
    reference in its own). svg: the semantic vector generator's own pictures, of the sources and then of the references. logits: of the
    sources by scale. mean, logvar: of the references' styles."""

    guided: Tensor
    drawn: Tensor
    again: Tensor
    svg: Tensor
    logits: tuple[Tensor, ...]
    mean: Tensor
    logvar: Tensor


class UnpairedTrainer(Trainer):
    """Per batch, which has as many sources as references: a step of generator and encoder, then one of the discriminator.

    Random: the noise of the references' styles, keys ("eps", step) and ("eps-d", step), and the drawn ones, ("z", step) and ("z-d", step).
    """

    model: UnpairedSCGAN
    options: UnpairedOptions
    lower_is_better: ClassVar[frozenset[str]] = frozenset({"l1"})

    def __init__(self, model: UnpairedSCGAN, options: UnpairedOptions) -> None:
        super().__init__(model, options)
        o = options
        self.discriminator = MultiscaleDiscriminator(3, o.ndf, o.n_layers_d, o.num_d, o.norm_d)
        init_xavier(self.discriminator)
        self.perceptual = perceptual_network(o.perceptual, load) if o.lambda_perceptual else None
        if self.perceptual is not None and o.channels_last:
            self.perceptual.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self._optimizers: dict[str, Optimizer] = {}

    @property
    def networks(self) -> dict[str, nn.Module]:
        """`model` and `discriminator`."""
        return {"model": self.model, "discriminator": self.discriminator}

    def optimizers(self) -> dict[str, Optimizer]:
        """Names: generator (with the encoder) and discriminator, both Adam."""
        if not self._optimizers:
            rates = self.rates(0.0, 0)
            for name, network in (("generator", self.model), ("discriminator", self.discriminator)):
                self._optimizers[name] = Adam(network.parameters(), lr=rates[name], betas=self.options.betas)
        return self._optimizers

    def rates(self, epoch: float, step: int) -> dict[str, float]:
        """SC-GAN's: full, then linear decay to 0; half of `lr` for the generator, twice for the discriminator."""
        del step
        o = self.options
        # as in SC-GAN's code, where the first decay comes after epoch niter + 1
        factor = max(0.0, 1 - max(0, math.floor(epoch) - o.niter) / max(1, o.niter_decay))
        return {"generator": o.lr / 2 * factor, "discriminator": o.lr * 2 * factor}

    @property
    def samples_together(self) -> int:
        """A photo of each domain."""
        return len(self.model.channels)

    def prepare(self, data: PairData) -> None:
        """Raises DataError for data that are no domains, ConfigError for batches that do not hold as many photos of each."""
        indices_by_domain(data, self.model.channels)
        if self.options.batch_size % 2:
            raise ConfigError(
                "Batches of unpaired SC-GAN hold as many sources as references: batch_size must be a multiple of 2, got"
                f" {self.options.batch_size}."
            )

    def epoch_order(self, epoch: int, data: PairData) -> Sequence[int] | None:
        """A source and a reference in turn; an epoch ends with the longer domain, the shorter one goes on with random photos."""
        return unpaired_order(data, self.model.channels, epoch, self.options.seed, longest=True)

    # --- one batch ------------------------------------------------------------------------------------------------

    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        sources, references, rows = self._photos(batch)
        if self.perceptual is not None:
            self.perceptual.to(sources.device)
        streams = take_rows(rng, rows)
        z, made = self._draw(streams, "z", step, sources), self._made(sources, references, streams, "", step)
        yield Update(self.losses(made, sources, references, z), ("generator",))
        if not self.options.share_fake:
            with torch.no_grad():
                made = self._made(sources, references, streams, "-d", step)
        yield Update(self.discriminator_losses(made.guided, made.drawn, references), ("discriminator",))

    def _photos(self, batch: Batch) -> tuple[Tensor, Tensor, list[int]]:
        """Sources and references in [-1, 1], and whose streams of random numbers theirs are: the references'."""
        assert batch.images is not None
        rows = batch_by_domain(batch, self.model.channels)
        images = batch.images * 2 - 1
        return images[rows[0]], images[rows[1]], rows[1]

    def _draw(self, rng: RngLike, name: str, step: int, like: Tensor) -> Tensor:
        return rng.normal(name, step, shape=(self.model.config.z_dim,)).to(like.device)

    def _made(self, sources: Tensor, references: Tensor, rng: RngLike, key: str, step: int) -> Made:
        return self.forward(
            sources, references, self._draw(rng, f"eps{key}", step, sources), self._draw(rng, f"z{key}", step, sources)
        )

    def forward(self, sources: Tensor, references: Tensor, eps: Tensor, z: Tensor) -> Made:
        """One forward of encoder and generator each. eps, z: standard normals [B, z_dim]."""
        generator, count = self.model.generator, len(sources)
        mean, logvar = self.model.encoder(references)
        style = reparameterize(mean, logvar, eps)
        plan = generator.plan(torch.cat([sources, sources, references]))
        assert isinstance(plan, SCGANPlan) and plan.svg_image is not None
        guided, drawn, again = generator.render(plan, torch.cat([style, z, style])).chunk(3)
        logits = tuple(level[:count] for level in plan.logits)
        return Made(guided, drawn, again, plan.svg_image[count:], logits, mean, logvar)

    def losses(self, made: Made, sources: Tensor, references: Tensor, z: Tensor) -> dict[str, Tensor]:
        """The weighted terms of the generator's step. z: of `made.drawn`."""
        o, generator = self.options, self.model.generator
        on_guided, on_drawn = _split(self.discriminator(torch.cat([made.guided, made.drawn])), 2)
        style_again, _ = self.model.encoder(made.drawn)
        features = generator.svg.features(made.drawn)
        again = [pool_channels(f, self.model.config.n_conv) for f in features]
        recon = F.l1_loss(made.svg, torch.cat([sources, references])) * 2  # the sum over both domains
        losses = {
            "gan_guided": o.lambda_gan * gan_loss(on_guided, True, for_discriminator=False),
            "gan_drawn": o.lambda_gan * gan_loss(on_drawn, True, for_discriminator=False),
            "svg": o.lambda_recon * recon,
            "rec": o.lambda_rec * F.l1_loss(made.again, references),
            "style": o.lambda_style * F.l1_loss(style_again.float(), z),
            "content": o.lambda_content * content_distance(again, made.logits),
            "kl": o.lambda_kl * batch_sum(kl_divergence(made.mean, made.logvar)),
        }
        if self.perceptual is not None:
            losses["perceptual"] = o.lambda_perceptual * perceptual_loss(self.perceptual, made.guided, sources)
        if o.lambda_cyc:
            own, _ = self.model.encoder(sources)
            back, _ = generator(made.guided, own.float())
            losses["cyc"] = o.lambda_cyc * F.l1_loss(back, sources)
        return losses

    def discriminator_losses(self, guided: Tensor, drawn: Tensor, references: Tensor) -> dict[str, Tensor]:
        """Hinge: references are real, half of each kind of picture is not. All three in one batch, so a step is one power iteration."""
        pictures = torch.cat([guided.detach(), drawn.detach(), references])
        on_guided, on_drawn, on_real = _split(self.discriminator(pictures), 3)
        fake = [gan_loss(scores, False, for_discriminator=True) for scores in (on_guided, on_drawn)]
        return {"d_fake": 0.5 * (fake[0] + fake[1]), "d_real": gan_loss(on_real, True, for_discriminator=True)}

    def statistics(self, batch: Batch, rng: RngLike) -> None:
        """The generator's forward pass, for its batch norms."""
        sources, references, rows = self._photos(batch)
        self._made(sources, references, take_rows(rng, rows), "", 0)

    # --- looking at it --------------------------------------------------------------------------------------------

    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        """Sources, references, sources in the references' and in drawn styles, references in their own."""
        sources, references, _ = self._photos(batch)
        sources, references = (sources + 1) / 2, (references + 1) / 2
        count = len(sources)
        model, target = self.model, self.model.channels[1]
        styles = model.encode_style(references, target)
        drawn = model.sample_style(count, take_rows(rng.within("preview"), range(count)), domain=target)
        return {
            "source": sources,
            "reference": references,
            "guided": model.translate(sources, style=styles),
            "drawn": model.translate(sources, style=drawn),
            "again": model.translate(references, source=target, style=styles),
        }

    @torch.no_grad()
    def validate(self, data: PairData) -> dict[str, float]:
        """l1: mean |picture - photo| on [-1, 1] of held-out photos of the target in their own mean style (lower is better)."""
        total, count, target = 0.0, 0, self.model.channels[1]
        for batch in data.batches(VALIDATION_BATCH):
            if batch.images is None:
                raise DataError("Validation of unpaired SC-GAN needs photos, and this data set holds maps alone.")
            value = self.model.label_space.index(target)
            photos = batch.images[batch.maps.labels[:, 0, 0] == value]
            if len(photos):
                style = self.model.encode_style(photos, target)
                again = self.model.translate(photos, source=target, style=style)
                total, count = total + 2 * float(F.l1_loss(again, photos)) * len(photos), count + len(photos)
        return {"l1": total / max(count, 1)}


def content_distance(made: Sequence[Tensor], source: Sequence[Tensor]) -> Tensor:
    """L1 between the normalised logits of picture and source, which takes no gradient; mean over the scales. Each is [B, n, h, w]."""
    pairs = zip(made, source, strict=True)
    return torch.stack([F.l1_loss(_normalised(a), _normalised(b.detach())) for a, b in pairs]).mean()


def _normalised(x: Tensor) -> Tensor:
    """Mean 0 and variance 1 over the picture (eps 1e-5); of one pixel 0."""
    x = x.float()
    variance, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
    return (x - mean) * torch.rsqrt(variance + 1e-5)


def _split(outputs: list[list[Tensor]], parts: int) -> list[list[Tensor]]:
    """The score maps by scale of each part of a batch."""
    return [list(scales) for scales in zip(*(scale[-1].chunk(parts) for scale in outputs), strict=True)]
