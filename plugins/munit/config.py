"""Config of MUNIT and its variants. Defaults are those of all six configs of the authors (15,026,187 parameters for each domain). No
torch in here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from zoo.plugin import SIDE, ConfigError, TrainingOptions, Variant, at_most

Activation = Literal["relu", "lrelu", "prelu", "selu", "tanh", "none"]
Padding = Literal["reflect", "replicate", "zero"]


@dataclass(frozen=True)
class MunitConfig:
    """Sizes and switches of both domains' encoders and decoders. Names of the official options are given where they differ."""

    label_space: str = "domains"
    """Vocabulary of the domains."""
    channels: tuple[str, ...] = ()
    """The two domains, a and b of the paper. Empty: the first two classes of the label space."""
    resolution: int = at_most(SIDE, 256)
    """Shorter side of the photos (`new_size`); a multiple of 2**n_downsample, at least 16. Photos keep their proportions."""
    dim: int = 64
    """Width at full size (`gen.dim`)."""
    mlp_dim: int = 256
    """Width of the perceptron that makes the decoder's norms of a style."""
    style_dim: int = 8
    """Numbers in a style."""
    activ: Activation = "relu"
    """Activation of encoders, decoder and perceptron (lrelu: slope 0.2; prelu: one learned slope a layer)."""
    n_downsample: int = at_most(6, 2)
    """Halvings of the content encoder, and doublings of the decoder; the style encoder always has four."""
    n_res: int = at_most(64, 4)
    """Residual blocks at the content's size, of the encoder and of the decoder."""
    pad_type: Padding = "reflect"
    """Padding of every convolution."""

    @property
    def content_width(self) -> int:
        """Channels of the content."""
        return self.dim << self.n_downsample

    def __post_init__(self) -> None:
        least = {"dim": 1, "mlp_dim": 1, "style_dim": 1, "n_downsample": 1, "n_res": 1, "resolution": 16}
        faults = [f"{n} must be at least {m}, got {getattr(self, n)}" for n, m in least.items() if getattr(self, n) < m]
        if not faults and self.resolution % (1 << self.n_downsample):
            faults.append(
                f"resolution must be a multiple of 2**n_downsample = {1 << self.n_downsample}, got {self.resolution}"
            )
        if self.channels and (len(self.channels) != 2 or len(set(self.channels)) != 2):
            faults.append(f"channels must be two domains, got {', '.join(self.channels)}")
        if faults:
            raise ConfigError("MunitConfig: " + "; ".join(faults) + ".")


@dataclass(frozen=True)
class MunitOptions(TrainingOptions):
    """Training options; the defaults are those of the edges configs. A batch has as many photos of one domain as of the other, so the
    authors' batch of 1 is 2 here."""

    steps: int = 1_000_000
    """Iterations (`max_iter`)."""
    batch_size: int = 2
    """Photos of both domains together; even."""
    lr: float = 1e-4
    """Rate of both Adams."""
    beta1: float = 0.5
    """Adam's first beta."""
    beta2: float = 0.999
    """Adam's second beta."""
    weight_decay: float = 1e-4
    """L2 penalty inside Adam, of both networks."""
    lr_policy: Literal["step", "constant"] = "step"
    """step: the rate times `gamma` after every `step_size` iterations."""
    step_size: int = 100_000
    """Iterations between two decays."""
    gamma: float = 0.5
    """Factor of a decay."""
    init: Literal["kaiming", "gaussian", "xavier", "orthogonal", "default"] = "kaiming"
    """Start of encoders and decoders; discriminators always start gaussian (std 0.02)."""
    gan_w: float = 1.0
    """Weight of the adversarial losses."""
    recon_x_w: float = 10.0
    """Weight of L1 between a photo and what its own content and style give."""
    recon_s_w: float = 1.0
    """Weight of L1 between a drawn style and the style read off the translation."""
    recon_c_w: float = 1.0
    """Weight of L1 between a content and the content read off the translation."""
    recon_x_cyc_w: float = 0.0
    """Weight of L1 between a photo and its translation translated back; the authors take 10 where shapes shall stay, 0 where they may change."""
    vgg_w: float = 0.0
    """Weight of the perceptual loss against the photo that gave the content; above 0 it needs `vgg`."""
    vgg: str = ""
    """File of the perceptual loss's network: the authors' vgg16.weight (conv1_1.weight … conv5_3.bias, of Caffe), of torch or safetensors."""
    ndf: int = 64
    """Width of the discriminators' first layer (`dis.dim`)."""
    n_layer: int = at_most(8, 4)
    """Their halvings."""
    num_scales: int = at_most(6, 3)
    """Their scales, each at half the size of the one before."""
    norm_d: Literal["none", "in", "ln", "bn", "sn"] = "none"
    """Their norm (`dis.norm`): instance, layer, batch, or spectral (one fresh iteration at every forward)."""
    activ_d: Activation = "lrelu"
    """Their activation."""
    pad_type_d: Padding = "reflect"
    """Their padding."""
    gan_type: Literal["lsgan", "nsgan"] = "lsgan"
    """Least squares, or cross entropy; means over pixels, summed over the scales."""
    publish: Literal["best", "last"] = "last"
    """Which weights the finished model holds; the scores on held-out photos measure reconstruction alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        least = {"ndf": 1, "n_layer": 1, "num_scales": 1, "step_size": 1}
        faults = [f"{n} must be at least {m}, got {getattr(self, n)}" for n, m in least.items() if getattr(self, n) < m]
        if self.batch_size % 2:
            faults.append(f"batch_size counts the photos of both domains, so it must be even, got {self.batch_size}")
        if faults:
            raise ConfigError("Training options: " + "; ".join(faults) + ".")


_ALIGNED = MunitOptions(
    flip=True, preprocess="shorter_side_and_crop", load_size=256, resample="bilinear", recon_x_cyc_w=10.0
)
_EDGES = replace(_ALIGNED, recon_x_cyc_w=0.0)
_STREETS = replace(_ALIGNED, load_size=512, vgg_w=1.0)

VARIANTS: dict[str, Variant] = {
    "edges2handbags": Variant(MunitConfig(), _EDGES, "official edges2handbags, A edges, B photos; 256 px"),
    "edges2shoes": Variant(MunitConfig(), _EDGES, "official edges2shoes, A edges, B photos; 256 px"),
    "summer2winter": Variant(MunitConfig(), _ALIGNED, "official summer2winter_yosemite256, A summer, B winter; 256 px"),
    "synthia2cityscapes": Variant(
        MunitConfig(resolution=512), _STREETS,
        "official synthia2cityscape, A drawn streets, B photos; 512 px; needs vgg=FILE, or vgg_w=0",
    ),
    "small-64": Variant(
        MunitConfig(resolution=64, dim=16, mlp_dim=64, style_dim=8, n_res=2),
        replace(
            _ALIGNED, steps=20_000, batch_size=4, load_size=72, step_size=10_000, ndf=16, n_layer=3, num_scales=2, lr=2e-4
        ),
        "ours: 64 px, for a CPU",
    ),
}  # fmt: skip
