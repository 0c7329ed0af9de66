"""Config of CLVAE and its variants. Defaults are the official ADE20K ones (111,965,396 + 10,909,478 parameters)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from zoo.families.spade.options import MATCHED, PROJECTED, SMALL_TRAINING, GanOptions
from zoo.families.spade.sizes import GridSizes
from zoo.plugin import SIDE, ConfigError, Variant, at_most

LEVELS = 5
"""Scales with class-wise latents: 1/2 … 1/32 of the picture."""


@dataclass(frozen=True)
class CLVAEConfig(GridSizes):
    """Sizes and switches of generator and encoder. Names of the official options are given where they differ."""

    label_space: str = "ade20k"
    """Vocabulary that the public side speaks."""
    channels: tuple[str, ...] = ()
    """Class names in the network's channel order. Empty: the label space's order (official: on ADE20K channel 0 is "unknown").
    The value 255 ("unlabeled"), where the space allows it, takes the background's channel, or the last one (our reading)."""
    resolution: int = at_most(SIDE, 256)
    """Width of the images (`crop_size`); height is this divided by `aspect_ratio`. Maps of another size are resized."""
    aspect_ratio: float = 1.0
    """Width divided by height (GTA-5: 2)."""
    ngf: int = 64
    """Width of the generator (DeepFashion: 160)."""
    max_width: int = 0
    """Cap on the generator's channels, which are 16 ngf at the coarsest scales; 0: none (official). Ours, for small models."""
    z_dim: int = 256
    """Size of the global latent, N1 of the paper."""
    z_dim_local: int = 0
    """Size N of a latent per class and layer; 0: the number of classes (the paper's, and the official configs')."""
    upsampling: Literal["normal", "more", "most"] = "normal"
    """Five, six or seven doublings from the start grid (`num_upsampling_layers`)."""
    norm: str = "spectralspadesyncbatch3x3"
    """`norm_G`: [spectral]spade{syncbatch,batch,instance}KxK."""
    spade_hidden: int = 128
    """Hidden channels of SPADE (128 is hard-coded officially)."""
    nef: int = 0
    """Width of the encoder's first layer; 0: ngf (official)."""
    encoder_norm: str = "spectralinstance"
    """`norm_E`."""
    encoder_size: int = at_most(SIDE, 256)
    """Side of the square to which the encoder resizes image and map (official: 256; a crop under 256 px fails there). With 128 the
    same six layers end in 2x2 pixels instead of 4x4 (ours)."""
    layers: int = 6
    """Encoder layers L (paper section 4.3.1, "Ours-50%": 3, "Ours-75%": 5). The last one gives the global latent, the others a
    latent per class. Our reading of the rest: the global head sees the last map average-pooled to the size of L = 6, and
    generator blocks coarser than any latent use the coarsest there is; with L = 1 all blocks read the map itself."""
    layerwise: bool = True
    """False: a latent per class from the middle layer alone, for all blocks (paper Table 5, "w/o layer-wise VAE")."""
    classwise: bool = True
    """False: one latent per layer for the whole image, pooled over all of it ("w/o class-wise VAE")."""

    @property
    def taps(self) -> tuple[int, ...]:
        """Encoder layers (1 the finest, half the size) that give latents, coarsest first as everywhere outside the encoder."""
        taps = tuple(range(min(self.layers - 1, LEVELS), 0, -1))
        return taps if self.layerwise else taps[len(taps) // 2 : len(taps) // 2 + 1]

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the style's layers, coarsest first: the share of the picture's side at which they act."""
        return tuple(f"1/{2**tap}" for tap in self.taps)

    @property
    def lacks(self) -> frozenset[str]:
        """What the architecture can do and a model of this config cannot (see `Architecture.can`)."""
        return frozenset() if self.classwise else frozenset({"style:partial"})

    def __post_init__(self) -> None:
        faults = self.grid_faults()
        counts = ("ngf", "z_dim", "spade_hidden")
        if small := [n for n in counts if getattr(self, n) < 1]:
            faults.append(f"must be at least 1: {', '.join(small)}")
        if negative := [n for n in ("max_width", "z_dim_local", "nef") if getattr(self, n) < 0]:
            faults.append(f"must not be negative: {', '.join(negative)}")
        if not 1 <= self.layers <= LEVELS + 1:
            faults.append(f"layers must lie in 1..{LEVELS + 1}, got {self.layers}")
        if self.encoder_size < 128 or self.encoder_size & (self.encoder_size - 1):
            faults.append(f"encoder_size must be a power of two, 128 or more, got {self.encoder_size}")
        if faults:
            raise ConfigError("CLVAEConfig: " + "; ".join(faults) + ".")


@dataclass(frozen=True)
class CLVAEOptions(GanOptions):
    """Training options; those of `GanOptions` have the values of the official code: Adam (0, 0.9), 1e-4 for generator and encoder, 4e-4
    for the discriminator (the paper says 4e-4 and 1e-4).
    """

    kld_classes: Literal["visible", "mask"] = "visible"
    """What the class-wise KL is divided by: the classes with a pixel at that layer (the code), or the classes of the mask, one
    number per image (the paper's eq. 18)."""
    rarity: str = ""
    """Folder with the rebalancing files of GTA-5 (`kdecolor_rarity_bin_{0,2,10,19,1}.npy`, `GTA_weightedrarity_mask.npy`); empty: no
    rebalancing. `python -m zoo.data.rarity` computes them."""
    rarity_images: int = 400
    """Images drawn for an epoch under rebalancing."""
    rarity_items: int = 10_000
    """Length of an epoch under rebalancing."""


_DEEPFASHION = CLVAEConfig(label_space="deepfashion", ngf=160, upsampling="more")
_GTA5 = CLVAEConfig(label_space="gta5", resolution=512, aspect_ratio=2.0, upsampling="more")
_GTA5_TRAINING = CLVAEOptions(batch_size=4, steps=50_000, niter=20, flip=True)
# 12 numbers a class and layer do for faces and clothes, and the latents of one class stay small enough for a full covariance
_SMALL = CLVAEConfig(
    label_space="celebamask-hq", resolution=128, ngf=16, max_width=168, spade_hidden=32, z_dim=64, z_dim_local=12, nef=20,
    encoder_size=128,
)  # fmt: skip
_SMALL_TRAINING = CLVAEOptions(**SMALL_TRAINING, lambda_kld=0.02, kld_mean=True, n_layers_d=3)

VARIANTS: dict[str, Variant] = {
    "ade20k": Variant(
        CLVAEConfig(),
        # 20,210 images, 100 epochs and as many of decay
        CLVAEOptions(
            batch_size=4, steps=1_010_400, niter=100, niter_decay=100, flip=True, preprocess="resize_and_crop"
        ),
        title="official ADE20K, 256 px, 123 M parameters",
    ),
    "deepfashion": Variant(
        _DEEPFASHION,
        CLVAEOptions(batch_size=4, steps=158_500, niter=60, niter_decay=40, flip=True),
        title="official DeepFashion, 256 px, 541 M parameters",
    ),
    "gta5": Variant(_GTA5, _GTA5_TRAINING, title="official GTA-5, 512 x 256 px, 111 M parameters"),
    "gta5-no-class": Variant(
        replace(_GTA5, classwise=False), _GTA5_TRAINING, title="paper's ablation without class-wise VAE"
    ),
    "gta5-no-layer": Variant(
        replace(_GTA5, layerwise=False), _GTA5_TRAINING, title="paper's ablation without layer-wise VAE"
    ),
    "gta5-3-layers": Variant(replace(_GTA5, layers=3), _GTA5_TRAINING, title="paper's ablation Ours-50%, L = 3"),
    "gta5-5-layers": Variant(replace(_GTA5, layers=5), _GTA5_TRAINING, title="paper's ablation Ours-75%, L = 5"),
    "celeba-128": Variant(_SMALL, _SMALL_TRAINING, title="ours: faces, 128 px, 4.2 M parameters, for a CPU"),
    "celeba-128-projected": Variant(
        _SMALL,
        replace(_SMALL_TRAINING, **PROJECTED),
        title="ours: celeba-128 trained on against a projected discriminator (starting from a finished one)",
    ),
    "celeba-128-matched": Variant(
        _SMALL,
        replace(_SMALL_TRAINING, **MATCHED),
        title="ours: celeba-128-projected trained on, its pictures matched to the photos as a distribution",
    ),
    "ccp-128": Variant(
        replace(_SMALL, label_space="atr"),
        _SMALL_TRAINING,
        title="ours: people (CCP with ATR's classes), 128 px, 4.2 M parameters, for a CPU",
    ),
    "ccp-128-projected": Variant(
        replace(_SMALL, label_space="atr"),
        replace(_SMALL_TRAINING, **PROJECTED),
        title="ours: ccp-128 trained on against a projected discriminator (starting from a finished one)",
    ),
    "ccp-128-matched": Variant(
        replace(_SMALL, label_space="atr"),
        replace(_SMALL_TRAINING, **MATCHED),
        title="ours: ccp-128-projected trained on, its pictures matched to the photos as a distribution",
    ),
}
