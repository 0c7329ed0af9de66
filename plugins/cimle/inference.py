"""The inference form of cIMLE: what the map alone gives each first convolution, made once for all noises."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from zoo.families.crn.inference import FoldedCascade, PackedRefine, SplitRefine
from zoo.inference.columns import Content
from zoo.inference.packed import pack
from zoo_plugins.cimle.config import CIMLEConfig
from zoo_plugins.cimle.generator import Generator


class FoldedGenerator(nn.Module):
    """A `Generator` for inference."""

    def __init__(self, generator: Generator, config: CIMLEConfig) -> None:
        super().__init__()
        self.cascade = FoldedCascade(generator, codes=config.noise)
        self.enter = SplitRefine(generator.g_noise_conv1, generator.planes, config.noise)
        self.inner = PackedRefine(generator.g_noise_conv2)
        self.leave = pack(generator.g_noise_conv3)

    def labels(self, values: Tensor, content: Content) -> tuple[Tensor, ...]:
        """What the label planes give the noise encoder, and then each module, the coarsest first."""
        return (self.enter.columns(values, content), *self.cascade.labels(values, content))

    def render(self, labels: Sequence[Tensor], noise: Tensor) -> Tensor:
        """Pictures [S, 1, 3, H, W] from `labels` of one map or as many, and noise [S, noise, H, W]."""
        first, *modules = labels
        code = self.leave(self.inner(self.enter(first, None, noise.to(first))))
        return self.cascade.pictures(self.cascade.features(modules, code))
