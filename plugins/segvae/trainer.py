"""Training of SegVAE, its ablations and the C-VAE baselines: shape term plus KL, four Adam optimizers, one backward."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from zoo.data import layers_of
from zoo.nn.batch_norm import batch_norms
from zoo.nn.one_batch import AsOneBatch, batch_mean
from zoo.plugin import Batch, ConfigError, LabelSet, PairData, Rng, RngLike, SemanticMap, Trainer, Update, UsageError
from zoo_plugins.segvae import losses, parallel
from zoo_plugins.segvae.config import SegVAETraining
from zoo_plugins.segvae.model import SegVAE
from zoo_plugins.segvae.steps import unroll

Terms = dict[str, Tensor]


class SegVAETrainer(Trainer):
    """One update per batch, of all four networks. Masks are layered: where a data set has the parts' own files they may
    overlap; merged maps are filled by the label space's `on` (skin under the facial features).

    The authors draw their test split anew from the running random state, so that four fifths of it are training maps
    (docs/papers/segvae.md, "Training"); here the splits are those of the data set, and disjoint.
    """

    model: SegVAE
    options: SegVAETraining
    lower_is_better = frozenset({"loss", "shape", "kl", "kl_nats"})

    def __init__(self, model: SegVAE, options: SegVAETraining) -> None:
        """Raises ConfigError for unknown names of losses and schedules."""
        super().__init__(model, options)
        if options.shape_loss not in ("l1", "bce") or options.schedule not in ("official", "cosine"):
            raise ConfigError(
                f"segvae training: shape_loss is l1 or bce, schedule official or cosine; got {options.shape_loss!r}, {options.schedule!r}."
            )
        self._optimizers: dict[str, Optimizer] = {}
        self._weights = torch.ones(len(model.channels) + 1)

    @property
    def networks(self) -> dict[str, nn.Module]:
        """`model` alone: there is no discriminator."""
        return {"model": self.model}

    def optimizers(self) -> dict[str, Optimizer]:
        """An Adam per network, as in the code: context, decoder, posterior and, where there is one, prior."""
        if not self._optimizers:
            names = ("context", "decoder", "prior", "posterior")
            networks = {name: getattr(self.model, name) for name in names}
            self._optimizers = {
                name: Adam(net.parameters(), lr=self.options.lr, betas=self.options.betas)
                for name, net in networks.items()
                if net is not None
            }
        return self._optimizers

    def rates(self, epoch: float, step: int) -> dict[str, float]:
        """One rate for all: constant, then falling by epochs (official), or warm-up and half a cosine over `steps`."""
        o = self.options
        if o.schedule == "cosine":
            done = min(step / max(o.steps, 1), 1.0)
            factor = 0.5 * (1 + math.cos(math.pi * done)) * min(1.0, (step + 1) / (o.warmup + 1))
        else:
            # the cut comes at the END of an epoch with an index above constant_epochs: the first slower one is two later
            cuts = max(0, math.floor(epoch) - o.constant_epochs - 1)
            factor = max(0.0, 1 - cuts / max(o.decay_epochs, 1))
        return dict.fromkeys(self.optimizers(), o.lr * factor)

    def prepare(self, data: PairData) -> None:
        """Class weights of the shape term, where the options ask for them: from the classes' shares of the canvas."""
        if self.options.shape_balance:
            counts = data.class_counts().double()
            sets = torch.zeros(len(data.label_space))
            for label_set in data.label_sets():
                sets[list(label_set.indices)] += 1
            drawn = self.model.values[1:].cpu()
            share = (counts / sets.clamp(min=1) / counts.sum() * len(data))[drawn].clamp(min=1e-5)
            weights = share.pow(-self.options.shape_balance)
            self._weights = torch.cat([torch.ones(1), (weights / weights.mean()).float()])

    # --- one batch -----------------------------------------------------------------------------------------------

    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        """The one update. Random: a standard normal per class step and head, keyed by the step."""
        planes = self.model.planes(layers_of(batch))
        terms = self.terms(planes, rng.within("train", step))
        nats = terms.pop("kl_nats")
        yield Update(terms, tuple(self.optimizers()), {"kl_nats": nats})

    def terms(self, planes: Tensor, rng: RngLike) -> Terms:
        """Weighted losses `kl` and `shape` of layers [B, N, R, R], and the plain sum of KLs `kl_nats`.

        Each class's terms are averaged over the samples that have it, then summed over the classes (the code's reading).
        """
        label_set = planes.flatten(2).amax(2).gt(0).to(planes.dtype)
        shape = (len(self.model.channels), self.model.config.z_dim)
        eps = rng.normal("posterior", shape=shape).to(planes)
        if parallel.applies(self.model):
            kl, difference = self._at_once(planes, label_set, eps)
        else:
            kl, difference = self._in_turn(planes, label_set, eps, rng.normal("prior", shape=shape).to(planes))
        weighted = (difference * self._weights.to(difference)[1:]).sum()
        return {
            "kl": self.options.lambda_kl * kl.sum(),
            "shape": self.options.lambda_shape * weighted,
            "kl_nats": kl.detach().sum(),
        }

    def _at_once(self, planes: Tensor, label_set: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
        outputs = parallel.forced_pass(self.model, planes, label_set, eps)
        order = torch.tensor(self.model.order, device=planes.device)
        mu, log_var = outputs.mu.float(), outputs.log_var.float()
        if outputs.prior_mu is None or outputs.prior_log_var is None:
            kl = losses.standard_kl(mu.flatten(0, 1), log_var.flatten(0, 1))
        else:
            theirs = outputs.prior_mu.float().flatten(0, 1), outputs.prior_log_var.float().flatten(0, 1)
            kl = losses.gaussian_kl(mu.flatten(0, 1), log_var.flatten(0, 1), *theirs)
        difference = losses.shape_difference(outputs.logits.float(), outputs.truth.float(), self.options.shape_loss)
        count = outputs.present.sum(0).clamp(min=1)
        seen = outputs.present.sum(0)
        kl_of = batch_mean((kl.view(outputs.present.shape) * outputs.present).sum(0) / count, seen)
        shape_of = difference.new_zeros(len(order)).index_add(0, outputs.present.nonzero()[:, 1], difference) / count
        shape_of = batch_mean(shape_of, seen)
        back = torch.argsort(order)  # from step order to channel order
        return kl_of[back], shape_of[back]

    def _in_turn(self, planes: Tensor, label_set: Tensor, eps: Tensor, eps_prior: Tensor) -> tuple[Tensor, Tensor]:
        """Step by step, as the code goes: spectral and batch norms advance with every step. Raises UsageError in several processes for
        batch norms: each process would ask for the statistics of other classes."""
        if AsOneBatch.current() is not None and batch_norms(self.model):
            raise UsageError(
                "SegVAE with batch norms goes class by class, and several processes meet other classes: train it in one process."
            )
        kl, shape, counted = (planes.new_zeros(len(self.model.channels)) for _ in range(3))
        for step in unroll(self.model, label_set, truth=planes, forced=True, eps_prior=eps_prior, eps_posterior=eps):
            if step.rebuilt is None:
                continue
            assert step.posterior is not None and step.prior is not None
            mu, log_var = step.posterior.mu.float(), step.posterior.log_var.float()
            if self.model.prior is None:
                nats = losses.standard_kl(mu, log_var)
            else:
                nats = losses.gaussian_kl(mu, log_var, step.prior.mu.float(), step.prior.log_var.float())
            truth = planes[:, step.channel, None]
            difference = losses.shape_difference(step.rebuilt.float(), truth.float(), self.options.shape_loss)
            index, share = step.channel - 1, step.present / step.present.sum()
            counted[index] = step.present.sum()
            kl = kl.index_put((torch.tensor(index),), (nats * share).sum())
            shape = shape.index_put((torch.tensor(index),), (difference * share).sum())
        return batch_mean(kl, counted), batch_mean(shape, counted)

    @torch.no_grad()
    def statistics(self, batch: Batch, rng: RngLike) -> None:
        """A training pass, for the batch norms of averaged weights."""
        self.terms(self.model.planes(layers_of(batch)), rng.within("statistics"))

    # --- looking at it -------------------------------------------------------------------------------------------

    @torch.no_grad()
    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        """The maps, their reconstruction (mean codes, true context), and maps drawn for the same label sets, colourised."""
        layers = layers_of(batch)
        rebuilt = self.model.decode(self.model.encode(layers), context=layers)
        drawn = self._drawn(self.model.label_sets_of(layers), rng.within("preview"))
        original = batch.maps.resize(self.model.resolution)
        return {"map": original.colorize(), "reconstruction": rebuilt.colorize(), "sample": drawn.colorize()}

    def _drawn(self, sets: Sequence[LabelSet], rng: RngLike) -> SemanticMap:
        """Maps drawn for label sets of data, where a set may hold no drawn class: that map is all background."""
        latents = {"eps": self.model.normals(rng)}
        return self.model.decode(latents, label_sets=sets)

    @torch.no_grad()
    def validate(self, data: PairData) -> dict[str, float]:
        """The loss on held-out maps (noise of seed 0), and the share of asked-for classes that appear in drawn maps."""
        sums: dict[str, float] = {}
        asked = appeared = seen = 0
        for batch in data.batches(16):
            rng = Rng(0, range(seen, seen + len(batch))).within("validate")
            seen += len(batch)
            layers = layers_of(batch.to(self.model.device))
            for name, value in self.terms(self.model.planes(layers), rng).items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(batch)
            sets = self.model.label_sets_of(layers)
            shown = self._drawn(sets, rng).label_sets()
            asked += sum(len(s.names) for s in sets)
            appeared += sum(len(set(s.names) & set(d.names)) for s, d in zip(sets, shown, strict=True))
        means = {name: value / max(seen, 1) for name, value in sums.items()}
        return {"loss": means["kl"] + means["shape"], **means, "appear": appeared / max(asked, 1)}
