"""Training of the judges: Adam with one network each; the rate falls linearly at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from zoo.metrics.parsing import parser_rows, parser_scores
from zoo.metrics.segmentation import ConfusionMatrix
from zoo.nn.losses import pixel_weights
from zoo.nn.one_batch import batch_mean
from zoo.nn.pretrained import mobilenet_v2
from zoo.plugin import Batch, DataError, Model, PairData, RngLike, SemanticMap, Trainer, Update
from zoo_plugins.judges.autoencoder import MaskAutoencoder
from zoo_plugins.judges.blocks import labels_at, one_hot
from zoo_plugins.judges.config import JudgeTraining, MobileParserTraining
from zoo_plugins.judges.parser import MobileParser
from zoo_plugins.judges.predictor import ShapePredictor


class JudgeTrainer(Trainer):
    """One network, one optimizer ("model")."""

    def __init__(self, model: Model, options: JudgeTraining) -> None:
        super().__init__(model, options)
        self.options: JudgeTraining = options
        self._optimizers: dict[str, Optimizer] = {}
        self.weights: Tensor | None = None

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"model": self.model}

    def prepare(self, data: PairData) -> None:
        """Class weights frequency ** -weight_power, scaled to 1 for the mean pixel; a class that never occurs takes the largest."""
        space = self.model.label_space
        counts = torch.tensor([_count(data, name) for name in space.names], dtype=torch.float64)
        if not bool(counts.any()):
            raise DataError(f"The data shows no class of {space.name!r}: it is in {data.label_space.name!r}.")
        share = counts / counts.sum()
        weights = share.clamp(min=1e-12) ** -self.options.weight_power
        weights[counts == 0] = weights[counts > 0].max()
        self.weights = (weights / (weights * share).sum()).float()

    def optimizers(self) -> dict[str, Optimizer]:
        if not self._optimizers:
            self._optimizers["model"] = Adam(self.model.parameters(), lr=self.options.lr, betas=self.options.betas)
        return self._optimizers

    def rates(self, epoch: float, step: int) -> dict[str, float]:
        """Constant, then linear to zero over the last `decay` of the steps."""
        left = max(0.0, 1 - step / max(1, self.options.steps))
        return {"model": self.options.lr * (min(1.0, left / self.options.decay) if self.options.decay > 0 else 1.0)}

    def maps_of(self, batch: Batch) -> SemanticMap:
        """The maps of a batch in the model's own space."""
        return (
            batch.maps
            if batch.maps.space.names == self.model.label_space.names
            else batch.maps.to_space(self.model.label_space)
        )

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Weighted mean over all labelled pixels; 0 where there are none."""
        targets = labels.where(labels < logits.shape[1], torch.full_like(labels, -100))
        weights = None if self.weights is None else self.weights.to(logits.device)
        if bool((targets >= 0).any()):
            loss = F.cross_entropy(logits.float(), targets, weight=weights)
        else:
            loss = logits.float().sum() * 0
        return batch_mean(loss, lambda: pixel_weights(targets, weights).sum())


def _count(data: PairData, name: str) -> int:
    value = data.label_space.find(name)
    return 0 if value is None else int(data.class_counts()[value])


class AutoencoderTrainer(JudgeTrainer):
    """Cross entropy of maps behind the bottleneck."""

    model: MaskAutoencoder

    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        yield self._step(batch)

    def _step(self, batch: Batch) -> Update:
        labels = labels_at(self.maps_of(batch), self.model.config.side)
        logits = self.model.logits(one_hot(labels, len(self.model.label_space)))
        return Update({"cross_entropy": self.cross_entropy(logits, labels)}, ("model",))

    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        return {"map": batch.maps.colorize(), "decoded": self.model.reconstruct(self.maps_of(batch)).colorize()}

    def validate(self, data: PairData) -> dict[str, float]:
        """miou, miou_all and accuracy of held-out maps, and the mean reconstruction error in nats a pixel (`error`)."""
        matrix, errors = ConfusionMatrix(self.model.label_space), list[Tensor]()
        for batch in data.batches(self.options.batch_size):
            maps = self.maps_of(batch).to(self.model.device)
            matrix.add(self.model.reconstruct(maps), maps.resize(self.model.resolution))
            errors.append(self.model.errors(maps))
        return {**matrix.scores(), "error": float(torch.cat(errors).nanmean())}

    lower_is_better: ClassVar[frozenset[str]] = frozenset({"error"})


class PredictorTrainer(JudgeTrainer):
    """Cross entropy of a pixel and 1 - soft IoU of the shape of one class a map, drawn among those that it shows."""

    model: ShapePredictor
    lower_is_better: ClassVar[frozenset[str]] = frozenset({"error"})

    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        """Random: which class of each map is asked for."""
        yield self._step(batch, rng)

    def _step(self, batch: Batch, rng: RngLike) -> Update:
        labels = labels_at(self.maps_of(batch), self.model.config.side)
        shown = self.model.parts(labels).float()
        shown[shown.sum(1) == 0] = 1  # a map without parts asks for any class, and the answer is: nowhere
        drawn = rng.uniform("class", shape=(1,)).to(labels.device).float()
        share = shown.cumsum(1) / shown.sum(1, keepdim=True)
        classes = (share < drawn).sum(1).clamp(max=shown.shape[1] - 1)
        shape = (labels == classes[:, None, None]).float()
        logits = self.model.logits(labels, classes).float()
        guess = logits.sigmoid()
        both = (shape * guess).flatten(1).sum(1)
        missed = 1 - (both + 1) / ((shape + guess - shape * guess).flatten(1).sum(1) + 1)
        return Update(
            {"pixels": F.binary_cross_entropy_with_logits(logits, shape), "shapes": missed.mean()}, ("model",)
        )

    def validate(self, data: PairData) -> dict[str, float]:
        """The compatibility error of held-out maps (`error`): 1 - soft IoU, mean over the parts of a map, then over maps."""
        errors = [
            self.model.errors(self.maps_of(b).to(self.model.device)) for b in data.batches(self.options.batch_size)
        ]
        return {"error": float(torch.cat(errors).nanmean())}


class MobileParserTrainer(JudgeTrainer):
    """Cross entropy of the classes, from an encoder that knows ImageNet (option `backbone`)."""

    model: MobileParser
    options: MobileParserTraining

    def __init__(self, model: MobileParser, options: MobileParserTraining) -> None:
        super().__init__(model, options)
        if options.backbone == "imagenet":
            known = mobilenet_v2()
            model.stem.load_state_dict(nn.Sequential(known.conv_stem, known.bn1).state_dict())  # pyright: ignore[reportArgumentType]
            blocks = list(known.blocks)[: len(model.stages)]  # pyright: ignore[reportArgumentType]
            model.stages.load_state_dict(nn.ModuleList(blocks).state_dict())

    def prepare(self, data: PairData) -> None:
        if not data.has_images:
            raise DataError("A parser is trained on photos with maps; this data set has maps alone.")
        super().prepare(data)

    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        yield self._step(batch)

    def _step(self, batch: Batch) -> Update:
        if batch.images is None:
            raise DataError("A parser is trained on photos with maps; this data set has maps alone.")
        labels = labels_at(self.maps_of(batch), self.model.config.side)
        logits = F.interpolate(self.model.logits(batch.images), size=labels.shape[-2:], mode="bilinear")
        return Update({"cross_entropy": self.cross_entropy(logits, labels)}, ("model",))

    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        return parser_rows(self.model, batch)

    def validate(self, data: PairData) -> dict[str, float]:
        """miou over classes that at least 10 of the maps show, miou_all, accuracy: shares of 1, pooled."""
        return parser_scores(self.model, data, self.options.batch_size)
