"""Config of CA2SIS and its variants. Defaults are those of the authors' demo (48,985,019 parameters). No torch in here."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

from zoo.families.spade.options import SMALL_TRAINING, GanOptions
from zoo.plugin import SIDE, ConfigError, Variant, at_most


@dataclass(frozen=True)
class CA2SISConfig:
    """Sizes and switches of layout encoder, style encoder and decoder (docs/papers/ca2sis.md, "Architecture")."""

    label_space: str = "celebamask-hq"
    """Vocabulary that the public side speaks."""
    channels: tuple[str, ...] = ()
    """Class names in the network's channel order; empty: the label space's. The background has a style, and no part in the layout."""
    resolution: int = at_most(SIDE, 256)
    """Height and width of the images, `sqrt(latent) * 2**(len(widths) - 1)`."""
    layout_side: int = at_most(SIDE, 128)
    """Side to which each part's plane is resized (nearest) before the linear layer."""
    latent: int = 256
    """Numbers per part in the layout; a square, because they are read as a plane of `sqrt(latent)` a side."""
    width: int = 512
    """Channels after the 1x1 convolution over the parts' planes."""
    widths: tuple[int, ...] = (256, 128, 64, 32, 32)
    """Channels after each residual block; the first keeps the side, the others double it."""
    groups: int = 32
    """Groups of every group norm of the decoder."""
    heads: tuple[int, ...] = (8, 8, 8, 8, 4)
    """Attention heads after each block."""
    head_sizes: tuple[int, ...] = (64, 64, 64, 64, 32)
    """Channels per head."""
    self_attention: int = 3
    """How many of the attention layers, from the coarsest, also look at the picture itself (not `no_self_last_layers`: all)."""
    style_features: int = 4
    """Channels per class of the style encoder's first layer (`style_enc_feat_dim`); they double at each of its strides."""
    style_layers: int = at_most(16, 6)
    """Strided layers of the style encoder; one scale fewer gives tokens (`multi_scale_style_enc`)."""
    style_dim: int = 256
    """Numbers per class and scale; a class's token is those of all scales together."""
    tanh: bool = False
    """End with a tanh, as the authors' separate repository does. The bundled model's pictures are unbounded and get clipped."""

    @property
    def grid(self) -> int:
        """Side of the plane that a part's code becomes."""
        return isqrt(self.latent)

    @property
    def scales(self) -> int:
        """Scales of the style encoder that give tokens."""
        return self.style_layers - 1

    def __post_init__(self) -> None:
        faults = []
        if self.latent < 1 or self.grid**2 != self.latent:
            faults.append(f"latent must be a square such as 256, got {self.latent}")
        elif self.widths and self.resolution != (side := self.grid << (len(self.widths) - 1)):
            faults.append(f"resolution must be sqrt(latent) * 2**(len(widths) - 1) = {side}, got {self.resolution}")
        if not self.widths or not len(self.heads) == len(self.head_sizes) == len(self.widths):
            faults.append("widths, heads and head_sizes need the same number of entries, at least one")
        bad = [w for w in (self.width, *self.widths) if self.groups < 1 or w < 1 or w % self.groups]
        if bad:
            faults.append(f"widths {bad} are no multiples of groups={self.groups}")
        if self.style_layers < 2 or self.resolution % 2**self.style_layers:
            faults.append(
                f"style_layers must be at least 2 and 2**style_layers divide the resolution, got {self.style_layers}"
            )
        if min(self.layout_side, self.style_features, self.style_dim, *self.heads, *self.head_sizes, 1) < 1:
            faults.append("layout_side, style_features, style_dim, heads and head_sizes must be at least 1")
        if not 0 <= self.self_attention <= len(self.widths):
            faults.append(f"self_attention must lie in 0..{len(self.widths)}, got {self.self_attention}")
        if faults:
            raise ConfigError("CA2SISConfig: " + "; ".join(faults) + ".")


@dataclass(frozen=True)
class CA2SISOptions(GanOptions):
    """Training options; defaults as in the authors' option class (the paper says nothing about this network).

    Released without a training script, with a discriminator that is hard-wired to 19 inputs: that the photo's three are
    added to the map's channels is our reading, and that a photo is made again from its own map and style. There is no
    KL term: `lambda_kld` and `kld_mean` have nothing to weigh.
    """

    niter: int = 20
    """Epochs at the full rate (the authors' other repository: 50)."""
    niter_decay: int = 20
    """Epochs of linear decay to 0 after them (there: 50)."""
    n_layers_d: int = 3
    """Strided layers of each discriminator."""


VARIANTS: dict[str, Variant] = {
    "celeba": Variant(
        CA2SISConfig(),
        CA2SISOptions(steps=1_120_000, flip=True, preprocess="resize_and_crop", load_size=286),
        title="official CelebAMask-HQ, 256 px, 49 M parameters",
    ),
    "celeba-128": Variant(
        CA2SISConfig(
            resolution=128, layout_side=64, latent=64, width=160, widths=(128, 96, 64, 48, 32), groups=16, heads=(4, 4, 4, 4, 2),
            head_sizes=(32, 32, 32, 32, 16), self_attention=2, style_features=2, style_layers=5, style_dim=64, tanh=True,
        ),
        CA2SISOptions(**SMALL_TRAINING),
        title="ours: 128 px, small enough to embed",
    ),
}  # fmt: skip
