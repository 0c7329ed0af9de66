"""The discriminators that SC-GAN's code offers: multiscale, FPSE, and FPSE with an encoder of conditional convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, cast

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.discriminators import MultiscaleDiscriminator
from zoo.families.spade.fpse import FPSEDiscriminator, FPSEMDiscriminator, conv_block
from zoo.nn.resample import binomial_blur
from zoo_plugins.scgan.blocks import SCC
from zoo_plugins.scgan.config import SCGANConfig, SCGANOptions

Routing = Literal["routing", "srouting", "selfrouting"]


class RoutedFPSE(FPSEDiscriminator):
    """FPSE whose encoder is made of stride-2 SCCs, mixed by semantic vectors (used by no official config).

    routing "routing": the generator's raw logits at each size; "srouting": softmax(temperature * their mean over the
    picture); "selfrouting": the same of a 1x1 convolution on the features before (the first layer is a plain convolution).
    smooth: blur every SCC's output (unlike FPSE, which blurs the coarsest features; officially on with "srouting").
    forward takes `logits`: per scale [b, n, h, w], coarsest first, repeated over the batch of images if b is a part of it.
    """

    def __init__(
        self,
        label_channels: int,
        width: int = 64,
        *,
        n: int = 3,
        routing: Routing = "routing",
        temperature: float = 0.05,
        smooth: bool = False,
    ) -> None:
        nn.Module.__init__(self)
        self.n, self.routing, self.temperature = n, routing, temperature
        super().__init__(label_channels, width, "instance")  # only the candidates have spectral norm
        self.blurred = smooth
        if routing == "selfrouting":
            self.heads = nn.ModuleList(nn.Conv2d(m * width, n, 1) for m in (1, 2, 4, 8))

    def _encoders(self, widths: Sequence[int], norm: str) -> nn.ModuleList:
        layers: list[nn.Module] = [SCC(a, b, self.n, stride=2) for a, b in pairwise(widths)]
        if self.routing == "selfrouting":
            layers[0] = conv_block(norm, widths[0], widths[1], 3, 2)
        return nn.ModuleList(layers)

    def encode(self, x: Tensor, logits: Sequence[Tensor] | None) -> list[Tensor]:
        features = []
        for i, layer in enumerate(self.encoders):
            if isinstance(layer, SCC):
                x = layer(x, self._mixture(i, x, logits))
                x = F.leaky_relu(F.instance_norm(binomial_blur(x) if self.blurred else x), 0.2)
            else:
                x = layer(x)
            features.append(x)
        return features

    def _mixture(self, i: int, x: Tensor, logits: Sequence[Tensor] | None) -> Tensor:
        """The semantic vectors of layer i, [B, n, h, w] or [B, n, 1, 1]."""
        if self.routing == "selfrouting":
            return self._global(self.heads[i - 1](x))
        if logits is None:
            raise ValueError("A routed discriminator needs the generator's logits.")
        v = logits[-2 - i]  # the size of the layer's output: half the picture first
        v = v.repeat(len(x) // len(v), 1, 1, 1)
        return v if self.routing == "routing" else self._global(v)

    def _global(self, logits: Tensor) -> Tensor:
        return (self.temperature * logits.float().mean((2, 3), keepdim=True)).softmax(1)


def build_discriminator(config: SCGANConfig, options: SCGANOptions, label_channels: int) -> nn.Module:
    """The network that `options.discriminator` names (projected: `GanTrainer` has its own)."""
    o = options
    if o.discriminator == "multiscale":
        return MultiscaleDiscriminator(label_channels + 3, o.ndf, o.n_layers_d, o.num_d, o.norm_d)
    if o.discriminator == "fpse":
        return FPSEDiscriminator(label_channels, o.ndf, o.norm_d, smooth=o.smooth_d)
    if o.discriminator == "fpsem":
        return FPSEMDiscriminator(label_channels, o.ndf, o.norm_d)
    routing = cast(Routing, o.discriminator)
    return RoutedFPSE(
        label_channels, o.ndf, n=config.n_conv, routing=routing, temperature=config.temperature, smooth=o.smooth_d
    )  # fmt: skip
