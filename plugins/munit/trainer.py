"""Training of MUNIT: per batch a step of both discriminators, then one of both domains' encoders and decoders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from zoo.data.domains import batch_by_domain, indices_by_domain, unpaired_order
from zoo.plugin import Batch, ConfigError, PairData, RngLike, Trainer, Update
from zoo_plugins.munit.config import MunitOptions
from zoo_plugins.munit.discriminator import (
    MultiscaleDiscriminator,
    discriminator_loss,
    fewest_pixels,
    generator_loss,
)
from zoo_plugins.munit.generator import Generator
from zoo_plugins.munit.initial import initialise, start_discriminator
from zoo_plugins.munit.model import MUNIT, NAMES
from zoo_plugins.munit.perceptual import VGG16Features, perceptual_loss

VALIDATION_BATCH = 8
Pair = tuple[Tensor, Tensor]
"""Of domain a and of domain b."""


class Codes(NamedTuple):
    """Contents and styles of photos, each of a and b."""

    content: Pair
    style: Pair


class MunitTrainer(Trainer):
    """Photos of both domains, as many of one as of the other, come in turn (`zoo.data.domains.unpaired_order`).

    Random: styles for the discriminators' step ("dis", step, "style") and others for the generators' ("gen", step, "style"), of each
    photo's own stream: the style for translations into a photo's domain.
    """

    model: MUNIT
    options: MunitOptions
    lower_is_better: ClassVar[frozenset[str]] = frozenset({"recon_l1", "cycle_l1"})

    def __init__(self, model: MUNIT, options: MunitOptions) -> None:
        """Raises ConfigError for photos that are too small for the discriminators and for `vgg_w` without `vgg`, WeightsError for a `vgg` that is no VGG16."""
        super().__init__(model, options)
        if min(model.resolution) < fewest_pixels(options):
            raise ConfigError(
                f"Photos of {model.resolution[0]} px are too small for discriminators with num_scales={options.num_scales} and"
                f" n_layer={options.n_layer}, which need {fewest_pixels(options)} px: set fewer scales or layers."
            )
        if options.vgg_w and not options.vgg:
            raise ConfigError(
                f'vgg_w={options.vgg_w:g} needs the authors\' VGG16 of Caffe: name its file (<<changes={{"vgg": "FILE"}}>>), or go'
                ' without (<<changes={"vgg_w": 0}>>).'
            )
        if options.init != "kaiming":  # with which a model starts anyway
            initialise(model, options.init)
        self.discriminator = nn.ModuleDict({name: MultiscaleDiscriminator.of(options) for name in NAMES})
        start_discriminator(self.discriminator)
        self.perceptual = VGG16Features.read(options.vgg) if options.vgg_w else None
        self._optimizers: dict[str, Optimizer] = {}

    @property
    def networks(self) -> dict[str, nn.Module]:
        """`model` and `discriminator`, which holds that of each domain."""
        return {"model": self.model, "discriminator": self.discriminator}

    def optimizers(self) -> dict[str, Optimizer]:
        """`discriminator` and `generator`, an Adam with weight decay for both domains each."""
        if not self._optimizers:
            o = self.options
            for name, network in (("discriminator", self.discriminator), ("generator", self.model)):
                self._optimizers[name] = Adam(
                    network.parameters(), lr=o.lr, betas=(o.beta1, o.beta2), weight_decay=o.weight_decay
                )
        return self._optimizers

    def rates(self, epoch: float, step: int) -> dict[str, float]:
        """lr * gamma ** floor(i / step_size) in iteration i, counted from 1: the authors' schedulers step first."""
        o = self.options
        rate = o.lr * o.gamma ** ((step + 1) // o.step_size) if o.lr_policy == "step" else o.lr
        return {"discriminator": rate, "generator": rate}

    @property
    def samples_together(self) -> int:
        """A photo of each domain."""
        return len(self.model.channels)

    def prepare(self, data: PairData) -> None:
        """Raises DataError for data without photos of both domains, before anything is written."""
        indices_by_domain(data, self.model.channels)

    def epoch_order(self, epoch: int, data: PairData) -> Sequence[int]:
        """Both domains shuffled independently; an epoch ends with the shorter one."""
        return unpaired_order(data, self.model.channels, epoch, self.options.seed)

    # --- one batch ------------------------------------------------------------------------------------------------

    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        x_a, x_b = self._photos(batch)
        yield self.discriminator_update((x_a, x_b), self._styles(batch, rng.within("dis", step), x_a))
        yield self.generator_update((x_a, x_b), self._styles(batch, rng.within("gen", step), x_a))

    def _photos(self, batch: Batch) -> Pair:
        """The photos of each domain in [-1, 1]."""
        rows = batch_by_domain(batch, self.model.channels)
        assert batch.images is not None
        images = batch.images * 2 - 1
        if self.options.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return images[rows[0]], images[rows[1]]

    def _styles(self, batch: Batch, rng: RngLike, like: Tensor) -> Pair:
        """Drawn styles for the translations into a and into b."""
        drawn = rng.normal("style", shape=(self.model.config.style_dim,)).to(like)
        a, b = batch_by_domain(batch, self.model.channels)
        return drawn[a], drawn[b]

    @property
    def _generators(self) -> tuple[Generator, Generator]:
        a, b = (cast(Generator, self.model.generators[name]) for name in NAMES)
        return a, b

    def _judge(self, name: str, images: Tensor) -> list[Tensor]:
        return self.discriminator[name](images)

    def encode(self, photos: Pair) -> Codes:
        """Each domain's photos by its own encoders."""
        (c_a, s_a), (c_b, s_b) = (g.encode(x) for g, x in zip(self._generators, photos, strict=True))
        return Codes((c_a, c_b), (s_a, s_b))

    def translate(self, content: Pair, styles: Pair) -> Pair:
        """(b as a, a as b): the other domain's content in styles of a and of b."""
        gen_a, gen_b = self._generators
        return gen_a.decode(content[1], styles[0]), gen_b.decode(content[0], styles[1])

    def discriminator_update(self, photos: Pair, styles: Pair) -> Update:
        """Translations against photos; each discriminator sees the fakes first (with spectral norm the order matters)."""
        with torch.no_grad():
            content = self._generators[0].enc_content(photos[0]), self._generators[1].enc_content(photos[1])
            fakes = self.translate(content, styles)
        losses: dict[str, Tensor] = {}
        logs: dict[str, Tensor | float] = {}
        for name, fake, real in zip(NAMES, fakes, photos, strict=True):
            on_fake, on_real = self._judge(name, fake), self._judge(name, real)
            losses[f"dis_{name}"] = self.options.gan_w * discriminator_loss(on_fake, on_real, self.options.gan_type)
            logs |= {f"score_fake_{name}": on_fake[0].detach().mean(), f"score_real_{name}": on_real[0].detach().mean()}
        return Update(losses, ("discriminator",), logs)

    def generator_update(self, photos: Pair, styles: Pair) -> Update:
        """All losses of section 3 with their weights."""
        terms, _ = self.terms(photos, styles)
        losses = {name: self.weights[name.rpartition("_")[0]] * value for name, value in terms.items()}
        return Update(losses, ("generator",))

    @property
    def weights(self) -> dict[str, float]:
        """Of each loss of the generators, by its name without the domain."""
        o = self.options
        return {
            "recon_x": o.recon_x_w,
            "recon_s": o.recon_s_w,
            "recon_c": o.recon_c_w,
            "adv": o.gan_w,
            "cyc": o.recon_x_cyc_w,
            "vgg": o.vgg_w,
        }

    def terms(self, photos: Pair, styles: Pair) -> tuple[dict[str, Tensor], Pair]:
        """The generators' losses without their weights, `NAME_a` and `NAME_b`, and the translations. Contents are no fixed targets:
        nothing is detached (quirk kept)."""
        o, (gen_a, gen_b) = self.options, self._generators
        codes = self.encode(photos)
        recon = gen_a.decode(codes.content[0], codes.style[0]), gen_b.decode(codes.content[1], codes.style[1])
        fakes = self.translate(codes.content, styles)
        again = self.encode(fakes)
        contents_again = again.content[1], again.content[0]  # of a, which lies in b's photos now, and of b
        terms: dict[str, Tensor] = {}
        for i, name in enumerate(NAMES):
            terms[f"recon_x_{name}"] = F.l1_loss(recon[i].float(), photos[i].float())
            terms[f"recon_s_{name}"] = F.l1_loss(again.style[i].float(), styles[i].float())
            terms[f"recon_c_{name}"] = F.l1_loss(contents_again[i].float(), codes.content[i].float())
            terms[f"adv_{name}"] = generator_loss(self._judge(name, fakes[i]), o.gan_type)
        if o.recon_x_cyc_w > 0:
            for i, (name, generator) in enumerate(zip(NAMES, (gen_a, gen_b), strict=True)):
                back = generator.decode(contents_again[i], codes.style[i])
                terms[f"cyc_{name}"] = F.l1_loss(back.float(), photos[i].float())
        if self.perceptual is not None:
            self.perceptual.to(photos[0].device)
            for i, name in enumerate(NAMES):
                terms[f"vgg_{name}"] = perceptual_loss(self.perceptual, fakes[i], photos[1 - i])
        return terms, fakes

    # --- looking at it --------------------------------------------------------------------------------------------

    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        """Of each domain the photos, what their own codes give, and two translations in drawn styles (as `sample` of the authors)."""
        photos = self._photos(batch)
        codes = self.encode(photos)
        rows: dict[str, Tensor] = {}
        for i, (name, domain) in enumerate(zip(NAMES, self.model.channels, strict=True)):
            other = self.model.channels[1 - i]
            own = self._generators[i].decode(codes.content[i], codes.style[i])
            rows |= {domain: _unit(photos[i]), f"{domain}-recon": _unit(own)}
            for k in range(2):
                styles = self._styles(batch, rng.within("preview", k), photos[i])[1 - i]
                made = self._generators[1 - i].decode(codes.content[i], styles)
                rows[f"{name}-to-{other}-{k + 1}"] = _unit(made)
        return rows

    @torch.no_grad()
    def validate(self, data: PairData) -> dict[str, float]:
        """On held-out photos, L1 on [-1, 1]: recon_l1 of a photo and what its own codes give; cycle_l1 of a photo and its translation
        (in the style of a photo of the other domain) translated back. Neither says how good translations look."""
        sums, count = torch.zeros(2, dtype=torch.float64), 0
        order = unpaired_order(data, self.model.channels, 0, 0)
        for start in range(0, len(order), VALIDATION_BATCH):
            batch = data.batch(order[start : start + VALIDATION_BATCH]).to(self.model.device)
            photos = self._photos(batch)
            codes = self.encode(photos)
            again = self.encode(self.translate(codes.content, codes.style)).content
            for i, generator in enumerate(self._generators):
                own = generator.decode(codes.content[i], codes.style[i])
                back = generator.decode(again[1 - i], codes.style[i])
                sums += torch.stack(
                    [F.l1_loss(x.float(), photos[i].float()) for x in (own, back)]
                ).double().cpu() * len(own)
                count += len(own)
        recon, cycle = (sums / max(1, count)).tolist()
        return {"recon_l1": recon, "cycle_l1": cycle}


def _unit(images: Tensor) -> Tensor:
    return ((images.float() + 1) / 2).clamp(0, 1)
