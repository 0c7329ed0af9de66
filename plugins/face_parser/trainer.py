"""Training of the face parser: officially Adam on plain cross entropy; with weights and decay in our own variants."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from zoo.metrics.parsing import parser_rows, parser_scores
from zoo.plugin import Batch, DataError, PairData, RngLike, Trainer, Update
from zoo_plugins.face_parser.config import FaceParserTraining, LiteParserTraining
from zoo_plugins.face_parser.losses import cross_entropy, inverse_frequency_weights
from zoo_plugins.face_parser.model import FaceParser, LiteParser


class FaceParserTrainer(Trainer):
    """One network, one optimizer ("model"). Nothing is random here; augmentation belongs to the data."""

    def __init__(self, model: FaceParser, options: FaceParserTraining) -> None:
        super().__init__(model, options)
        self.model: FaceParser = model
        self.options: FaceParserTraining = options
        self._optimizers: dict[str, Optimizer] = {}
        self._weights: Tensor | None = None

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"model": self.model}

    def prepare(self, data: PairData) -> None:
        """Class weights from the pixels per class of the training data (option `weight_power`). Raises DataError for maps alone."""
        if not data.has_images:
            raise DataError("A parser is trained on photos with maps; this data set has maps alone.")
        if self.options.weight_power:
            space = self.model.label_space
            values = [data.label_space.find(name) for name in self.model.channels]
            counts = data.class_counts()
            known = torch.tensor([0 if v is None else int(counts[v]) for v in values])
            if not int(known.sum()):
                raise DataError(f"The data shows no class of {space.name!r}: it is in {data.label_space.name!r}.")
            self._weights = inverse_frequency_weights(known, self.options.weight_power)

    def optimizers(self) -> dict[str, Optimizer]:
        if not self._optimizers:
            self._optimizers["model"] = Adam(self.model.parameters(), lr=self.options.lr, betas=self.options.betas)
        return self._optimizers

    def rates(self, epoch: float, step: int) -> dict[str, float]:
        """Constant, then linear to zero over the last `decay` of the steps."""
        del epoch
        left = 1 - step / max(1, self.options.steps)
        falling = min(1.0, max(0.0, left) / self.options.decay) if self.options.decay > 0 else 1.0
        return {"model": self.options.lr * falling}

    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        del rng, step
        yield self._step(batch)

    def _step(self, batch: Batch) -> Update:
        if self.options.weight_power and self._weights is None:
            raise DataError("Class weights need the training data: call prepare(data) before the first step.")
        images, targets = self._pair(batch)
        weights = None if self._weights is None else self._weights.to(targets.device)
        # The official loss has an ignore value that never occurs; ours (-100) marks classes that the network lacks.
        logits = self.model.logits(self.model.prepare(images))
        loss = cross_entropy(logits, targets, weights=weights)
        accuracy = (
            (logits.detach().argmax(1) == targets).float().mean() if logits.shape[-2:] == targets.shape[-2:] else 0.0
        )
        return Update({"cross_entropy": loss}, ("model",), {"accuracy": accuracy})

    def _pair(self, batch: Batch) -> tuple[Tensor, Tensor]:
        if batch.images is None:
            raise DataError("A parser is trained on photos with maps; this data set has maps alone.")
        space = self.model.label_space
        maps = batch.maps if batch.maps.space.names == space.names else batch.maps.to_space(space)
        return batch.images, self.model.targets(maps)

    def statistics(self, batch: Batch, rng: RngLike) -> None:
        del rng
        self.model.logits(self.model.prepare(self._pair(batch)[0]))

    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        del rng
        return parser_rows(self.model, batch)

    def validate(self, data: PairData) -> dict[str, float]:
        """miou over classes that at least 10 of the maps show, miou_all, accuracy: shares of 1, pooled, in eval mode."""
        return parser_scores(self.model, data, self.options.batch_size)


class LiteParserTrainer(FaceParserTrainer):
    """As `FaceParserTrainer`, with an optimizer of its own ("encoder") for the pretrained part."""

    def __init__(self, model: LiteParser, options: LiteParserTraining) -> None:
        super().__init__(model, options)
        self.lite, self.extras = model.lite, options
        if options.pretrained:
            model.lite.encoder.load_pretrained()

    def optimizers(self) -> dict[str, Optimizer]:
        if not self._optimizers:
            encoder = list(self.lite.encoder.parameters())
            rest = [*self.lite.ups.parameters(), *self.lite.final.parameters()]
            for name, parameters in (("model", rest), ("encoder", encoder)):
                self._optimizers[name] = Adam(parameters, lr=self.options.lr, betas=self.options.betas)
        return self._optimizers

    def rates(self, epoch: float, step: int) -> dict[str, float]:
        """Those of `FaceParserTrainer`; the encoder's is the share `encoder_rate` of it."""
        rate = super().rates(epoch, step)["model"]
        return {"model": rate, "encoder": rate * self.extras.encoder_rate}

    def _step(self, batch: Batch) -> Update:
        update = super()._step(batch)
        return Update(update.losses, ("model", "encoder"), update.logs)
