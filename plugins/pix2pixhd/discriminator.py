"""pix2pixHD's multiscale discriminator, for `--set discriminator=pix2pixhd.multiscale` of other synthesizers."""

from __future__ import annotations

from typing import Self

from zoo.families.spade.discriminators import MultiscaleDiscriminator
from zoo.families.spade.options import GanOptions
from zoo.nn.labels import LabelInput


class BiasedDiscriminator(MultiscaleDiscriminator):
    """SPADE's, whose convolutions have biases in front of norms too (docs/papers/pix2pixhd.md, "Discriminator")."""

    @classmethod
    def of(cls, label_input: LabelInput, options: GanOptions) -> Self:
        """For maps of `label_input.channels` planes and a photo; width, layers, scales and norm are the options'. Its own are
        `ndf=64`, `n_layers_d=3`, `num_d=2`, `norm_d=instance`, `gan_mode=ls`."""
        o = options
        return cls(label_input.channels + 3, o.ndf, o.n_layers_d, o.num_d, o.norm_d, bias=True)
