"""Config of SC-GAN and its variants. Defaults are the official CelebAMask-HQ ones (147,570,054 + 6,672,656 parameters)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, cast

from zoo.families.spade.options import MATCHED, PROJECTED, SMALL_TRAINING, GanOptions
from zoo.families.spade.sizes import GridSizes
from zoo.plugin import SIDE, ConfigError, Variant, at_most


@dataclass(frozen=True)
class SCGANConfig(GridSizes):
    """Sizes and switches of generator (SVG and SRG) and encoder. Names of the official options are given where they differ."""

    label_space: str = "celebamask-hq"
    """Vocabulary that the public side speaks."""
    channels: tuple[str, ...] = ()
    """Class names in the network's channel order. Empty: the label space's order with the background last, as the official
    CelebA model has it. The value 255 ("unlabeled"), where the space allows it, takes the last channel (official)."""
    background_last: bool = True
    """Where `channels` is empty: the background behind the other classes (CelebA). false: the space's own order (the others)."""
    edges: bool = False
    """Append the instance edge map as one more input plane (not `no_instance`)."""
    resolution: int = at_most(SIDE, 512)
    """Width of the images (`crop_size`); a multiple of 32 ("more": 64). Maps of another size are resized."""
    aspect_ratio: float = 1.0
    """Width divided by height (Cityscapes: 2)."""
    ngf: int = 48
    """Width of the semantic render generator."""
    max_width: int = 0
    """Cap on the generator's channels, which are 16 ngf at the coarsest scales; 0: none (official). Ours, for small models."""
    nff: int = 32
    """Width of its first features."""
    nrf: int = 32
    """Width of the semantic vector generator."""
    n_conv: int = at_most(256, 3)
    """Candidates of the conditional convolutions (`num_experts_conv`, n of Eq. 4)."""
    n_norm: int = at_most(256, 3)
    """Candidates of the conditional normalisation (`num_experts_norm`, m; the paper has one n for both)."""
    temperature: float = 0.05
    """Factor on the logits before `weight_type`. (COCO: 0.5 in the code, 0.05 in the paper.)"""
    weight_type: Literal["softmax", "sigmoid", "tanh", "hardtanh", "relu", "identity"] = "softmax"
    """From pooled SVG features to semantic vectors. tanh and relu are in the paper's Table 6 alone, the others in the code."""
    position: bool = True
    """Blur the label map within each class before the SVG sees it (not in the paper)."""
    pyr_pos: bool = True
    """Blur on the finest levels of a nearest-neighbour pyramid instead of once before a bilinear one; needs `position`."""
    pyr_rng: int = at_most(64, 4)
    """With `pyr_pos`: level i of L is blurred if L - i < pyr_rng."""
    blur_size: int = at_most(255, 7)
    """Side of the blur window (`ig_sz`)."""
    blur_sigma: float = 1.5
    """Its sigma in pixels (`ig_sigma`)."""
    blur_iterations: int = at_most(64, 1)
    """Blur steps (`ig_iter`)."""
    blur_relative: bool = False
    """Divide each step by the one before (`ig_relative`)."""
    svg_spectral: bool = False
    """Spectral norm on the SVG (not `no_spectral_on_routing`; ADE20K and COCO have it, the paper too)."""
    routing_detach: bool = False
    """No gradient from the conditional convolutions into the SVG."""
    norm: str = "spectralsccsyncbatch3x3"
    """`norm_G`: [spectral][conv][scc|spade]{syncbatch,batch,instance}[KxK], docs/papers/scgan.md, "Norm texts". `conv` is ours: ordinary
    convolutions in the place of SCC, as in the rows "Conv" of the paper's Table 3."""
    spade_hidden: int = 128
    """Hidden channels of the shortcuts' SPADE (128 is hard-coded officially)."""
    upsampling: Literal["normal", "more"] = "normal"
    """Five or six doublings from the start grid (`num_upsampling_layers`)."""
    use_vae: bool = True
    """Start from a latent drawn or encoded from an image; without it the start is the map, and nothing is random."""
    z_dim: int = 256
    """Size of the latent."""
    nef: int = 48
    """Width of the encoder's first layer (officially ngf where it is not set)."""
    encoder_norm: str = "spectralinstance"
    """`norm_E`."""
    encoder_size: int = at_most(SIDE, 256)
    """Side to which the encoder resizes images; it has log2(side) - 2 layers, so six at 256. The official encoder fails at
    crops under 256 px; that it resizes and keeps its six layers there is our reading."""

    @property
    def lacks(self) -> frozenset[str]:
        """What the architecture can do and a model of this config cannot (see `Architecture.can`)."""
        return frozenset() if self.use_vae else frozenset({"style:prior", "style:mean", "style:photo"})

    def __post_init__(self) -> None:
        faults = self.grid_faults()
        if self.pyr_pos and not self.position:
            faults.append("pyr_pos needs position=true")
        small = [n for n in ("ngf", "nff", "n_conv", "n_norm", "z_dim", "nef", "spade_hidden") if getattr(self, n) < 1]
        if small or self.nrf < 2:
            faults.append(f"must be at least 1 (nrf: 2): {', '.join([*small, *['nrf'] * (self.nrf < 2)])}")
        if self.blur_size % 2 == 0:
            faults.append(f"blur_size must be odd, got {self.blur_size}")
        if faults:
            raise ConfigError("SCGANConfig: " + "; ".join(faults) + ".")


@dataclass(frozen=True)
class SCGANOptions(GanOptions):
    """Training options; the defaults of the fields below are the official CelebA ones."""

    beta1: float | None = 0.0
    """Adam's first beta."""
    beta2: float | None = 0.999
    """Adam's second beta."""
    niter_decay: int = 50
    """Epochs of linear decay to 0 after `niter`."""
    lambda_recon: float = 1.0
    """Weight of the SVG image's reconstruction, Eq. 10 (`lambda_w_recon`; ADE20K and COCO 2, the paper 2)."""
    recon_loss: Literal["l1", "l2", "vgg"] = "l1"
    """Its distance (`rw_loss`); vgg uses the network of `perceptual`."""
    OWN_DISCRIMINATORS: ClassVar[tuple[str, ...]] = (
        "multiscale", "fpse", "fpsem", "routing", "srouting", "selfrouting", "projected",
    )  # fmt: skip
    discriminator: str = "multiscale"
    """`netD`: one of `OWN_DISCRIMINATORS`, or one that another plugin registers (oasis, …). ADE20K and COCO use fpse (the paper
    everywhere); fpsem and the routings are in the code and in no official config; projected is ours."""
    smooth_d: bool = False
    """Blur the coarsest features of fpse, routing, srouting, selfrouting (`smooth`)."""


CELEBA_128 = SCGANConfig(
    resolution=128, ngf=16, max_width=176, nff=11, nrf=8, spade_hidden=32, z_dim=128, nef=16, encoder_size=128
)

ADE20K = SCGANConfig(
    label_space="ade20k", background_last=False, resolution=256, ngf=32, nff=32, nrf=32, n_norm=4, position=False,
    pyr_pos=False, svg_spectral=True, use_vae=False,
)  # fmt: skip
COCO = SCGANConfig(
    label_space="coco-stuff", background_last=False, resolution=256, ngf=32, nff=24, nrf=24, n_conv=2,
    temperature=0.5, position=False, pyr_pos=False, svg_spectral=True, use_vae=False,
)  # fmt: skip
# no official config exists: the setting that has the 66.2 M parameters of the paper (docs/papers/scgan.md, "Parameter count")
CITYSCAPES = SCGANConfig(
    label_space="cityscapes", background_last=False, resolution=512, aspect_ratio=2.0, ngf=32, nff=16, nrf=64,
    position=False, pyr_pos=False, svg_spectral=True, upsampling="more", use_vae=False,
)  # fmt: skip
SCENES: dict[str, Any] = {
    "batch_size": 16,
    "flip": True,
    "niter": 100,
    "niter_decay": 100,
    "lambda_recon": 2.0,
    "discriminator": "fpse",
}

VARIANTS: dict[str, Variant] = {
    "celeba": Variant(
        SCGANConfig(),
        SCGANOptions(batch_size=8, steps=375_000, flip=True),
        title="official CelebAMask-HQ, 512 px, 154 M parameters",
    ),
    "ade20k": Variant(
        ADE20K,
        SCGANOptions(steps=252_600, preprocess="resize_and_crop", **SCENES),
        title="official ADE20K, 256 px, 61 M parameters, no style",
    ),
    "coco": Variant(
        COCO,
        SCGANOptions(steps=1_478_600, preprocess="resize_and_crop", **SCENES),
        title="official COCO-Stuff, 256 px, 42 M parameters, no style",
    ),
    "cityscapes": Variant(
        CITYSCAPES,
        SCGANOptions(steps=37_200, preprocess="fixed", **SCENES),
        title="Cityscapes, 256 x 512 px, 66 M parameters, no style (no official config exists)",
    ),
    "celeba-128": Variant(
        CELEBA_128,
        SCGANOptions(
            **SMALL_TRAINING, lambda_kld=0.02, kld_mean=True, n_layers_d=3
        ),
        title="ours: 128 px, 8.5 M parameters, for a CPU",
    ),
}  # fmt: skip
VARIANTS["celeba-128-projected"] = Variant(
    CELEBA_128,
    replace(cast(SCGANOptions, VARIANTS["celeba-128"].training), **PROJECTED),
    title="ours: celeba-128 trained on against a projected discriminator (starting from a finished one)",
)
VARIANTS["celeba-128-matched"] = Variant(
    CELEBA_128,
    replace(cast(SCGANOptions, VARIANTS["celeba-128"].training), **MATCHED),
    title="ours: celeba-128-projected trained on, its pictures matched to the photos as a distribution",
)

# SC-GAN with the discriminator and the training of OASIS: the paper's last row says no more than that (docs/papers/scgan.md, "scgan-oasis")
OASIS_TRAINING: dict[str, Any] = {
    "discriminator": "oasis", "lambda_feat": 0.0, "perceptual": "none", "lambda_recon": 2.0, "lr": 1e-4, "lr_d": 4e-4, "ttur": False,
    "niter": 1_000_000, "niter_decay": 0, "ema": 0.9999, "ema_warmup": False, "batch_size": 32,
}  # fmt: skip
"""Of the variants that end in -oasis (our choice, every line a switch): losses, rates and the average of OASIS, and SC-GAN's L_s."""
OASIS_OWN: dict[str, dict[str, Any]] = {
    "ade20k": {"steps": 126_200},
    "coco": {"steps": 369_600},
    "cityscapes": {"steps": 29_600, "batch_size": 20, "ema": 0.999, "lr": 4e-4, "lambda_labelmix": 5.0},
    "celeba-128": {
        "steps": 8000,
        "batch_size": 8,
        "ema": 0.999,
        "ema_warmup": True,
        "lambda_l1": 0.0,
        "share_fake": False,
        "diffaugment": False,
        "ndf": 16,
    },
}
"""What differs between them: steps and batches of OASIS; ours for the small one."""
VARIANTS |= {
    f"{name}-oasis": Variant(
        VARIANTS[name].config,
        replace(cast(SCGANOptions, VARIANTS[name].training), **(OASIS_TRAINING | changes)),
        title=f"SC-GAN against OASIS's discriminator (our reading): {VARIANTS[name].title}",
    )
    for name, changes in OASIS_OWN.items()
}
