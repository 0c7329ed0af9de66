"""Config of pix2pixHD and its variants. Defaults are those of label2city_512p (182,546,755 parameters). No torch in here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from zoo.families.spade.options import SMALL_TRAINING, GanOptions
from zoo.families.spade.sizes import DoubledSizes
from zoo.plugin import SIDE, ConfigError, Variant, at_most

STYLES = frozenset({"style:prior", "style:mean", "style:photo", "style:partial"})


@dataclass(frozen=True)
class Pix2PixHDConfig(DoubledSizes):
    """Sizes and switches of generator and encoder. Names of the official options are given where they differ."""

    label_space: str = "cityscapes"
    """Vocabulary that the public side speaks."""
    channels: tuple[str, ...] = ()
    """Class names in the network's channel order. Empty: the label space's order. The value 255 ("unlabeled"), where the space
    allows it, takes the last channel (officially it fails)."""
    input: Literal["classes", "colours"] = "classes"
    """What the network sees of a map: one plane per class, or its three planes in the label space's colours (`label_nc` 0, where
    any RGB picture goes in; that it is the coloured map is our reading)."""
    edges: bool = True
    """Append the instance edge map as one more input plane (not `no_instance`). A map without instance numbers gives the
    borders of its labels, and its layout says so."""
    resolution: int = at_most(SIDE, 1024)
    """Width of the images; a multiple of 2**n_downsample_global, with local enhancers 2**(n_downsample_global + n_local_enhancers).
    Maps of another size are resized."""
    aspect_ratio: float = 2.0
    """Width divided by height."""
    generator: Literal["global", "local"] = "global"
    """The global generator alone, or with local enhancers around it (`netG`)."""
    ngf: int = 64
    """Width at the finest scale; with local enhancers the global generator has 2**n_local_enhancers times as many."""
    norm: Literal["instance", "batch"] = "instance"
    """Norm of generator and encoder."""
    n_downsample_global: int = at_most(8, 4)
    """Halvings inside the global generator."""
    n_blocks_global: int = at_most(64, 9)
    """Residual blocks of the global generator."""
    n_local_enhancers: int = at_most(4, 1)
    """Local enhancers, with generator=local."""
    n_blocks_local: int = at_most(64, 3)
    """Residual blocks of each local enhancer."""
    features: Literal["none", "instance", "label"] = "none"
    """What has a style of its own: nothing (images depend on the map alone), each object (`instance_feat`), or each class
    (`label_feat`)."""
    feat_num: int = 3
    """Numbers in a style."""
    instances: int = at_most(1024, 64)
    """With features=instance: so many objects of a class have styles of their own, in the order of their instance numbers; of more,
    those that are so many apart share one (ours: a style has a fixed size; officially every number has its own)."""
    nef: int = 16
    """Width of the encoder's first layer."""
    n_downsample_e: int = at_most(8, 4)
    """Halvings inside the encoder (`n_downsample_E`)."""
    encoder_halvings: int = at_most(4, 0)
    """How often a photo is halved before the encoder sees it. 1024p models take the features that the 512p model's encoder gives for
    halved photos (`load_features`); that it is part of the model is ours."""

    @property
    def enhancers(self) -> int:
        """Local enhancers there are."""
        return self.n_local_enhancers if self.generator == "local" else 0

    @property
    def doublings(self) -> int:
        """Doublings between the coarsest features and the image."""
        return self.n_downsample_global + self.enhancers

    @property
    def style_planes(self) -> int:
        """Input planes that hold the style."""
        return 0 if self.features == "none" else self.feat_num

    @property
    def slots(self) -> int:
        """Styles per class."""
        return self.instances if self.features == "instance" else 1

    @property
    def lacks(self) -> frozenset[str]:
        """What the architecture can do and a model of this config cannot (see `Architecture.can`)."""
        return STYLES if self.features == "none" else frozenset()

    def __post_init__(self) -> None:
        least = {"ngf": 1, "nef": 1, "feat_num": 1, "instances": 1, "n_downsample_global": 1, "n_local_enhancers": 1}
        least |= {"n_blocks_global": 1, "n_blocks_local": 1, "n_downsample_e": 0, "encoder_halvings": 0}
        faults = [f"{n} must be at least {m}, got {getattr(self, n)}" for n, m in least.items() if getattr(self, n) < m]
        faults = faults or self.grid_faults() or self._encoder_faults()
        if not faults and min(self.grid) < 2:
            faults = [f"the coarsest features are {self.grid[1]} x {self.grid[0]}: at least 2 x 2 are needed"]
        if faults:
            raise ConfigError("Pix2PixHDConfig: " + "; ".join(faults) + ".")

    def _encoder_faults(self) -> list[str]:
        """The photo, halved `encoder_halvings` times, must be halved evenly by the encoder."""
        if self.features == "none":
            return []
        step = 1 << (self.n_downsample_e + self.encoder_halvings)
        if any(side % step or side < 4 * (1 << self.encoder_halvings) for side in self.size):
            return [f"both sides must be multiples of {step} for the encoder, got {self.size[1]} x {self.size[0]}"]
        return []


@dataclass(frozen=True)
class Pix2PixHDOptions(GanOptions):
    """Training options; the defaults are the official ones of the 512p model. The generator's and the discriminator's step share one
    forward of the generator (officially too); fakes and reals go through the discriminator one after the other."""

    ttur: bool = False
    """Both networks have the rate `lr` (officially there is no other way)."""
    beta1: float | None = 0.5
    """Adam's first beta."""
    niter: int = 100
    """Epochs at the full rate."""
    niter_decay: int = 100
    """Epochs of linear decay to 0 after them."""
    gan_mode: Literal["hinge", "ls", "original", "w"] = "ls"
    """Adversarial objective, summed over the scales: ls, or original (`no_lsgan`). hinge and w are not official."""
    share_fake: bool = True
    """One generator forward for both steps; anything else is refused."""
    norm_d: str = "instance"
    """Norm of the discriminator."""
    pool_size: int = 0
    """Earlier fakes that are kept, of which half of the discriminator's fakes are drawn; 0: none (official)."""
    n_clusters: int = 10
    """Styles per class that the asset `clusters` holds at most."""
    niter_fix_global: int = 0
    """Epochs in which the outermost local enhancer alone is trained, and the encoder. Needs generator=local."""
    load_pretrain: str = ""
    """A finished model (id or folder) whose tensors are taken over where name and shape fit: a 512p model for a 1024p one."""
    load_features: bool = False
    """The encoder stays as it starts (as `load_pretrain` brings it), for the 1024p models."""

    def __post_init__(self) -> None:
        super().__post_init__()
        faults = [f"{n} must not be negative" for n in ("pool_size", "niter_fix_global") if getattr(self, n) < 0]
        if self.n_clusters < 1:
            faults.append(f"n_clusters must be at least 1, got {self.n_clusters}")
        if not self.share_fake:
            faults.append("share_fake=false: pix2pixHD takes both steps on one fake")
        if self.ttur:
            faults.append("ttur: pix2pixHD has one rate; set lr_d for another one of the discriminator")
        if faults:
            raise ConfigError("Training options: " + "; ".join(faults) + ".")


LABEL2CITY_512 = Pix2PixHDConfig()
LABEL2CITY_1024 = replace(LABEL2CITY_512, generator="local", ngf=32, resolution=2048)
PAIRS = 2975
"""Training pairs of Cityscapes; officially a batch is one of them."""
TRAINING_512 = Pix2PixHDOptions(steps=200 * PAIRS, preprocess="scale_width", load_size=1024, flip=True)
TRAINING_1024 = Pix2PixHDOptions(
    steps=100 * PAIRS, preprocess="none", flip=True, niter=50, niter_decay=50, niter_fix_global=10, num_d=3
)
TRAINING_12G = replace(
    TRAINING_1024, steps=200 * PAIRS, preprocess="crop", niter=100, niter_decay=100, niter_fix_global=20
)
FEATURES: dict[str, Any] = {"features": "instance"}
HALVED: dict[str, Any] = {"features": "instance", "encoder_halvings": 1}

VARIANTS: dict[str, Variant] = {
    "cityscapes-512": Variant(LABEL2CITY_512, TRAINING_512, "official label2city_512p, 1024 x 512 px, 183 M parameters, no style"),
    "cityscapes-512-feat": Variant(
        replace(LABEL2CITY_512, **FEATURES), TRAINING_512, "official label2city_512p_feat, a style per object"
    ),
    "cityscapes-1024": Variant(
        LABEL2CITY_1024, TRAINING_1024, "official label2city_1024p, 2048 x 1024 px; load_pretrain: a trained cityscapes-512"
    ),
    "cityscapes-1024-feat": Variant(
        replace(LABEL2CITY_1024, **HALVED),
        replace(TRAINING_1024, load_features=True),
        "official label2city_1024p_feat; load_pretrain: a trained cityscapes-512-feat",
    ),
    "cityscapes-1024-12g": Variant(
        replace(LABEL2CITY_1024, resolution=1024, aspect_ratio=1.0),
        TRAINING_12G,
        "official label2city_1024p for 12 GB: trained on windows of 1024 px",
    ),
    "cityscapes-1024-12g-feat": Variant(
        replace(LABEL2CITY_1024, resolution=896, aspect_ratio=1.0, **HALVED),
        replace(TRAINING_12G, load_features=True),
        "official label2city_1024p_feat for 12 GB: trained on windows of 896 px",
    ),
    "celeba-128": Variant(
        Pix2PixHDConfig(
            label_space="celebamask-hq", edges=False, resolution=128, aspect_ratio=1.0, ngf=24, n_downsample_global=3,
            n_blocks_global=4, features="label", nef=8, n_downsample_e=3,
        ),
        Pix2PixHDOptions(**SMALL_TRAINING),
        "ours: 128 px with a style per class, for a CPU",
    ),
}  # fmt: skip
