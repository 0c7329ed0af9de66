"""The inference form of MaskVAE: the plain networks' numbers to rounding, norms folded into the convolutions before them."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from zoo.inference.packed import pack
from zoo_plugins.maskgan.vae_networks import SLOPE, MapDecoder, MapEncoder, doubled


class FastEncoder(nn.Module):
    """A `MapEncoder` for inference, from channel numbers."""

    def __init__(self, encoder: MapEncoder) -> None:
        super().__init__()
        self.layers = nn.ModuleList(pack(fuse_conv_bn_eval(conv, norm)) for conv, norm, _ in encoder.layers)  # pyright: ignore
        self.mu, self.log_var = encoder.mu, encoder.log_var

    def of_channels(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Channels int64 [B, side, side] -> mean and log variance [B, latent]."""
        first = self.layers[0]
        x = F.one_hot(numbers, first.weight.shape[1]).permute(0, 3, 1, 2).to(first.weight.dtype)  # pyright: ignore
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE)
        x = x.flatten(1)
        return self.mu(x), self.log_var(x)


class FastDecoder(MapDecoder):
    """A `MapDecoder` for inference."""

    def __init__(self, decoder: MapDecoder) -> None:
        nn.Module.__init__(self)  # not MapDecoder's: the layers are the given one's
        self.start, self.out = decoder.start, pack(decoder.out)
        self.layers = nn.ModuleList(pack(fuse_conv_bn_eval(conv, norm)) for conv, norm, _ in decoder.layers)  # pyright: ignore

    def forward(self, z: Tensor) -> Tensor:
        x = self.spread(z)
        for layer in self.layers:
            x = F.leaky_relu(layer(doubled(x)), SLOPE)
        return self.out(doubled(x)).float()
