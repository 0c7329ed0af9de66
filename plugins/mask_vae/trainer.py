"""Training of mask-vae: weighted cross entropy plus KL, and the code's optional adversarial terms."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from zoo.families.spade.discriminators import MultiscaleDiscriminator, split_pair
from zoo.interfaces.label_sets import only
from zoo.metrics.segmentation import ConfusionMatrix
from zoo.nn.init import init_xavier
from zoo.nn.losses import feature_matching, gan_loss
from zoo.plugin import Batch, ConfigError, PairData, Rng, RngLike, SemanticMap, Trainer, Update
from zoo_plugins.mask_vae import losses
from zoo_plugins.mask_vae.config import CLASS_WEIGHTS, MaskVaeTraining
from zoo_plugins.mask_vae.model import SemanticVAE


class MaskVaeTrainer(Trainer):
    """One Adam step per batch on `kl * KL + CE`; with `adversarial` also hinge and feature matching, then a discriminator step."""

    model: SemanticVAE
    options: MaskVaeTraining

    def __init__(self, model: SemanticVAE, options: MaskVaeTraining) -> None:
        """Raises ConfigError if the official class weights are asked for other classes than theirs."""
        super().__init__(model, options)
        classes = len(model.channels) + 1
        if options.weighting == "official" and classes != len(CLASS_WEIGHTS):
            raise ConfigError(
                f"The official class weights are for {len(CLASS_WEIGHTS)} classes, this model has {classes}:"
                ' take the paper\'s eq. 1 (<<changes={"trainer.weighting": "frequency"}>>), or none'
                ' (<<changes={"trainer.weighting": "none"}>>).'
            )
        self._weights = torch.tensor(CLASS_WEIGHTS) if options.weighting == "official" else None
        self._networks: dict[str, nn.Module] = {"model": model}
        if options.adversarial:
            net = MultiscaleDiscriminator(classes, options.ndf, options.d_layers, options.d_scales, last_stride=2)
            init_xavier(net, 0.02)
            self._networks["discriminator"] = net
        self._optimizers: dict[str, Optimizer] = {}

    def prepare(self, data: PairData) -> None:
        """Class weights from the training data, where the options ask for them."""
        if self.options.weighting in ("frequency", "power"):
            channels = self.model.channel_of[: len(data.label_space)].cpu()
            counts = torch.zeros(len(self.model.channels) + 1).index_add_(0, channels, data.class_counts().float())
            power = self.options.weighting_power
            self._weights = (
                losses.frequency_weights(counts)
                if self.options.weighting == "frequency"
                else losses.power_weights(counts, power)
            )

    @property
    def networks(self) -> dict[str, nn.Module]:
        """`model`, and `discriminator` where the adversarial terms are on."""
        return self._networks

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam for the model, and one for the discriminator."""
        if not self._optimizers:
            rates = {"model": self.options.lr, "discriminator": self.options.lr_d}
            for name, net in self._networks.items():
                self._optimizers[name] = Adam(net.parameters(), lr=rates[name], betas=self.options.betas)
        return self._optimizers

    def rates(self, epoch: float, step: int) -> dict[str, float]:
        """Both rates times the same factor: warm-up, then constant and linear, or half a cosine, over `steps`."""
        del epoch
        done = min(step / max(self.options.steps, 1), 1.0)
        factor = 0.5 * (1 + math.cos(math.pi * done)) if self.options.schedule == "cosine" else min(1.0, 2 * (1 - done))
        factor *= min(1.0, (step + 1) / (self.options.warmup + 1))
        rates = {"model": self.options.lr, "discriminator": self.options.lr_d}
        return {name: rates[name] * factor for name in self._networks}

    # --- one batch -----------------------------------------------------------------------------------------------

    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        """The model's step, then the discriminator's on fresh fakes. Random: eps, h0, c0 of each forward, keyed by the step."""
        yield self._model_update(batch, rng.within("model", step))
        if self.options.adversarial:
            yield self._discriminator_update(batch, rng.within("discriminator", step))

    def _forward(self, batch: Batch, rng: RngLike) -> tuple[Tensor, Tensor, Tensor]:
        model, labels = self.model, batch.maps.labels
        eps = rng.normal("eps", shape=(len(model.channels), model.config.latent)).to(labels.device)
        states = {k: v.to(labels.device) for k, v in model.start_states(len(labels), rng).items()}
        return model(model.planes(labels), eps, states["h0"], states["c0"])

    def _model_update(self, batch: Batch, rng: RngLike) -> Update:
        logits, mu, log_var = self._forward(batch, rng)
        targets = self.model.targets(batch.maps.labels)
        weights = None if self._weights is None else self._weights.to(logits.device)
        kl = losses.mean_kl_divergence(mu, log_var)
        terms = {
            "kl": self.options.kl * kl,
            "ce": losses.weighted_cross_entropy(logits, targets, weights, reduction=self.options.reduction),
        }
        if self.options.adversarial:
            fake, real = self._judge(logits, targets)
            terms["gan"] = gan_loss(fake, True, for_discriminator=False)
            terms["features"] = self.options.feature_matching * feature_matching(fake, real)
        best = logits.detach().amax(1)  # several times faster than argmax; unlabeled pixels count as wrong
        right = (
            (logits.detach().gather(1, targets.clamp(max=logits.shape[1] - 1)[:, None])[:, 0] == best).float().mean()
        )
        return Update(terms, ("model",), {"kl_nats": kl.detach(), "accuracy": right})

    def _discriminator_update(self, batch: Batch, rng: RngLike) -> Update:
        with torch.no_grad():
            logits = self._forward(batch, rng)[0]
        fake, real = self._judge(logits, self.model.targets(batch.maps.labels))
        on_fake = gan_loss(fake, False, for_discriminator=True)
        return Update({"d_fake": on_fake, "d_real": gan_loss(real, True, for_discriminator=True)}, ("discriminator",))

    def _judge(self, logits: Tensor, targets: Tensor) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
        """The discriminator on raw scores (no softmax, as in the code) and on one-hot maps, in one batch, fakes first."""
        real = (
            F.one_hot(targets.clamp(max=logits.shape[1]), logits.shape[1] + 1)[..., :-1]
            .permute(0, 3, 1, 2)
            .to(logits.dtype)
        )
        return split_pair(self._networks["discriminator"](torch.cat([logits, real])))

    # --- looking at it -------------------------------------------------------------------------------------------

    @torch.no_grad()
    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        """The maps, their reconstruction (mean code, zero state), and maps drawn for the same label sets, colourised."""
        sets = [only(s, self.model.channels) for s in batch.maps.label_sets()]
        rebuilt = self.model.decode(self.model.encode(batch.maps))
        drawn = self.model.generate(sets, rng=rng.within("preview"))
        original = batch.maps.resize(self.model.resolution)
        return {"map": original.colorize(), "reconstruction": rebuilt.colorize(), "sample": drawn.colorize()}

    @torch.no_grad()
    def validate(self, data: PairData) -> dict[str, float]:
        """Reconstruction: mIoU and pixel accuracy, shares of 1, with mean code and zero state, and with drawn ones (seed 0).

        One confusion matrix over all maps, all classes with background, classes with an empty union left out (our reading:
        neither paper nor code says how Table 1 was computed).
        """
        space = self.model.label_space
        matrices = {"": ConfusionMatrix(space), "_sampled": ConfusionMatrix(space)}
        seen = 0
        for batch in data.batches(16):
            truth = _drawable(batch.maps, self.model)
            rng = Rng(0, range(seen, seen + len(batch))).within("validate")
            seen += len(batch)
            for name, source in (("", None), ("_sampled", rng)):
                matrices[name].add(self.model.decode(self.model.encode(batch.maps, rng=source)), truth)
        return {
            f"{score}{name}": value
            for name, m in matrices.items()
            for score, value in (("miou", m.miou()), ("accuracy", m.accuracy()))
        }


def _drawable(maps: SemanticMap, model: SemanticVAE) -> SemanticMap:
    """The maps at the model's size; classes that it does not draw become background, as they do for its loss."""
    labels = maps.resize(model.resolution).labels
    table = torch.arange(256)
    table[model.channel_of.cpu() == 0] = int(model.values[0])
    return SemanticMap(table.to(labels.device)[labels], maps.space)
