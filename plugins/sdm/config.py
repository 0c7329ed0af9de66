"""Config of SDM and its variants. Defaults are the official ADE20K ones (660,608,518 parameters). No torch in here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from zoo.plugin import SIDE, ConfigError, TrainingOptions, Variant, at_most

LEAST_STEPS = 20
"""Of the training process: with fewer the linear schedule has a beta above 1."""


@dataclass(frozen=True)
class SDMConfig:
    """Sizes and switches of the U-Net and of the diffusion process. Names of the official options are given where they differ."""

    label_space: str = "ade20k"
    """Vocabulary that the public side speaks."""
    channels: tuple[str, ...] = ()
    """Class names in the network's channel order. Empty: the label space's order with its background last on ADE20K and COCO-Stuff
    (official: channel k is class k + 1, the last one is "unknown"), the space's own order elsewhere. The value 255 ("unlabeled"), where
    the space allows it, takes the background's channel."""
    edges: Literal["none", "labels", "instances"] = "none"
    """A further plane, behind the classes', of borders: of the labels (CelebAMask-HQ, whose label maps the authors read as instances),
    or of instance numbers, where a map has them (Cityscapes). none: `no_instance`."""
    instance_limit: int = 255
    """Instance numbers above this one count as it: the authors read their files as 8 bits, so borders between two things of Cityscapes
    (24000 and more) do not show."""
    resolution: int = at_most(SIDE, 256)
    """Width of the images, a multiple of 2 per level but the first. Maps of another size are resized."""
    aspect_ratio: float = 1.0
    """Width divided by height (Cityscapes: 2)."""
    width: int = 256
    """Channels at the finest level (`num_channels`)."""
    channel_mult: tuple[float, ...] = (1, 1, 2, 2, 4, 4)
    """Channels of each level in multiples of `width`, the finest first (official: 512 px .5,1,1,2,2,4,4; 256 px 1,1,2,2,4,4; 128 px
    1,1,2,3,4; 64 px 1,2,3,4)."""
    res_blocks: int = at_most(64, 2)
    """Residual blocks of a level in the encoder; the decoder has one more (`num_res_blocks`)."""
    attention: tuple[int, ...] = (8, 16, 32)
    """Down-sampling factors at which there is attention: `image_size` divided by each of `attention_resolutions`."""
    head_channels: int = 64
    """Channels of an attention head (`num_head_channels`); 0: `heads` of them."""
    heads: int = 4
    """Attention heads where `head_channels` is 0 (`num_heads`)."""
    heads_up: int = 0
    """The same in the decoder, 0: as `heads` (`num_heads_upsample`)."""
    groups: int = 32
    """Groups of every group norm (hard-coded officially)."""
    spade_hidden: int = 128
    """Hidden channels of the norms that read the map (hard-coded officially)."""
    scale_shift: bool = True
    """The time scales and shifts what comes from a block's second norm; else it is added before that norm (`use_scale_shift_norm`)."""
    resblock_updown: bool = True
    """Residual blocks halve and double the side; else single convolutions do."""
    new_attention_order: bool = False
    """Channels of attention are queries, keys, values and heads inside each; officially heads, and those three inside each."""
    dropout: float = 0.0
    """Share of a residual block's hidden values that training drops."""
    learn_sigma: bool = True
    """Three more output channels interpolate between the variances that are possible; else it is the larger of them."""
    predict_xstart: bool = False
    """The network tells the picture instead of the noise."""
    diffusion_steps: int = 1000
    """Steps of the process that is trained."""
    noise_schedule: Literal["linear", "cosine"] = "linear"
    """How the variances of its steps grow."""
    rescale_timesteps: bool = False
    """The network sees times 0..1000 whatever `diffusion_steps` is."""
    sampling_steps: int = 0
    """Steps that sampling takes where its options say nothing, 0: all of them (official). Ours, for small models."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the images."""
        return round(self.resolution / self.aspect_ratio), self.resolution

    @property
    def step(self) -> int:
        """What the sides are multiples of: halvings between the finest and the coarsest level."""
        return 1 << (len(self.channel_mult) - 1)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, the finest first."""
        return tuple(int(m * self.width) for m in self.channel_mult)

    def __post_init__(self) -> None:
        faults = [] if self.channel_mult and len(self.channel_mult) <= 10 else ["channel_mult needs 1 to 10 levels"]
        small = ("width", "res_blocks", "heads", "groups", "spade_hidden", "instance_limit")
        if low := [n for n in small if getattr(self, n) < 1]:
            faults.append(f"must be at least 1: {', '.join(low)}")
        if low := [n for n in ("head_channels", "heads_up", "sampling_steps") if getattr(self, n) < 0]:
            faults.append(f"must not be negative: {', '.join(low)}")
        if self.sampling_steps == 1 or self.sampling_steps > self.diffusion_steps:
            faults.append(
                f"sampling_steps must lie in 2..{self.diffusion_steps}, or be 0 for all, got {self.sampling_steps}"
            )
        if not 0 <= self.dropout < 1:
            faults.append(f"dropout must lie in [0, 1), got {self.dropout:g}")
        if self.diffusion_steps < LEAST_STEPS:
            faults.append(f"diffusion_steps must be at least {LEAST_STEPS}, got {self.diffusion_steps}")
        if not faults:
            faults = self._size_faults() + self._width_faults()
        if faults:
            raise ConfigError("SDMConfig: " + "; ".join(faults) + ".")

    def _size_faults(self) -> list[str]:
        if not self.aspect_ratio > 0 or not 1 <= self.resolution / self.aspect_ratio <= SIDE:
            return [f"aspect_ratio {self.aspect_ratio:g} makes no height of 1..{SIDE} pixels"]
        if any(side < self.step or side % self.step for side in self.size):
            height, width = self.size
            return [
                f"sides must be multiples of {self.step} (of {len(self.channel_mult)} levels), got {width} x {height}"
            ]
        return []

    def _width_faults(self) -> list[str]:
        if odd := [w for w in self.widths if w < 1 or w % self.groups]:
            return [
                f"channels of every level must be a multiple of groups={self.groups}, got {', '.join(map(str, odd))}"
            ]
        for level, width in enumerate(self.widths):
            if level < len(self.widths) - 1 and 1 << level not in self.attention:
                continue
            for heads in (self.heads, self.heads_up or self.heads):
                if width % (self.head_channels or heads):
                    what = f"head_channels={self.head_channels}" if self.head_channels else f"heads={heads}"
                    return [f"{what} does not divide the {width} channels of level {level + 1}, which has attention"]
        return []


@dataclass(frozen=True)
class SDMSampling:
    """Sampling options (`--opt key=value`). The defaults are those of the authors' test scripts. Raises ValueError for values out of
    range."""

    steps: int | None = None
    """Denoising steps, spread evenly over the training process from its first to its last; none: as the model's config says, which is all of
    them but in our small variants (1000, official)."""
    spacing: str = ""
    """Which steps instead of `steps`, as the authors write it (`timestep_respacing`): counts of equal sections of the process, the
    noiseless one first (10,15,20), or ddimN for every k-th step with exactly N of them (ddim25)."""
    sampler: Literal["ddpm", "ddim"] = "ddpm"
    """ddpm draws new noise in every step (official); ddim only with `eta`, and gets along with fewer steps."""
    eta: float = 0.0
    """ddim only: the share of new noise in each step (0 none, 1 about as in ddpm)."""
    guidance: float = 1.5
    """How strongly the map counts (classifier-free guidance, `s`); 1 or less leaves guidance out and halves the work."""
    clip: bool = True
    """Clip the predicted picture to [-1, 1] in every step (`clip_denoised`)."""
    library: Literal["own", "diffusers"] = "own"
    """Whose arithmetic makes a step; diffusers needs that library (pip install 'maskzoo[diffusion]') and gives the same pictures to rounding."""

    def __post_init__(self) -> None:
        faults = {
            f"steps must be at least 2, got {self.steps}": self.steps is not None and self.steps < 2,
            "steps and spacing say the same thing in two ways: give one": self.steps is not None and bool(self.spacing),
            f"eta must lie in 0..1, got {self.eta:g}": not 0 <= self.eta <= 1,
            "eta needs sampler=ddim: ddpm draws the noise that its variances say": self.eta != 0 and self.sampler != "ddim",
            f"guidance must be 0 or more, got {self.guidance:g}": not 0 <= self.guidance < float("inf"),
            f"sampler must be ddpm or ddim, got {self.sampler!r}": self.sampler not in ("ddpm", "ddim"),
            f"library must be own or diffusers, got {self.library!r}": self.library not in ("own", "diffusers"),
        }  # fmt: skip
        if wrong := [text for text, bad in faults.items() if bad]:
            raise ValueError("; ".join(wrong) + ".")


@dataclass(frozen=True)
class SDMOptions(TrainingOptions):
    """Training options; the defaults are the official ones of ADE20K's first stage."""

    lr: float = 1e-4
    """Learning rate of AdamW, constant (CelebAMask-HQ, and every second stage: 2e-5)."""
    weight_decay: float = 0.0
    """Weight decay of AdamW."""
    drop_rate: float = 0.0
    """Share of the maps that are left out (all planes zero), so that guidance has something to lead away from; officially 0 in a first
    stage and 0.2 in a second one, which starts from its weights (`zoo train --init`)."""
    spacing: str = ""
    """Train on a part of the process's steps (`timestep_respacing`, as in the sampling options); empty: on all."""
    objective: Literal["mse", "rescaled_mse", "kl"] = "mse"
    """mse: squared error, and the variational bound in bits for the variances alone. rescaled_mse: the bound times steps / 1000
    (`rescale_learned_sigmas`). kl: the bound alone, times the steps (`use_kl`)."""
    checkpointing: bool = False
    """Compute the insides of blocks again for the gradients instead of keeping them: a third more time, far less memory
    (`use_checkpoint`)."""
    preview_steps: int = at_most(1000, 50)
    """Denoising steps of the pictures in the log."""
    ema: float = 0.9999
    ema_warmup: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        faults = [] if 0 <= self.drop_rate <= 1 else [f"drop_rate must lie in 0..1, got {self.drop_rate:g}"]
        if self.weight_decay < 0:
            faults.append(f"weight_decay must not be negative, got {self.weight_decay:g}")
        if self.preview_steps < 2:
            faults.append(f"preview_steps must be at least 2, got {self.preview_steps}")
        if faults:
            raise ConfigError("Training options: " + "; ".join(faults) + ".")


ADE20K = SDMConfig()
CELEBA = SDMConfig(label_space="celebamask-hq", edges="labels")
CITYSCAPES = SDMConfig(label_space="cityscapes", edges="instances", resolution=512, aspect_ratio=2.0)
COCO = SDMConfig(label_space="coco-stuff")
CELEBA_64 = SDMConfig(
    label_space="celebamask-hq", edges="labels", resolution=64, width=32, channel_mult=(1, 2, 2, 4), attention=(4, 8), res_blocks=1,
    head_channels=32, spade_hidden=32, sampling_steps=50,
)  # fmt: skip
STEPS = 500_000
"""Ours: the authors train without end and tell no number of steps."""
OFFICIAL: dict[str, Any] = {
    "steps": STEPS, "batch_size": 32, "precision": "bf16", "checkpointing": True, "flip": True, "publish": "last",
    "preprocess": "short_side_range_and_crop", "load_size": 320, "save_every": 10_000,
}  # fmt: skip
"""Of the scripts: four samples on each of eight processes, half precision."""
SECOND: dict[str, Any] = {"lr": 2e-5, "drop_rate": 0.2}
LOADER: dict[str, Any] = {**OFFICIAL, "preprocess": "short_side"}
"""Of Cityscapes: nothing is cut."""

VARIANTS: dict[str, Variant] = {
    "ade20k": Variant(ADE20K, SDMOptions(**OFFICIAL), "official ADE20K, 256 px, 661 M parameters"),
    "celeba": Variant(CELEBA, SDMOptions(**OFFICIAL, lr=2e-5), "official CelebAMask-HQ, 256 px, 653 M parameters"),
    "cityscapes": Variant(
        CITYSCAPES,
        SDMOptions(**LOADER),
        "Cityscapes, 512 x 256 px, 654 M parameters (settings not published: as the loader implies)",
    ),
    "coco": Variant(COCO, SDMOptions(**OFFICIAL), "COCO-Stuff, 256 px, 662 M parameters (settings not published)"),
    "celeba-64": Variant(
        CELEBA_64,
        SDMOptions(
            steps=20_000, batch_size=16, lr=2e-4, drop_rate=0.2, precision="auto", channels_last=True, ema=0.999, ema_warmup=True,
            dtype="float16", flip=True, zoom=0.15, publish="last",
        ),
        "ours: 64 px, 5.5 M parameters, for a CPU",
    ),
}  # fmt: skip
VARIANTS |= {
    f"{name}-stage2": Variant(
        VARIANTS[name].config, replace(VARIANTS[name].training, **SECOND), f"{name}, second stage, from a model of the first"
    )
    for name in ("ade20k", "celeba", "cityscapes", "coco")
}  # fmt: skip
