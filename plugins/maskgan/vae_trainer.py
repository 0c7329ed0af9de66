"""Training of MaskVAE: cross entropy and KL divergence. The authors released none; what the paper gives is the weight of the KL term."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from zoo.metrics.segmentation import ConfusionMatrix
from zoo.nn.losses import kl_divergence
from zoo.plugin import Batch, PairData, Rng, RngLike, Trainer, Update
from zoo_plugins.maskgan.vae_config import MaskVAETraining
from zoo_plugins.maskgan.vae_model import MaskVAE
from zoo_plugins.maskgan.vae_networks import planes_of

VALIDATION_BATCH = 8


class MaskVAETrainer(Trainer):
    """One Adam step per batch on `cross entropy + kl * KL`. Random: eps of the code, key ("eps", step)."""

    model: MaskVAE
    options: MaskVAETraining

    def __init__(self, model: MaskVAE, options: MaskVAETraining) -> None:
        super().__init__(model, options)
        self._optimizers: dict[str, Optimizer] = {}

    @property
    def networks(self) -> dict[str, nn.Module]:
        """`model` alone."""
        return {"model": self.model}

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam."""
        if not self._optimizers:
            self._optimizers["model"] = Adam(self.model.parameters(), lr=self.options.lr, betas=self.options.betas)
        return self._optimizers

    def rates(self, epoch: float, step: int) -> dict[str, float]:
        """Full rate, then linear decay to 0 over the last `decay_last` of the steps."""
        del epoch
        o = self.options
        left = 1.0 if o.decay_last == 0 else (o.steps - step) / (o.decay_last * o.steps)
        return {"model": o.lr * min(1.0, max(0.0, left))}

    def _forward(self, batch: Batch, eps: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(scores, mu, log_var, channels of the map)."""
        numbers = self.model.read(batch.maps)
        planes = planes_of(numbers, len(self.model.channels))
        if self.options.channels_last:
            planes = planes.contiguous(memory_format=torch.channels_last)
        scores, _, mu, log_var = self.model(planes, eps.to(planes.device))
        return scores, mu, log_var, numbers

    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        """One step."""
        scores, mu, log_var, numbers = self._forward(batch, rng.normal("eps", step, shape=(self.model.config.latent,)))
        kl = kl_divergence(mu, log_var) / len(numbers)
        right = (scores.detach().argmax(1) == numbers).float().mean()
        losses = {"ce": F.cross_entropy(scores.float(), numbers), "kl": self.options.kl * kl}
        yield Update(losses, ("model",), {"kl_nats": kl.detach(), "accuracy": right})

    def statistics(self, batch: Batch, rng: RngLike) -> None:
        """A forward in training mode, for the batch norms."""
        self._forward(batch, rng.normal("eps", 0, shape=(self.model.config.latent,)))

    # --- looking at it --------------------------------------------------------------------------------------------

    @torch.no_grad()
    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        """The maps, their reconstructions, half of the way to the next one of the batch, and maps drawn for the same label sets."""
        model, maps = self.model, batch.maps.resize(self.model.resolution)
        z = model.encode(maps)["z"]
        half = model.decode({"z": (z + z.roll(-1, 0)) / 2})
        drawn = model.generate(maps.label_sets(), rng=rng.within("preview"))
        rows = {"map": maps, "reconstruction": model.decode({"z": z}), "half": half, "sample": drawn}
        return {name: row.colorize() for name, row in rows.items()}

    @torch.no_grad()
    def validate(self, data: PairData) -> dict[str, float]:
        """Reconstruction: mIoU and pixel accuracy, shares of 1, of the mean code and of a drawn one (seed 0)."""
        matrices = {"": ConfusionMatrix(self.model.label_space), "_sampled": ConfusionMatrix(self.model.label_space)}
        seen = 0
        for batch in data.batches(VALIDATION_BATCH):
            truth = batch.maps.resize(self.model.resolution)
            rng = Rng(0, range(seen, seen + len(batch))).within("validate")
            seen += len(batch)
            for name, source in (("", None), ("_sampled", rng)):
                matrices[name].add(self.model.decode(self.model.encode(batch.maps, rng=source)), truth)
        scores = {"miou": ConfusionMatrix.miou, "accuracy": ConfusionMatrix.accuracy}
        return {f"{score}{name}": value(m) for name, m in matrices.items() for score, value in scores.items()}
