"""Config of CRN and its variants. Defaults are those of the authors' 256p network (97,875,483 parameters). No torch in here."""

from __future__ import annotations

from dataclasses import dataclass, replace

from zoo.families.crn.options import CascadeConfig, CascadeOptions
from zoo.plugin import ConfigError, Variant, at_most


@dataclass(frozen=True)
class CRNConfig(CascadeConfig):
    """Sizes of the cascade, and how many pictures it makes at once."""

    outputs: int = at_most(64, 9)
    """Pictures per map (9 in the 256p networks, 1 in the larger ones)."""

    @property
    def lacks(self) -> frozenset[str]:
        """What the architecture can do and a model of this config cannot (see `Architecture.can`)."""
        return frozenset() if self.outputs > 1 else frozenset({"style:prior", "style:mean"})

    def __post_init__(self) -> None:
        faults = self.cascade_faults()
        if self.outputs < 1:
            faults.append(f"outputs must be at least 1, got {self.outputs}")
        if faults:
            raise ConfigError("CRNConfig: " + "; ".join(faults) + ".")


@dataclass(frozen=True)
class CRNOptions(CascadeOptions):
    """Training options; the defaults are the official ones of the 256p Cityscapes network."""

    train_last: int = 0
    """So many modules, the last ones, are trained, and the 1x1 convolution behind them; 0: all (1024p: 2)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.train_last < 0:
            raise ConfigError(f"Training options: train_last must not be negative, got {self.train_last}.")


PAIRS = 2975
"""Training pairs of Cityscapes; officially a batch is one of them."""
LARGER = (1.0, 2.6, 4.8, 3.7, 5.6, 0.15)
CITYSCAPES_256 = CRNConfig()
CITYSCAPES_512 = replace(CITYSCAPES_256, resolution=1024, widths=(*CITYSCAPES_256.widths, 128), outputs=1)

VARIANTS: dict[str, Variant] = {
    "cityscapes-256": Variant(CITYSCAPES_256, CRNOptions(steps=200 * PAIRS), "official 256p, 512 x 256 px, 98 M parameters, nine pictures"),
    "gta5-256": Variant(
        CITYSCAPES_256,
        CRNOptions(steps=400 * 3001, divisors=(1.0, 1.4, 1.8, 1.3, 2.2, 0.062)),
        "official GTA-5, 512 x 256 px, nine pictures",
    ),
    "cityscapes-512": Variant(
        CITYSCAPES_512, CRNOptions(steps=20 * PAIRS, divisors=LARGER), "official 512p, one picture; load_pretrain: a trained cityscapes-256"
    ),
    "cityscapes-1024": Variant(
        replace(CITYSCAPES_512, resolution=2048, widths=(*CITYSCAPES_512.widths, 32)),
        CRNOptions(steps=5 * PAIRS, divisors=LARGER, train_last=2),
        "official 1024p, one picture; load_pretrain: a trained cityscapes-512",
    ),
    "celeba-128": Variant(
        CRNConfig(label_space="celebamask-hq", resolution=128, aspect_ratio=1.0, widths=(192, 192, 160, 128, 64, 48), outputs=4),
        CRNOptions(
            steps=8000, batch_size=4, lr=4e-4, precision="auto", channels_last=True, ema=0.999, dtype="float16", flip=True, zoom=0.15,
        ),
        "ours: 128 px, four pictures, for a CPU",
    ),
}  # fmt: skip
