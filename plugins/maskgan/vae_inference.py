"""The inference form of MaskVAE: the plain networks' numbers to rounding, norms folded into the convolutions before them."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from zoo.inference.packed import pack
from zoo_plugins.maskgan.vae_networks import MapDecoder, MapEncoder


class FastEncoder(MapEncoder):
    """A `MapEncoder` for inference."""

    def __init__(self, encoder: MapEncoder) -> None:
        nn.Module.__init__(self)  # not MapEncoder's: the layers are the given one's
        self.classes, self.mu, self.log_var = encoder.classes, encoder.mu, encoder.log_var
        self.layers = nn.ModuleList(folded(layer) for layer in encoder.layers)


class FastDecoder(MapDecoder):
    """A `MapDecoder` for inference."""

    def __init__(self, decoder: MapDecoder) -> None:
        nn.Module.__init__(self)  # not MapDecoder's: the layers are the given one's
        self.start, self.out = decoder.start, pack(decoder.out)
        self.layers = nn.ModuleList(folded(layer) for layer in decoder.layers)


def folded(layer: nn.Module) -> nn.Sequential:
    """A convolution with its batch norm as one, and the activation after it."""
    assert isinstance(layer, nn.Sequential)
    conv, norm, activation = layer
    assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    return nn.Sequential(pack(fuse_conv_bn_eval(conv, norm)), activation)
