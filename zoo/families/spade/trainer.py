"""Training of synthesizers with an encoder and a conditional discriminator: SPADE's two-step iteration.

SPADE and SC-GAN train with it; what differs between them are the generator's outputs, its losses and the discriminator.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from zoo.api import load
from zoo.data import Batch, PairData
from zoo.errors import DataError
from zoo.families.spade.diffaugment import augmented, draw
from zoo.families.spade.discriminators import MultiscaleDiscriminator, Opinion, PatchDiscriminator
from zoo.families.spade.fpse import FPSEDiscriminator, FPSEMDiscriminator
from zoo.families.spade.joining import join
from zoo.families.spade.losses import Outputs, discriminator_losses, generator_losses
from zoo.families.spade.objectives import Objective
from zoo.families.spade.options import GanOptions
from zoo.families.spade.parts import begin_norms, freeze_beside, layers_beside
from zoo.families.spade.photo_matching import common_classes, match_photos, mismatch, regions_of
from zoo.families.spade.prior_styles import PriorStyles, estimate_statistics
from zoo.families.spade.synthesizer import LatentSynthesizer
from zoo.interfaces.models import Model
from zoo.interfaces.trainers import Trainer, Update
from zoo.maps import SemanticMap
from zoo.nn.batch_norm import batch_norms, fix_batch_norms
from zoo.nn.init import init_xavier
from zoo.nn.latents import reparameterize
from zoo.nn.matching import PhotoMatching
from zoo.nn.perceptual import perceptual_network
from zoo.nn.pretrained import FeatureNetwork, feature_network
from zoo.nn.projected import ProjectedDiscriminator, feature_distance
from zoo.nn.spectral import held_spectral
from zoo.rng import Rng, RngLike
from zoo.style import Style

VALIDATION_BATCH = 8
FRESH_MAPS = 64


class GanTrainer(Trainer):
    """Per batch: a step of generator and encoder, then one of the discriminator on a fresh fake.

    Random: eps of the encoder, keys ("eps", step) and ("eps-d", step), with `diffaugment` ("augment", step), and with
    `prior_half` the styles of both steps, ("prior", step, …) as in the model's `sample_style`.
    """

    lower_is_better: ClassVar[frozenset[str]] = frozenset({"l1"})

    def __init__(self, model: Model, options: GanOptions) -> None:
        super().__init__(model, options)
        self.gan = cast(LatentSynthesizer, model)
        self.options: GanOptions = options
        self.features = feature_network(options.features, options.features_side) if options.uses_features else None
        self.others = [feature_network(name, options.features_side) for name in options.mmd_networks]
        self.prior = PriorStyles(self.gan, options) if options.prior_half else None
        self.matching: PhotoMatching | None = None
        self.mmd_classes: tuple[int, ...] = ()
        if options.fixed_norms:
            for layer in layers_beside(self.gan, options.trained_parts):
                fix_batch_norms(layer)
        self.objective: Objective | None = None
        self.joined = options.discriminator not in options.OWN_DISCRIMINATORS
        if options.discriminator == "projected":
            self.discriminator = self._projected()
        elif self.joined:
            self.discriminator, self.objective = join(self.gan.label_input, self.gan.resolution, options)
        else:
            self.discriminator = self.build_discriminator()
        self.initialise(self.discriminator)
        if options.train_only:
            freeze_beside(self.gan, options.trained_parts, self.gan.title)
        self.perceptual = perceptual_network(options.perceptual, load)
        self._frozen = [network for network in (self.perceptual, self.features, *self.others) if network is not None]
        if options.channels_last:
            for network in self._frozen:
                network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self._optimizers: dict[str, Optimizer] = {}

    def _projected(self) -> nn.Module:
        o, planes = self.options, self.gan.label_input.channels
        heads = ProjectedDiscriminator(cast(FeatureNetwork, self.features).channels, planes, o.ndf)
        if not o.pixel_width:
            return heads
        return nn.ModuleDict({"projected": heads, "pixels": PatchDiscriminator(planes + 3, o.pixel_width, 3, o.norm_d)})

    # --- what a system may have otherwise -------------------------------------------------------------------------

    def build_discriminator(self) -> nn.Module:
        """The network that `opinion` asks (with `discriminator=projected` it is another)."""
        o = self.options
        return MultiscaleDiscriminator(self.gan.label_input.channels + 3, o.ndf, o.n_layers_d, o.num_d, o.norm_d)

    def initialise(self, discriminator: nn.Module) -> None:
        """Draw the starting weights of the discriminator, from torch's global generator."""
        init_xavier(discriminator)

    def parameters(self) -> dict[str, list[nn.Parameter]]:
        """By optimizer, what it trains."""
        return {"generator": self.trained(self.gan), "discriminator": list(self.discriminator.parameters())}

    def opinion(self, planes: Tensor, images: Tensor, outputs: Outputs) -> Opinion:
        """What the discriminator says of images [B, 3, H, W] in [-1, 1] with their planes. outputs: the generator's for the
        same maps (its batch may be half of B: fakes and reals of the same maps; a `MultiscaleDiscriminator` then gets the planes once)."""
        return cast(MultiscaleDiscriminator, self.discriminator).judge(images, planes)

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
    def fresh(self) -> tuple[str, ...]:
        return self.options.trained_parts

    def trained(self, network: nn.Module) -> list[nn.Parameter]:
        """Those of the parameters of the model or a part of it that are trained."""
        return [p for p in network.parameters() if p.requires_grad or not self.options.train_only]

    def _run_fresh(self, data: PairData) -> None:
        """The first `FRESH_MAPS` pairs through the model, for the norms of parts that may be fresh."""
        seen = 0
        for batch in data.batches(VALIDATION_BATCH, limit=FRESH_MAPS):
            self.statistics(batch, Rng(self.options.seed, range(seen, seen + len(batch)), ("fresh norms",)))
            seen += len(batch)

    @property
    def networks(self) -> dict[str, nn.Module]:
        prior = {} if self.prior is None else {"prior": self.prior}
        matching = {} if self.matching is None else {"matching": self.matching}
        return {"model": self.gan, "discriminator": self.discriminator, **prior, **matching}

    def optimizers(self) -> dict[str, Optimizer]:
        """Names: generator (with the encoder) and discriminator, both Adam."""
        if not self._optimizers:
            rates = self.rates(0.0, 0)
            for name, parameters in self.parameters().items():
                self._optimizers[name] = Adam(parameters, lr=rates[name], betas=self.options.betas)
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
        return {"generator": g * factor, "discriminator": (d if o.lr_d is None else o.lr_d) * factor}

    def prepare(self, data: PairData) -> None:
        """Raises DataError for maps without photos, before anything is written."""
        if not data.has_images:
            raise DataError(f"{self.gan.title} learns from photos with their maps, and this data set holds maps alone.")
        if self.prior is not None:
            self.prior.prepare(data)
        if self.options.fixed_norms and batch_norms(self.gan):
            begin_norms(self.gan, lambda: self._run_fresh(data))
        if self.options.lambda_mmd:
            self.mmd_classes = common_classes(data, self.options.mmd_regions)
            self.matching = match_photos(self.gan, self._matched_by, data, self.options, self.mmd_classes)

    @property
    def _matched_by(self) -> list[nn.Module]:
        return [cast(nn.Module, self.features), *self.others]

    # --- one batch ------------------------------------------------------------------------------------------------

    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        planes, real = self._inputs(batch)
        draws = draw(rng, "augment", step) if self.options.diffaugment else None
        shared: list[Outputs] = []
        if self.prior is not None:
            self.prior.keep_up(step)
        drawn = self.drawn(batch, rng.within("prior", step))
        yield self._generator_update(planes, real, rng, step, draws, shared, batch, drawn)
        yield self._discriminator_update(planes, real, rng, step, draws, shared, drawn)

    def drawn(self, batch: Batch, rng: RngLike) -> Style | None:
        """With `prior_half`: styles of the prior for the second half of the batch."""
        return None if self.prior is None else self.prior.draw(batch.maps, rng)

    def _inputs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """One-hot planes and photos in [-1, 1]."""
        assert batch.images is not None  # `prepare` has seen to it
        planes, real = self.gan.planes(batch.maps), self.gan.fit_image(batch.images) * 2 - 1
        if self.options.channels_last:
            planes, real = (t.contiguous(memory_format=torch.channels_last) for t in (planes, real))
        return planes, real

    def fake(self, planes: Tensor, real: Tensor, eps: Tensor | None, drawn: Style | None = None) -> Outputs:
        """A forward with a style from the encoder's posterior: z = mu + eps * sigma (without VAE: no style); the last of the
        batch in the styles `drawn`."""
        if self.gan.encoder is None:
            return self.outputs(planes, None)
        assert eps is not None
        own = len(real) - (0 if drawn is None else len(drawn))
        mu, logvar = self.gan.encoder(real[:own])
        z = reparameterize(mu, logvar, eps[:own].to(mu.device))
        outputs = self.outputs(planes, z if drawn is None else torch.cat([z, drawn.tensors["z"].to(z)]))
        outputs.mu, outputs.logvar, outputs.own = mu, logvar, own
        return outputs

    def _eps(self, rng: RngLike, *key: str | int) -> Tensor | None:
        return None if self.gan.encoder is None else rng.normal(*key, shape=(self.gan.config.z_dim,))

    def _generator_update(
        self, planes: Tensor, real: Tensor, rng: RngLike, step: int, draws: Tensor | None, shared: list[Outputs],
        batch: Batch, drawn: Style | None,
    ) -> Update:  # fmt: skip
        for network in self._frozen:
            network.to(real.device)
        outputs = self.fake(planes, real, self._eps(rng, "eps", step), drawn)
        outputs.weights = self.pixel_weights(batch)
        on_fake, on_real = self.judge(planes, outputs, real, draws, real_grad=False)
        losses = self.losses(outputs, real, on_fake, on_real) | self.feature_losses(outputs, real, batch.maps)
        if self.options.share_fake:
            outputs.fake = outputs.fake.detach()
            shared.append(outputs)
        return Update(losses, ("generator",))

    def feature_losses(self, outputs: Outputs, real: Tensor, maps: SemanticMap) -> dict[str, Tensor]:
        """With `lambda_features`: the weighted distance to the photo in the features of a pretrained network. With `lambda_mmd`: how far the
        pictures' distribution is from the photos'. maps: what the pictures show."""
        o, own = self.options, slice(outputs.own)
        if self.features is None or not (o.lambda_features or o.lambda_mmd):
            return {}
        fake = outputs.fake if self.matching is not None else outputs.fake[own]
        found, losses = self.features(fake), dict[str, Tensor]()
        if o.lambda_features:
            with torch.no_grad():
                target = self.features(real[own])
            losses["features"] = o.lambda_features * feature_distance([f[own] for f in found], target)
        if self.matching is not None:
            regions = regions_of(maps, self.mmd_classes, self.gan)
            distance = mismatch(self.matching, self._matched_by, fake, found, outputs.own, regions)
            losses["mmd"] = o.lambda_mmd * distance
        return losses

    def _discriminator_update(
        self, planes: Tensor, real: Tensor, rng: RngLike, step: int, draws: Tensor | None, shared: list[Outputs],
        drawn: Style | None,
    ) -> Update:  # fmt: skip
        if shared:
            outputs = shared.pop()
        else:
            with torch.no_grad():
                outputs = self.fake(planes, real, self._eps(rng, "eps-d", step), drawn)
        if self.objective is not None:
            fake, photo, labels = self._labelled(planes, outputs.fake, real, draws)
            losses, logs = self.objective.discriminator(fake, photo, labels, rng, step)
            return Update(losses, ("discriminator",), logs)
        on_fake, on_real = self.judge(planes, outputs, real, draws, real_grad=True)
        losses = discriminator_losses(on_fake, on_real, self.options)
        seen = {"score_real": on_real, "score_fake": on_fake}
        means: dict[str, Tensor | float] = {k: v.scores[0].detach().float().mean() for k, v in seen.items()}
        return Update(losses, ("discriminator",), means)

    def _labelled(
        self, planes: Tensor, fake: Tensor, real: Tensor, draws: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(fakes, reals, channels int64 [B, H, W]) as an objective sees them; -1 where an augmentation left nothing."""
        cutout = self.options.cutout
        shown, fake = augmented(planes, fake, draws, cutout)
        _, photo = augmented(planes, real, draws, cutout)
        classes = shown[:, : self.gan.label_input.classes]
        return fake, photo, classes.argmax(1).masked_fill(~classes.any(1), -1)

    def judge(
        self, planes: Tensor, outputs: Outputs, real: Tensor, draws: Tensor | None = None, *, real_grad: bool = True
    ) -> tuple[Opinion, Opinion]:
        """The discriminator's opinions of fakes and reals; officially both in one batch, so one power iteration. Where it has an
        objective: the verdict on the fakes, and nothing on the reals."""
        if self.objective is not None:
            fake, _, labels = self._labelled(planes, outputs.fake, real, draws)
            return Opinion([], [], self.objective.generator(fake, labels)), Opinion([], [])
        cutout = self.options.cutout
        # the same draws: maps of fakes and reals stay equal
        (shown, fake), (_, photo) = (augmented(planes, x, draws, cutout) for x in (outputs.fake, real))
        if real_grad or not (self.options.share_fake or self._apart):
            return self._ask(shown, torch.cat([fake, photo]), outputs).split()
        if not self.options.lambda_feat:  # without feature matching the generator's step needs no opinion of reals
            return self._ask(shown, fake, outputs), Opinion([], [])
        with torch.no_grad():  # the generator's step needs no gradient through the real half
            on_real = self._ask(shown, photo, outputs)
        with nullcontext() if self.options.share_fake else held_spectral(self.discriminator):
            return self._ask(shown, fake, outputs), on_real

    @property
    def _apart(self) -> bool:
        """Whether the discriminator judges every picture by itself, so that fakes and reals need not be in one batch."""
        known = isinstance(self.discriminator, MultiscaleDiscriminator | FPSEDiscriminator | FPSEMDiscriminator)
        return known and not batch_norms(self.discriminator)

    def _ask(self, planes: Tensor, images: Tensor, outputs: Outputs) -> Opinion:
        """`opinion`, or that of the projected discriminator. planes: of as many maps as outputs, one or two images for each."""
        if len(planes) < len(images) and not isinstance(self.discriminator, MultiscaleDiscriminator):
            planes = planes.repeat(len(images) // len(planes), 1, 1, 1)
        if self.joined:
            return self.discriminator.judge(images, planes)  # type: ignore[operator]
        if self.options.discriminator != "projected":
            return self.opinion(planes, images, outputs)
        assert self.features is not None
        if not isinstance(self.discriminator, nn.ModuleDict):
            return Opinion(self.discriminator(self.features(images), planes), [])
        scores = self.discriminator["projected"](self.features(images), planes)
        return Opinion([*scores, self.discriminator["pixels"](torch.cat([planes, images], 1))[-1]], [])

    @torch.no_grad()
    def statistics(self, batch: Batch, rng: RngLike) -> None:
        planes, real = self._inputs(batch)
        self.fake(planes, real, self._eps(rng, "eps", 0), self.drawn(batch, rng))

    def settle(self, data: PairData) -> None:
        """With `statistics_maps`: batch-norm statistics anew."""
        if self.options.statistics_maps:
            estimate_statistics(self.gan, data, self.options.statistics_maps, seed=self.options.seed)

    # --- looking at it --------------------------------------------------------------------------------------------

    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        """Map, photo, fake with the photo's style, fake with a random style (without VAE: the fake)."""
        assert batch.images is not None
        maps = batch.maps.resize(self.gan.resolution)
        layout = self.gan.layout(maps)
        rows = {"map": maps.colorize(), "photo": self.gan.fit_image(batch.images)}
        if self.gan.encoder is None:
            return rows | {"image": self.gan.synthesize(layout)}
        encoded = self.gan.encode_style(rows["photo"], maps)
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
