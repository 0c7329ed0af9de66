"""What a discriminator and a generator are set against each other with, where that is not SPADE's loss on maps of scores."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from zoo.families.spade.options import GanOptions
from zoo.labels import LabelSpace
from zoo.nn.labels import LabelInput
from zoo.rng import RngLike

UNLABELED = ("unlabeled", "unknown", "void")
"""Names of a background that stands for pixels which nobody labelled."""


class Objective(ABC):
    """The adversarial losses of both steps of an iteration, around one discriminator.

    A discriminator class names its objective in the attribute `objective`, a name in the table `losses` of the plugins, which is a
    subclass of this one. Pictures are [B, 3, H, W] in [-1, 1]; labels are channels int64 [B, H, W] of the network, -1 where a pixel
    has none (outside of what an augmentation left). Both methods run in training mode, and what they ask of the discriminator is
    all that it is asked in the step.
    """

    def __init__(self, network: nn.Module, label_input: LabelInput, options: GanOptions) -> None:
        self.network, self.label_input, self.options = network, label_input, options

    @abstractmethod
    def generator(self, fake: Tensor, labels: Tensor) -> Tensor:
        """The generator's adversarial loss, a scalar."""

    @abstractmethod
    def discriminator(
        self, fake: Tensor, real: Tensor, labels: Tensor, rng: RngLike, step: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor | float]]:
        """(weighted losses of the discriminator by name, numbers for the log). rng: one stream per sample; keys hold the step."""


def unlabeled_channel(label_input: LabelInput, choice: str) -> int | None:
    """The channel of pixels without a label, None if there is none. choice: see `GanOptions.unlabeled`.

    Raises LabelError for a class that the label space lacks.
    """
    space = label_input.space
    if choice == "none" or (choice == "auto" and not _nameless(space)):
        return None
    value = space.index(space.background if choice == "auto" and space.background is not None else choice)
    return int(label_input.table[value])


def _nameless(space: LabelSpace) -> bool:
    """Whether the background of a space is what nobody labelled, and not one more thing to be seen."""
    return space.background in UNLABELED
