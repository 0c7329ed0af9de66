"""What the trainings of CRN and cIMLE share: one network, one Adam with a constant rate, one loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from zoo.api import load
from zoo.data import Batch, PairData
from zoo.errors import DataError
from zoo.families.crn.options import CascadeOptions
from zoo.families.crn.perceptual import Pixels, check_divisors, differences, refinement_features
from zoo.families.crn.synthesizer import CascadeSynthesizer
from zoo.interfaces.models import Model
from zoo.interfaces.trainers import Trainer, Update
from zoo.nn.takeover import take_over
from zoo.rng import RngLike

VALIDATION_BATCH = 4
SHOWN = 4


class CascadeTrainer(Trainer):
    """A subclass says what the loss of a batch is (`loss`), and may say what is trained (`parameters`)."""

    lower_is_better: ClassVar[frozenset[str]] = frozenset({"l1"})

    def __init__(self, model: Model, options: CascadeOptions) -> None:
        """Raises WeightsError for features that cannot be had, UsageError for a `load_pretrain` that does not fit."""
        super().__init__(model, options)
        self.synthesizer = cast(CascadeSynthesizer, model)
        self.options: CascadeOptions = options
        self.features = refinement_features(options.perceptual, load)
        only_pixels = isinstance(self.features, Pixels) and self.features.parser is None
        self.divisors = options.divisors[:1] if only_pixels else options.divisors
        self._checked = False
        if options.load_pretrain:
            take_over(self.synthesizer, load(options.load_pretrain), options.load_pretrain)
        self._optimizer: Adam | None = None

    # --- what a system says ---------------------------------------------------------------------------------------

    def parameters(self) -> list[nn.Parameter]:
        """What is trained."""
        return list(self.synthesizer.parameters())

    def loss(self, planes: Tensor, real: Tensor) -> Tensor:
        """The loss of a batch: planes [B, classes, H, W], photos [B, 3, H, W] in [-1, 1]."""
        raise AttributeError(f"{type(self).__name__} says no loss.")

    # --- the loop's side ------------------------------------------------------------------------------------------

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"model": self.synthesizer}

    def optimizers(self) -> dict[str, Optimizer]:
        """Names: generator. Adam with torch's eps, added after the bias correction (TensorFlow adds it before)."""
        if self._optimizer is None:
            self._optimizer = Adam(self.parameters(), lr=self.options.lr)
        return {"generator": self._optimizer}

    def rates(self, epoch: float, step: int) -> dict[str, float]:
        return {"generator": self.options.lr}

    def prepare(self, data: PairData) -> None:
        """Raises DataError for maps without photos, before anything is written."""
        if not data.has_images:
            raise DataError(
                f"{self.synthesizer.title} learns from photos with their maps, and this data set holds maps alone."
            )

    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        yield Update({"perceptual": self.loss(*self.inputs(batch))}, ("generator",))

    def inputs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """One-hot planes and photos in [-1, 1]."""
        assert batch.images is not None  # `prepare` has seen to it
        planes, real = self.synthesizer.planes(batch.maps), self.synthesizer.fit_image(batch.images) * 2 - 1
        self.features.to(real.device)
        return planes, real

    def differences(self, fakes: Tensor, real: Tensor) -> list[Tensor]:
        """As `perceptual.differences`. Raises ConfigError if `divisors` are of another number."""
        levels = differences(self.features, fakes, real)
        self.check(len(levels))
        return levels

    def check(self, levels: int) -> None:
        """Raise ConfigError if `divisors` are not as many as the levels of the features."""
        if not self._checked:
            check_divisors(self.divisors, levels)
            self._checked = True

    # --- looking at it --------------------------------------------------------------------------------------------

    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        """Map, photo, and pictures in up to four drawn styles."""
        assert batch.images is not None
        model = self.synthesizer
        layout = model.layout(batch.maps)
        rows = {"map": layout.semantic_map.colorize(), "photo": model.fit_image(batch.images)}
        for i in range(SHOWN if model.styles else 1):
            rows[f"image {i + 1}"] = model.synthesize(layout, rng=rng.within("preview", i))
        return rows

    @torch.no_grad()
    def validate(self, data: PairData) -> dict[str, float]:
        """l1: mean |image - photo| on [-1, 1] over all pairs, in the mean style where there is one (lower is better)."""
        total, count = 0.0, 0
        for batch in data.batches(VALIDATION_BATCH):
            if batch.images is None:
                raise DataError(
                    f"Validation of {self.synthesizer.title} needs photos, and this data set holds maps alone."
                )
            photos = self.synthesizer.fit_image(batch.images)
            total += 2 * F.l1_loss(self._reconstruct(batch), photos).item() * len(photos)
            count += len(photos)
        return {"l1": total / max(count, 1)}

    def _reconstruct(self, batch: Batch) -> Tensor:
        model: Any = self.synthesizer
        style = model.sample_style(batch.maps, prior="mean") if model.styles else None
        return model.synthesize(batch.maps, style)
