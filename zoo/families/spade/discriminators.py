"""Patch discriminators at one and at several scales (pix2pixHD, SPADE)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nn.labels import shown_channels
from zoo.nn.norms import conv_norm

if TYPE_CHECKING:
    from zoo.families.spade.options import GanOptions
    from zoo.nn.labels import LabelInput


class Opinion(NamedTuple):
    """What a discriminator says of a batch.

    scores: score maps [B, 1, h, w], one per scale. features: inner layers in groups (one group per scale, or one in all);
    feature matching sums within a group and averages over the groups. verdict: the generator's adversarial loss where the
    discriminator's objective is its own (`zoo.families.spade.objectives`); else it comes from the scores.
    """

    scores: list[Tensor]
    features: list[list[Tensor]]
    verdict: Tensor | None = None

    def split(self) -> tuple[Opinion, Opinion]:
        """(fake, real) of a batch that held fakes first and as many reals after them."""
        half = len(self.scores[0]) // 2
        parts = (slice(None, half), slice(half, None))
        fake, real = (Opinion([s[p] for s in self.scores], [[f[p] for f in g] for g in self.features]) for p in parts)
        return fake, real


class Labels(NamedTuple):
    """What maps show. planes: [b, K, H, W], b maps for n * b pictures (map i for pictures i, b + i, …); channels: int64 [K], the
    network's channels that they are; all others hold zeros."""

    planes: Tensor
    channels: Tensor


def opinion(outputs: list[list[Tensor]]) -> Opinion:
    """The outputs of `MultiscaleDiscriminator` as an Opinion: the last layer of each scale is its score map."""
    return Opinion([scale[-1] for scale in outputs], [scale[:-1] for scale in outputs])


class PatchDiscriminator(nn.Module):
    """PatchGAN: `n_layers` 4x4 convolutions and a 1-channel output convolution; padding 2 everywhere.

    The first layer has no norm, all but the last of the `n_layers` have stride 2, widths double up to 512.
    last_stride: stride of the last of the `n_layers` (pix2pixHD and SPADE 1, Semantic-VAE 2). bias: in front of norms too (pix2pixHD).
    forward: [B, channels, H, W] -> list of the outputs of all n_layers + 1 convolutions; the last is the score map [B, 1, h, w].
    With `labels` x holds the last channels alone (the pictures), and the labels the others: the same sums, without the products
    with channels that are empty.
    """

    def __init__(
        self,
        channels: int,
        width: int = 64,
        n_layers: int = 4,
        norm: str = "spectralinstance",
        last_stride: int = 1,
        *,
        bias: bool = False,
    ) -> None:
        super().__init__()
        layers = [nn.Sequential(nn.Conv2d(channels, width, 4, 2, 2), nn.LeakyReLU(0.2))]
        for i in range(1, n_layers):
            before, width = width, min(2 * width, 512)
            stride = last_stride if i == n_layers - 1 else 2
            layers.append(nn.Sequential(conv_norm(norm, before, width, 4, stride, 2, bias=bias), nn.LeakyReLU(0.2)))
        layers.append(nn.Sequential(nn.Conv2d(width, 1, 4, 1, 2)))
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, labels: Labels | None = None) -> list[Tensor]:
        outputs = []
        for layer in self.layers:
            x = layer(x) if outputs or labels is None else self._first(x, labels)
            outputs.append(x)
        return outputs

    def _first(self, images: Tensor, labels: Labels) -> Tensor:
        """The first layer. Its convolution is a sum over channels: that over the labels once per map, and without a gradient to them."""
        conv, activation = self.layers[0]  # type: ignore[misc]
        shown, pictures = conv.weight.index_select(1, labels.channels), conv.weight[:, -images.shape[1] :]
        of_map = F.conv2d(labels.planes, shown, conv.bias, conv.stride, conv.padding)
        of_picture = F.conv2d(images, pictures, None, conv.stride, conv.padding)
        return activation((of_picture.unflatten(0, (-1, len(of_map))) + of_map).flatten(0, 1))


class MultiscaleDiscriminator(nn.Module):
    """Copies of `PatchDiscriminator`, each seeing the input at half the size of the one before (average pooling 3x3, stride 2).

    forward: [B, channels, H, W] -> per scale (finest first) the list of layer outputs, its last entry the score map. labels: as there.
    """

    def __init__(
        self,
        channels: int,
        width: int = 64,
        n_layers: int = 4,
        scales: int = 2,
        norm: str = "spectralinstance",
        last_stride: int = 1,
        *,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(
            PatchDiscriminator(channels, width, n_layers, norm, last_stride, bias=bias) for _ in range(scales)
        )

    @classmethod
    def of(cls, label_input: LabelInput, options: GanOptions) -> Self:
        """For maps of these planes (`zoo.families.spade.joining`)."""
        o = options
        return cls(label_input.channels + 3, o.ndf, o.n_layers_d, o.num_d, o.norm_d)

    def judge(self, images: Tensor, planes: Tensor) -> Opinion:
        """Images [B, 3, H, W] in [-1, 1] with their maps' planes [b, planes, H, W]: B is a multiple of b, and map i is that of the
        images i, b + i, ….

        On a CPU only planes that hold anything are convolved, once for all images of a map; a GPU would wait for their number.
        """
        if planes.device.type != "cpu":
            planes = planes.repeat(len(images) // len(planes), 1, 1, 1)
            return opinion(self(torch.cat([planes, images], 1)))
        channels = shown_channels(planes)
        return opinion(self(images, Labels(planes.index_select(1, channels), channels)))

    def forward(self, x: Tensor, labels: Labels | None = None) -> list[list[Tensor]]:
        outputs = []
        for i, discriminator in enumerate(self.discriminators):
            if i:
                x = _halved(x)
                labels = None if labels is None else labels._replace(planes=_halved(labels.planes))
            outputs.append(discriminator(x, labels))
        return outputs


def _halved(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)


def split_pair(outputs: list[list[Tensor]]) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
    """Split the outputs of a batch that held fakes first and as many reals after them into (fake, real)."""
    fake = [[t[: len(t) // 2] for t in scale] for scale in outputs]
    real = [[t[len(t) // 2 :] for t in scale] for scale in outputs]
    return fake, real
