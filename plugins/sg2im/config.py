"""Config of sg2im and its variants. Defaults are those of the authors' COCO network at 64 px (28,158,223 parameters). No torch in here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from zoo.plugin import SIDE, ConfigError, TrainingOptions, Variant, at_most

GEOMETRIC = ("left of", "right of", "above", "below", "inside", "surrounding")
"""COCO's predicates, by the number that the network knows them by (1, 2, …; 0 is `__in_image__`)."""
CONVOLUTIONS = "C4-64-2,C4-128-2,C4-256-2"


@dataclass(frozen=True)
class Sg2imConfig:
    """Vocabulary, sizes and switches of the network."""

    label_space: str = "coco-stuff"
    """Vocabulary that the public side speaks; maps of it need no background, but without one every pixel becomes some object's."""
    channels: tuple[str, ...] = ()
    """Classes that objects may have, in the order of their numbers 1, 2, … in the network (0 is the picture itself, `__image__`).
    Empty: all classes of the label space but the background."""
    spare_objects: int = 0
    """Numbers behind those of the classes that no object has (COCO's files have one, for "other")."""
    predicates: tuple[str, ...] = GEOMETRIC
    """Predicates of relations, in the order of their numbers 1, 2, … (0 is `__in_image__`, which every object has)."""
    height: int = at_most(SIDE, 64)
    """Of maps and pictures, a multiple of 2 ** (number of refinement modules)."""
    width: int = at_most(SIDE, 64)
    """The same of the width."""
    mask_size: int = at_most(256, 16)
    """Side of an object's mask, a power of 2; 0: no masks, an object fills its box."""
    embedding_dim: int = at_most(SIDE, 128)
    """Numbers of an object's or predicate's embedding."""
    gconv_dim: int = at_most(SIDE, 128)
    """Numbers of a vector in the graph network, and channels of the layout."""
    gconv_hidden_dim: int = at_most(SIDE, 512)
    """Hidden width of the graph network and of the heads."""
    gconv_layers: int = at_most(64, 5)
    """Graph convolutions; 0: a linear layer in their place ("no gconv")."""
    gconv_pooling: Literal["avg", "sum"] = "avg"
    """How an object pools what its triples say of it."""
    mlp_norm: Literal["none", "batch"] = "none"
    """Norm inside the graph network and heads."""
    refinement_dims: tuple[int, ...] = at_most(SIDE, (1024, 512, 256, 128, 64))
    """Widths of the refinement modules, the coarsest first."""
    norm: Literal["batch", "instance", "none"] = "batch"
    """Norm of the refinement modules."""
    slope: float = 0.2
    """Of the leaky ReLUs there. The authors' option `activation` means 0.01 for any name that is not `leakyrelu-<slope>`."""
    noise_dim: int = at_most(SIDE, 32)
    """Channels of noise behind the layout."""
    align_corners: bool = True
    """How masks lie in boxes: true as in torch up to 1.2, with which the released models were trained and run; false as the same code
    does it since (a mask then fades over its box's edge). It is not in the authors' files."""

    def __post_init__(self) -> None:
        faults = []
        if self.mask_size < 0 or self.mask_size & (self.mask_size - 1):
            faults.append(f"mask_size must be 0 or a power of 2, got {self.mask_size}")
        if not self.refinement_dims or len(self.refinement_dims) > 12:
            faults.append(f"refinement_dims must name 1 to 12 widths, got {len(self.refinement_dims)}")
        else:
            unit = 1 << len(self.refinement_dims)
            if any(side < unit or side % unit for side in self.size):
                faults.append(
                    f"height and width must be multiples of {unit} with {len(self.refinement_dims)} refinement modules,"
                    f" got {self.height} and {self.width}"
                )
        widths = (self.embedding_dim, self.gconv_dim, self.gconv_hidden_dim, *self.refinement_dims)
        if min(widths) < 1:
            faults.append("embedding_dim, gconv_dim, gconv_hidden_dim and refinement_dims must be at least 1")
        if min(self.gconv_layers, self.noise_dim, self.spare_objects) < 0:
            faults.append("gconv_layers, noise_dim and spare_objects must not be negative")
        if not 0 <= self.slope < 1:
            faults.append(f"slope must lie in [0, 1), got {self.slope}")
        for name, allowed in (
            ("gconv_pooling", ("avg", "sum")), ("mlp_norm", ("none", "batch")), ("norm", ("batch", "instance", "none")),
        ):  # fmt: skip
            if getattr(self, name) not in allowed:
                faults.append(f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        for name in ("channels", "predicates"):
            values = getattr(self, name)
            if len(set(values)) != len(values) or not all(values):
                faults.append(f"{name} must be distinct names")
        if faults:
            raise ConfigError("sg2im config: " + "; ".join(faults) + ".")

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width


@dataclass(frozen=True)
class Sg2imOptions:
    """Options of generation (`--opt key=value`)."""

    flatten: Literal["painter", "argmax", "sum"] = "painter"
    """How masks become a map (our recipes; nothing is published): `painter` paints objects from the largest box to the smallest, each
    where its mask is above 1/2; `argmax` takes the class of the largest value where that is above 1/2, so that a wide skin hides what
    lies on it; `sum` the same where the sum over classes is above 0.4, SegVAE's rule."""
    rescale: bool = True
    """Pictures: stretch each to 0..1, as the authors show them; false: clip them."""

    def __post_init__(self) -> None:
        if self.flatten not in ("painter", "argmax", "sum"):
            raise ConfigError(f"sg2im options: flatten must be painter, argmax or sum, got {self.flatten!r}.")


@dataclass(frozen=True)
class PictureOptions:
    """Options of synthesis (`--opt key=value`)."""

    rescale: bool = True
    """Stretch each picture to 0..1, as the authors show them; false: clip them."""


@dataclass(frozen=True)
class Sg2imTraining(TrainingOptions):
    """Training options; defaults are the authors' for COCO."""

    steps: int = 1_000_000
    """Batches."""
    batch_size: int = 32
    """Pictures per step."""
    lr: float = 1e-4
    """Adam rate of generator and discriminators."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam betas."""
    eval_mode_after: int = 100_000
    """From this step on the generator's batch norms use their statistics and no longer change them, with a fresh Adam."""
    lambda_pixel: float = 1.0
    """Weight of the mean absolute difference to the photo."""
    lambda_box: float = 10.0
    """Weight of the boxes' mean squared error."""
    lambda_mask: float = 0.0
    """Weight of the masks' cross entropy. 0, the authors' default, leaves the mask network untrained where `masks` is map (they note
    that 0.1 works well on COCO)."""
    lambda_predicate: float = 0.0
    """Weight of the cross entropy of predicates told from boxes and embeddings."""
    lambda_gan: float = 0.01
    """Weight of both discriminators' losses in the generator's."""
    lambda_object: float = 1.0
    """Weight of the object discriminator's among them; 0: there is none, nor its classes."""
    lambda_picture: float = 1.0
    """Weight of the picture discriminator's among them; 0: there is none."""
    lambda_class: float = 0.1
    """Weight of the classes that the object discriminator sees in the fake, not multiplied by `lambda_gan`."""
    gan_mode: Literal["gan", "lsgan", "wgan"] = "gan"
    """Adversarial objective."""
    d_object: str = CONVOLUTIONS
    """Convolutions of the object discriminator, C<side>-<width>-<stride>."""
    d_picture: str = CONVOLUTIONS
    """Convolutions of the picture discriminator."""
    d_norm: Literal["batch", "instance", "none"] = "batch"
    """Norm of both."""
    d_padding: Literal["valid", "same"] = "valid"
    """Padding of both."""
    d_slope: float = 0.2
    """Of their leaky ReLUs."""
    crop_size: int = 32
    """Side to which the object discriminator's crops are resampled."""
    masks: Literal["map", "predicted"] = "map"
    """Which masks the generator paints from in training: those of the maps (COCO), or its own (Visual Genome, which has none); they
    then learn from the pictures' losses."""
    relations: bool = True
    """Draw one relation for each object and step from where the objects lie; false: objects are only in the picture ("no relations",
    and the label sets of SegVAE's comparison)."""
    objects: Literal["instances", "classes"] = "instances"
    """What an object is: an instance where the data number them, else all of a class; `classes`: always all of a class."""
    min_object_size: float = 0.02
    """Objects whose box is no larger than this share of the picture are left out."""
    min_objects: int = 3
    """Pictures with fewer objects are left out of training."""
    max_objects: int = 8
    """Pictures with more objects are left out of training; 0: no limit."""
    layouts: int = 2000
    """Label sets with their boxes that the finished model keeps of the training data, from which boxes are drawn for label sets; 0:
    none, boxes are predicted. Ours."""

    def __post_init__(self) -> None:
        super().__post_init__()
        faults = []
        if self.gan_mode not in ("gan", "lsgan", "wgan"):
            faults.append(f"gan_mode must be gan, lsgan or wgan, got {self.gan_mode!r}")
        if self.masks not in ("map", "predicted"):
            faults.append(f"masks must be map or predicted, got {self.masks!r}")
        if self.objects not in ("instances", "classes"):
            faults.append(f"objects must be instances or classes, got {self.objects!r}")
        if self.crop_size < 1:
            faults.append(f"crop_size must be at least 1, got {self.crop_size}")
        if min(self.min_objects, self.max_objects, self.layouts, self.eval_mode_after) < 0:
            faults.append("min_objects, max_objects, layouts and eval_mode_after must not be negative")
        if 0 < self.max_objects < self.min_objects:
            faults.append(f"max_objects ({self.max_objects}) is below min_objects ({self.min_objects})")
        if not 0 <= self.min_object_size < 1:
            faults.append(f"min_object_size is a share in [0, 1), got {self.min_object_size}")
        if faults:
            raise ConfigError("Training options: " + "; ".join(faults) + ".")


COCO64 = Sg2imConfig(spare_objects=1)
VG_PREDICATES = 45
VG64 = Sg2imConfig(label_space="visual-genome", predicates=tuple(f"predicate_{i + 1}" for i in range(VG_PREDICATES)))
NO_GCONV = replace(COCO64, gconv_layers=0)
_COCO = Sg2imTraining()
_VG = replace(_COCO, masks="predicted", max_objects=10, relations=False)
CELEBA = Sg2imConfig(label_space="celebamask-hq")
_FACES = replace(
    _COCO, lambda_mask=0.1, relations=False, objects="classes", min_object_size=0.0, min_objects=1, max_objects=0
)

VARIANTS: dict[str, Variant] = {
    "coco64": Variant(COCO64, _COCO, title="official, COCO-Stuff, 64 px, 28 M parameters"),
    "coco64-no-gconv": Variant(NO_GCONV, _COCO, title="official ablation: no graph convolution"),
    "coco64-no-relations": Variant(COCO64, replace(_COCO, relations=False), title="official ablation: objects without relations"),
    "coco64-no-discriminators": Variant(
        COCO64, replace(_COCO, lambda_object=0.0, lambda_picture=0.0), title="official ablation: no adversary"
    ),
    "coco64-no-object-discriminator": Variant(
        COCO64, replace(_COCO, lambda_object=0.0), title="official ablation: an adversary of pictures alone"
    ),
    "coco64-no-picture-discriminator": Variant(
        COCO64, replace(_COCO, lambda_picture=0.0), title="official ablation: an adversary of objects alone"
    ),
    "vg64": Variant(VG64, _VG, title="official, Visual Genome, 64 px; its vocabulary is in the authors' file"),
    "vg128": Variant(replace(VG64, height=128, width=128), _VG, title="official, Visual Genome, 128 px"),
    "celeba": Variant(CELEBA, _FACES, title="label sets as scene graphs, as in SegVAE's comparison (our reading), 64 px"),
    "celeba-relations": Variant(CELEBA, replace(_FACES, relations=True), title="the same with relations"),
    "humanparsing": Variant(replace(CELEBA, label_space="atr"), _FACES, title="label sets of HumanParsing (our reading), 64 px"),
    "celeba-128": Variant(
        replace(
            CELEBA, height=128, width=128, embedding_dim=64, gconv_dim=64, gconv_hidden_dim=192, gconv_layers=4, noise_dim=8,
            refinement_dims=(128, 96, 64, 48, 32),
        ),
        replace(
            _FACES, steps=8000, batch_size=8, lr=4e-4, eval_mode_after=6000, precision="auto", flip=True, zoom=0.15, lambda_mask=1.0,
            dtype="float16",
        ),
        title="ours: 128 px, for a CPU",
    ),
}  # fmt: skip
