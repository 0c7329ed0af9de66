"""What a trainer gives the training loop: networks, optimizers, rates, updates, scores, assets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from zoo.errors import ConfigError
from zoo.rng import RngLike

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from zoo.data import Batch, PairData
    from zoo.interfaces.models import Model
    from zoo.interfaces.training_options import TrainingOptions


@dataclass
class Update:
    """One optimizer step: weighted scalar losses that the loop sums, and the optimizers that take the gradient."""

    losses: dict[str, Tensor]
    optimizers: tuple[str, ...]
    logs: dict[str, Tensor | float] = field(default_factory=dict)


class Trainer(ABC):
    """The part of training that is the paper's: networks, losses, optimizers, rates.

    The loop owns devices, precision, gradients, EMA, checkpoints. For each `Update` it calls
    `backward(sum of losses, inputs=trainable parameters of the named optimizers)`, steps these optimizers and only then
    asks for the next update, so that a discriminator step sees the generator already stepped. A trainer yields the same
    optimizers in the same order for every batch and never yields inside a `with` block.

    Several processes share a batch, and the loop takes the mean of their losses, each with the weight of its samples: what is no
    mean over samples goes through `zoo.nn.one_batch` (`batch_sum`, `batch_mean`, `batch_total`), batch norms are seen to.
    """

    def __init__(self, model: Model, options: TrainingOptions) -> None:
        self.model = model
        self.options = options

    @property
    @abstractmethod
    def networks(self) -> dict[str, nn.Module]:
        """All trained networks: "model" is the model itself; others (a discriminator) by their own names."""

    @abstractmethod
    def optimizers(self) -> dict[str, Optimizer]:
        """The optimizers by name, made at the first call and the same objects afterwards."""

    @abstractmethod
    def rates(self, epoch: float, step: int) -> dict[str, float]:
        """Learning rate of each optimizer at this point (epochs and steps done so far)."""

    @abstractmethod
    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        """The updates of one batch, in order; `rng` has one stream per sample of the batch, its keys hold the step."""

    @property
    def samples_together(self) -> int:
        """So many consecutive samples of a batch stay in one process where several share it (a photo of each domain)."""
        return 1

    def prepare(self, data: PairData) -> None:  # noqa: B027 (most trainers need to know nothing)
        """Called once with the training data before the first step, and again after a resume: what the losses need to
        know about the data (class frequencies). The same data must give the same result."""

    def epoch_order(self, epoch: int, data: PairData) -> Sequence[int] | None:
        """The pairs of an epoch in order, where a paper draws them otherwise than each once: as many in every epoch, repetitions
        allowed; a function of the arguments and the options alone, and asked before `prepare`. None: a seeded permutation."""
        del epoch, data
        return None

    @property
    def fresh(self) -> tuple[str, ...]:
        """Beginnings of the names of model tensors that the weights of `--init` may lack; they keep their random start."""
        return ()

    def statistics(self, batch: Batch, rng: RngLike) -> None:
        """Run the model forward on a training batch, for batch-norm statistics of averaged weights. Needed by models that
        have batch norms and train with an EMA."""
        raise ConfigError(f"{type(self).__name__} has batch norms but no `statistics`: train with ema=0.")

    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        """Rows of pictures for the log: name to float32 [B, 3, H, W] in [0, 1]."""
        return {}

    def validate(self, data: PairData) -> dict[str, float]:
        """Scores on held-out data; the first one decides which checkpoint is the best (higher is better unless its
        name is in `lower_is_better`)."""
        return {}

    lower_is_better: ClassVar[frozenset[str]] = frozenset()

    def settle(self, data: PairData) -> None:  # noqa: B027 (most trainers have nothing to add)
        """Called once at the end, with the published weights (as they are stored) and the new assets in the model, in evaluation
        mode: what is estimated from training data beside the weights, such as batch-norm statistics."""

    def finish(self, data: PairData) -> dict[str, Any]:
        """Assets computed from the training data with the final weights: what `Model.fit_asset` gives for each name."""
        fitted = {name: self.model.fit_asset(name, data, self.options) for name in self.model.ASSETS}
        return {name: value for name, value in fitted.items() if value is not None}
