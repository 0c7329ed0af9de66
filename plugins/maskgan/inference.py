"""The inference form of MaskGAN's network: equal to the plain one, its first convolution over a map a sum of kernel columns."""

from __future__ import annotations

from torch import Tensor, nn

from zoo.inference.columns import Content, LabelConv
from zoo_plugins.maskgan.generator import Generator, Plan


class FoldedGenerator(Generator):
    """A `Generator` for inference."""

    def __init__(self, generator: Generator) -> None:
        nn.Module.__init__(self)  # not Generator's: the layers are the given one's
        self.layers, self.start, self.model = generator.layers, generator.start, generator.model
        self.enc_style, self.enc_label = generator.enc_style, generator.enc_label
        conv = self.model[1]
        assert isinstance(conv, nn.Conv2d)
        self.columns = LabelConv(conv, reflect=True)

    def plan_of(self, values: Tensor, content: Content) -> Plan:
        """As `plan`, from a map's values. values, content: of a `LabelInput`."""
        x = self.columns(values, content).contiguous()  # instance norms take longer with channels last
        for i in range(2, self.start):
            x = self.model[i](x)
        return Plan(x, next(self.blocks()).first(x))
