"""The encoder: a latent for the picture, and one for every class at every layer (paper section 3.2.2)."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.encoders import ConvEncoder
from zoo_plugins.clvae.config import LEVELS, CLVAEConfig
from zoo_plugins.clvae.regions import find_regions


class Codes(NamedTuple):
    """Posteriors of a batch; classes, L layers (coarsest first) and N numbers as in `ClassEncoder`.

    mu, logvar: [B, z_dim], of the whole picture. class_mu, class_logvar: [B, K, L, N] of the K classes `classes` (channels,
    int64, ascending) that occur in some map of the batch, zeros where `visible` [B, K, L] is False; K = 1 without class-wise
    latents. present: bool [B, K], the class has a pixel in the map.
    """

    mu: Tensor
    logvar: Tensor
    class_mu: Tensor
    class_logvar: Tensor
    classes: Tensor
    visible: Tensor
    present: Tensor


def roi_max_pool(feature: Tensor, labels: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Eq. 17 for all classes at once: the maximum of each channel over each class's pixels.

    feature [B, c, h, w], labels int64 [B, h, w] in 0..count-1 -> (maxima [B, count, c], zeros for classes without a pixel;
    visible bool [B, count]). One scatter, whatever the number of classes.
    """
    batch, channels = feature.shape[:2]
    rows = (labels + count * torch.arange(batch, device=labels.device)[:, None, None]).flatten()
    values = rearrange(feature, "b c h w -> (b h w) c")
    start = values.new_zeros(batch * count, channels)
    maxima = start.scatter_reduce(0, rows[:, None].expand_as(values), values, "amax", include_self=False)
    visible = torch.zeros(batch * count, dtype=torch.bool, device=labels.device)
    visible[rows] = True
    return rearrange(maxima, "(b k) c -> b k c", b=batch), rearrange(visible, "(b k) -> b k", b=batch)


def linear_rows(layer: nn.Linear, rows: Tensor) -> Tensor:
    """`layer` over the last axis of [B, K, c]; on the CPU in float32 each row by itself, by a convolution that goes sample by sample.

    A matrix product sums in another order when it has several rows. The authors call the layer for one class of one image, and
    case C of the golden vectors amplifies that last bit a thousandfold; also a class's latent then depends on no other class.
    """
    plain = rows.device.type == "cpu" and rows.dtype == layer.weight.dtype == torch.float32
    if not plain or torch.is_autocast_enabled("cpu"):
        return layer(rows)
    pixels, kernel = rows.flatten(0, 1)[..., None, None], layer.weight[..., None, None]
    outputs = torch.ops.aten.thnn_conv2d(pixels, kernel, [1, 1], layer.bias, [1, 1], [0, 0])
    return outputs[..., 0, 0].unflatten(0, rows.shape[:2])


class ClassEncoder(ConvEncoder):
    """SPADE's encoder with one pair of linear heads per layer, shared by all classes.

    forward: images [B, 3, H, W] in [-1, 1] and channels int64 [B, H, W] of the same size -> `Codes`. Both are resized to
    `encoder_size` (image bilinear, map nearest).
    """

    def __init__(self, config: CLVAEConfig, n_local: int) -> None:
        full = config.encoder_size >> (LEVELS + 1)
        super().__init__(
            config.nef or config.ngf,
            config.z_dim,
            size=config.encoder_size,
            norm=config.encoder_norm,
            depth=config.layers,
            grid=full,
        )
        self.taps, self.classwise, self.n_local = config.taps, config.classwise, n_local
        self.local_mu = nn.ModuleDict({str(tap): nn.Linear(self.widths[tap - 1], n_local) for tap in self.taps})
        self.local_var = nn.ModuleDict({str(tap): nn.Linear(self.widths[tap - 1], n_local) for tap in self.taps})

    def forward(self, images: Tensor, channels: Tensor) -> Codes:  # type: ignore[override]
        features = self.features(images)
        mu, logvar = self.head(features[-1])
        if not self.classwise:
            channels = torch.zeros_like(channels)  # one region: everything
        regions = find_regions(channels, (self.size, self.size))
        count = len(regions.classes)
        pooled = [roi_max_pool(features[tap - 1], regions.pyramid[tap], count) for tap in self.taps]
        batch = len(images)
        class_mu = self._heads(self.local_mu, pooled, (batch, count))
        class_logvar = self._heads(self.local_var, pooled, (batch, count))
        present = torch.zeros(batch, count, dtype=torch.bool, device=channels.device)
        present.scatter_(1, regions.pyramid[0].flatten(1), True)
        visible = torch.stack([seen for _, seen in pooled], 2) if pooled else present[:, :, None][:, :, :0]
        return Codes(mu, logvar, class_mu, class_logvar, regions.classes, visible, present)

    def _heads(self, heads: nn.ModuleDict, pooled: list[tuple[Tensor, Tensor]], shape: tuple[int, int]) -> Tensor:
        """One call per layer for all classes of all images: [B, K, L, N], zeros where a class is not visible."""
        rows = [
            # the maximum commutes with the activation, which is monotone
            linear_rows(cast(nn.Linear, heads[str(tap)]), F.leaky_relu(maxima, 0.2)) * seen[:, :, None]
            for tap, (maxima, seen) in zip(self.taps, pooled, strict=True)
        ]
        return torch.stack(rows, 2) if rows else self.fc_mu.weight.new_zeros(*shape, 0, self.n_local)
