"""Config of SEAN and its variants. Defaults are the official CelebAMask-HQ ones (266,907,367 parameters). No torch in here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from zoo.families.spade.options import PROJECTED, SMALL_TRAINING, GanOptions
from zoo.families.spade.sizes import GridSizes
from zoo.plugin import SIDE, ConfigError, Variant, at_most

STYLED = ("head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2")
"""The blocks that read style codes, coarsest first (the paper's first six residual blocks)."""


@dataclass(frozen=True)
class SEANConfig(GridSizes):
    """Sizes and switches of generator and style encoder. Names of the official options are given where they differ."""

    label_space: str = "celebamask-hq"
    """Vocabulary that the public side speaks."""
    channels: tuple[str, ...] = ()
    """Class names in the network's channel order; empty: the label space's order."""
    edges: bool = False
    """Append the instance edge map as one more plane (not `no_instance`). It is a region of its own, with its own style code, and lies
    over the classes. A map without instance numbers gives the borders of its labels, and its layout says so."""
    resolution: int = at_most(SIDE, 256)
    """Width of the images (`crop_size`); a multiple of 32 ("more": 64). Maps of another size are resized."""
    aspect_ratio: float = 1.0
    """Width divided by height."""
    ngf: int = 64
    """Width of the generator."""
    max_width: int = 0
    """Cap on the generator's channels, which are 16 ngf at the coarsest scales; 0: none (official). Ours, for small models."""
    norm: str = "spectralspadesyncbatch3x3"
    """`norm_G`: [spectral]spade{syncbatch,batch,instance}KxK. The kind is that of the inner SPADE, whose norm is never called: the
    norm before the modulation is always the synchronised batch norm (as in the code)."""
    spade_hidden: int = 128
    """Hidden channels of the inner SPADE (128 is hard-coded officially)."""
    upsampling: Literal["normal", "more"] = "normal"
    """Five or six doublings from the start grid (`num_upsampling_layers`; "most" fails officially)."""
    style_dim: int = 512
    """Numbers of a style code (512 is hard-coded officially)."""
    style_width: int = 32
    """Channels of the style encoder's first layer (32 is hard-coded officially); 2, 4 and 8 times that behind it."""
    style_regions: int = 19
    """Regions that have a linear layer of their own in every styled norm. The official code has 19 written out by hand, whatever the
    number of classes; more planes than that fail. 0: one for each plane (our reading, for label spaces with more classes)."""

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the style's layers, one for each styled block, coarsest first: the share of the picture's side at which it works."""
        if self.upsampling == "more":
            return ("1/64", "1/32", "1/16", "1/8", "1/4", "1/2")
        return ("1/32", "1/16", "1/16 again", "1/8", "1/4", "1/2")

    def __post_init__(self) -> None:
        faults = self.grid_faults()
        if self.upsampling == "most":
            faults.append('upsampling must be normal or more, got "most"')
        if small := [n for n in ("ngf", "spade_hidden", "style_dim", "style_width") if getattr(self, n) < 1]:
            faults.append(f"must be at least 1: {', '.join(small)}")
        if negative := [n for n in ("max_width", "style_regions") if getattr(self, n) < 0]:
            faults.append(f"must not be negative: {', '.join(negative)}")
        if faults:
            raise ConfigError("SEANConfig: " + "; ".join(faults) + ".")

    def regions(self, planes: int) -> int:
        """How many linear layers a styled norm has for so many planes. Raises ConfigError where they are too few."""
        count = self.style_regions or planes
        if planes > count:
            raise ConfigError(
                f"SEANConfig: {planes} planes are {planes} regions, and style_regions={count} have a style:"
                " set style_regions=0 for one each (the official code ends at 19)."
            )
        return count


@dataclass(frozen=True)
class SEANOptions(GanOptions):
    """Training options; the defaults are the official ones: SPADE's, with 50 epochs of decay and a discriminator of three layers."""

    niter_decay: int = 50
    """Epochs of linear decay to 0 after `niter` at the full rate."""
    n_layers_d: int = 3
    """Layers of each discriminator before the output convolution; all have stride 2."""


_SMALL = SEANConfig(
    resolution=128, ngf=16, max_width=112, spade_hidden=20, style_dim=32, style_width=12,
)  # fmt: skip
_SMALL_TRAINING = SEANOptions(**SMALL_TRAINING)

VARIANTS: dict[str, Variant] = {
    "celeba": Variant(
        SEANConfig(),
        # 28,000 faces, 100 epochs, batches of 32
        SEANOptions(steps=87_500, batch_size=32, flip=True, preprocess="resize_and_crop", load_size=256),
        title="official CelebAMask-HQ, 256 px, 267 M parameters",
    ),
    "celeba-128": Variant(_SMALL, _SMALL_TRAINING, title="ours: 128 px, 2.8 M parameters, small enough to embed"),
    "celeba-128-projected": Variant(
        _SMALL,
        # there is no prior of styles that half of a batch could be drawn from
        replace(_SMALL_TRAINING, **{**PROJECTED, "prior_half": False}),
        title="ours: celeba-128 trained on against a projected discriminator (starting from a finished one)",
    ),
}
