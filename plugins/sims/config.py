"""Config of SIMS and its variants. Defaults are those of the authors' 512p networks (86,140,465 parameters). No torch in here."""

from __future__ import annotations

from dataclasses import dataclass, replace

from zoo.families.crn.options import CascadeOptions
from zoo.families.spade.sizes import DoubledSizes
from zoo.plugin import SIDE, ConfigError, Variant, at_most

DEPTH = 6
"""Halvings of the synthesis network's encoder."""
STAGES = ("transform", "order", "synthesis")
"""The three networks, in the order in which the authors train them."""


@dataclass(frozen=True)
class SIMSConfig(DoubledSizes):
    """Sizes of the three networks, the parts that classes play, and the numbers of retrieval and canvas."""

    label_space: str = "gta5"
    """Vocabulary that the public side speaks. gta5: the 19 training classes of Cityscapes, and void as the last."""
    channels: tuple[str, ...] = ()
    """Class names in the network's channel order; empty: the label space's."""
    void: str = "void"
    """The class that stands for nothing: it is not retrieved, and its plane is that of holes. Where the label space lacks it there is one
    plane more than classes. The value 255, where the space allows it, takes that plane."""
    resolution: int = at_most(SIDE, 1024)
    """Width of the images, a multiple of 2**(6 + scale)."""
    aspect_ratio: float = 2.0
    """Width divided by height."""
    scale: int = at_most(2, 1)
    """Doublings from the size at which segments are retrieved and most layers work to the picture's (official: 0 to 2, of 256 rows)."""
    widths: tuple[int, ...] = (64, 128, 256, 512)
    """Channels of the synthesis network's layers."""
    transform_widths: tuple[int, ...] = (64, 128, 256, 512)
    """Channels of the transformation network's stages; the fifth has the fourth's."""
    order_widths: tuple[int, ...] = (64, 128, 256, 512, 1024)
    """The same of the ordering network, and its width before the scores."""
    order_columns: float = 0.75
    """Share of the columns, from the left, that the ordering network's last pooling looks at (official quirk: 12 of 16)."""
    segment_pixels: int = 1000
    """A segment is retrieved where it has more pixels, counted at the size of retrieval."""
    slots: int = at_most(1000, 10)
    """Candidates that are kept for each segment; a drawn style takes one of them, `mean` the best."""
    drop: float = 0.1
    """Share of classes whose segments a drawn style leaves to the network (ours: officially none is)."""
    parity: bool = True
    """Keep the slips of the authors' retrieval and canvas (docs/papers/sims.md, "Quirks kept"); false: what they mean."""
    bands: tuple[int, ...] = (17, 30, 20, 40)
    """Sides in pixels of the squares by which borders are widened: inner elision, ground, ragged classes, outer elision."""
    inner: float = 0.5
    """Share of the pixels in the inner band that become white."""
    painted: tuple[str, ...] = (
        "sky", "building", "terrain", "wall", "sidewalk", "road", "fence", "vegetation", "motorcycle", "bicycle", "truck", "car", "bus",
        "train", "person", "pole", "rider", "traffic sign", "traffic light",
    )  # fmt: skip
    """Classes from far to near. Others follow in the label space's own order (`paint_order`); names that it lacks are passed over, here
    and in the fields below."""
    thin: tuple[str, ...] = ("pole", "traffic light", "traffic sign")
    """Classes that do not cut what lies behind them in two."""
    ground: tuple[str, ...] = ("road", "sidewalk")
    """Classes that shadows fall on."""
    planar: tuple[str, ...] = ("road", "sidewalk", "terrain")
    """Classes that lie behind every one of `standing`, whatever the disparity says."""
    vehicles: tuple[str, ...] = ("car", "truck", "bus", "train")
    """Classes whose old shadows are taken out of pasted ground."""
    ragged: tuple[str, ...] = ("vegetation",)
    """Classes whose border is taken out."""
    standing: tuple[str, ...] = (
        "pole", "traffic light", "traffic sign", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
    )  # fmt: skip
    """Classes around which the ground is left to the network, so that it draws their shadows; holes in them stay void."""
    buildings: tuple[str, ...] = ("building",)
    """Classes that are like `standing`, but not in front of `planar` ones by rule."""

    @property
    def doublings(self) -> int:
        """Halvings that all sides have to allow."""
        return DEPTH + self.scale

    @property
    def low(self) -> tuple[int, int]:
        """(height, width) of retrieval, ordering and most layers."""
        return self.size[0] >> self.scale, self.size[1] >> self.scale

    def __post_init__(self) -> None:
        faults = []
        if not 0 <= self.scale <= 2:
            faults.append(f"scale must be 0, 1 or 2, got {self.scale}")
        else:
            faults = self.grid_faults()
        for name, count in (("widths", 4), ("transform_widths", 4), ("order_widths", 5), ("bands", 4)):
            values = getattr(self, name)
            if len(values) != count or min(values) < 1:
                faults.append(f"{name} needs {count} positive numbers, got {list(values)}")
        if not 0 < self.order_columns <= 1:
            faults.append(f"order_columns is a share above 0 and at most 1, got {self.order_columns:g}")
        for name in ("drop", "inner"):
            if not 0 <= getattr(self, name) <= 1:
                faults.append(f"{name} is a share from 0 to 1, got {getattr(self, name):g}")
        if self.slots < 1 or self.segment_pixels < 0:
            faults.append("slots must be at least 1 and segment_pixels 0 or more")
        if faults:
            raise ConfigError("SIMSConfig: " + "; ".join(faults) + ".")


@dataclass(frozen=True)
class SIMSOptions(CascadeOptions):
    """Training options; the defaults are the official ones of the 512p networks."""

    divisors: tuple[float, ...] = (1.0, 2.6, 4.8, 3.7, 5.6, 0.15)
    train: tuple[str, ...] = STAGES
    """Networks that are trained, any of transform, order and synthesis (officially one after another; they do not see each other)."""
    semantic: float = 10.0
    """Weight of the cross-entropy of what the picture shows."""
    lr: float = 1e-4
    """Adam's rate for the synthesis network."""
    growth: tuple[str, ...] = ("order",)
    """Networks whose rate begins with 1e-6 and grows by a tenth in every epoch up to their own (at 256p the synthesis network's too)."""
    settle_epoch: int = 0
    """From this epoch on (counted from 0) its rate is `settle_lr`; 0: never (official at 256p: 112)."""
    settle_lr: float = 1e-4
    """The rate from `settle_epoch` on."""
    transform_lr: float = 1e-5
    """The transformation network's rate."""
    order_lr: float = 1e-5
    """The ordering network's rate."""
    proposals: int = 10
    """Most segments of a photo that one step of the transformation network sees, drawn where there are more."""
    pairs: int = 10
    """Places for pairs of a photo in one step of the ordering network; empty ones count as class 0."""
    sources: int = 100
    """Other photos of the bank, drawn, among which a training canvas finds its shapes."""
    recolour: float = 0.2
    """Probability that a piece of a training canvas takes the colours of the photo whose shape it has."""
    turn: float = 2.5
    """Degrees to both sides by which the masks of a training map are turned."""
    disparity: str = ""
    """Folder with the disparity of every training photo as a 16-bit PNG (`NAME.png`, `NAME_disparity.png`, or in Cityscapes' naming), by
    which segments are ordered. Without it what is lower in the picture is nearer (ours), or lies on top where parts overlap."""
    bank_pairs: int = 0
    """Most photos in the bank, spread evenly over the data; 0: all (official)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        faults = []
        if not self.train or not set(self.train) <= set(STAGES):
            faults.append(f"train names some of {', '.join(STAGES)}, got {', '.join(self.train) or 'none'}")
        if not set(self.growth) <= set(STAGES):
            faults.append(f"growth names some of {', '.join(STAGES)}, got {', '.join(self.growth)}")
        for name, least in (("proposals", 1), ("pairs", 1), ("sources", 1), ("bank_pairs", 0), ("settle_epoch", 0)):
            if getattr(self, name) < least:
                faults.append(f"{name} must be at least {least}, got {getattr(self, name)}")
        if not 0 <= self.recolour <= 1:
            faults.append(f"recolour is a probability, got {self.recolour:g}")
        if self.disparity and (self.flip or self.zoom or self.preprocess != "resize"):
            faults.append("disparity belongs to unchanged photos: set flip=false, zoom=0 and preprocess=resize")
        if faults:
            raise ConfigError("Training options: " + "; ".join(faults) + ".")


PAIRS = 2975
"""Training pairs of Cityscapes; officially a batch is one of them."""
CITYSCAPES_512 = SIMSConfig()
CITYSCAPES_256 = replace(CITYSCAPES_512, resolution=512, scale=0, bands=(6, 31, 21, 41))

VARIANTS: dict[str, Variant] = {
    "cityscapes-256": Variant(
        CITYSCAPES_256,
        SIMSOptions(steps=800 * PAIRS, lr=1e-3, growth=("order", "synthesis"), settle_epoch=112),
        "official 256p, 512 x 256 px; synthesis 800 epochs, the others 100",
    ),
    "cityscapes-512": Variant(
        CITYSCAPES_512, SIMSOptions(steps=100 * PAIRS), "official 512p, the main one; load_pretrain: a trained cityscapes-256"
    ),
    "cityscapes-1024": Variant(
        replace(CITYSCAPES_512, resolution=2048, scale=2, bands=(35, 61, 40, 81)),
        SIMSOptions(steps=100 * PAIRS),
        "official 1024p; load_pretrain: a trained cityscapes-512",
    ),
    "celeba-128": Variant(
        SIMSConfig(
            label_space="celebamask-hq", void="", resolution=128, aspect_ratio=1.0, scale=0, widths=(32, 48, 64, 96), transform_widths=(8, 16, 24, 32),
            order_widths=(8, 16, 24, 32, 64), order_columns=1.0, segment_pixels=40, parity=False, bands=(5, 7, 5, 9), painted=(), thin=(), ground=(),
            planar=(), vehicles=(), ragged=("hair",), standing=(), buildings=(),
        ),
        SIMSOptions(
            steps=8000, batch_size=2, lr=4e-4, transform_lr=1e-4, order_lr=1e-4, growth=(), precision="auto", channels_last=True, dtype="float16",
            ema=0.999, bank_pairs=2000,
        ),
        "ours: 128 px, for a CPU",
    ),
}  # fmt: skip
