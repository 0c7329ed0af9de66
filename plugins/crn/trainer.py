"""Training of CRN: a regression to VGG's features, of several pictures the best one for each class."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.families.crn.losses import class_terms, diversity_loss, weighted_terms
from zoo.families.crn.trainer import CascadeTrainer
from zoo.plugin import ConfigError, Model
from zoo_plugins.crn.config import CRNOptions
from zoo_plugins.crn.model import CRN


class CRNTrainer(CascadeTrainer):
    """Per batch one step (docs/papers/crn.md, "Training"). Nothing is random."""

    options: CRNOptions
    synthesizer: CRN

    def __init__(self, model: Model, options: CRNOptions) -> None:
        """Raises ConfigError for more modules in `train_last` than there are, and as `CascadeTrainer`."""
        super().__init__(model, options)
        if options.train_last > len(self.synthesizer.config.widths):
            raise ConfigError(
                f"train_last={options.train_last}, and there are {len(self.synthesizer.config.widths)} modules."
            )

    def parameters(self) -> list[torch.nn.Parameter]:
        """What is trained: all, or the last modules with the last convolution."""
        generator, last = self.synthesizer.generator, self.options.train_last
        heights = generator.heights[-last:] if last else generator.heights
        marks = tuple(f"g_{height}_" for height in heights)
        return [p for name, p in generator.named_parameters() if name.startswith(marks)]

    def loss(self, planes: Tensor, real: Tensor) -> Tensor:
        """The mean over the batch of: the diversity loss, with one picture the plain one. planes [B, classes, H, W]; real in [-1, 1]."""
        pictures = self.synthesizer.generator(planes)
        losses = []
        for fakes, photo, labels in zip(pictures, real, planes, strict=True):
            levels = self.differences(fakes, photo[None])
            if len(fakes) > 1:
                losses.append(diversity_loss(torch.stack(class_terms(levels, labels, self.divisors)).sum(0)))
            else:
                losses.append(torch.stack(weighted_terms(levels, self.divisors)).sum())
        return torch.stack(losses).mean()
