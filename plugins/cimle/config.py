"""Config of cIMLE and its variants. Defaults are the official ones for GTA-5 (98,534,541 parameters). No torch in here."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.families.crn.options import CascadeConfig, CascadeOptions
from zoo.plugin import ConfigError, Variant, at_most


@dataclass(frozen=True)
class CIMLEConfig(CascadeConfig):
    """Sizes of the noise encoder and of the cascade."""

    noise: int = at_most(256, 10)
    """Channels of the noise, and of the code that the noise encoder makes of it."""
    encoder_width: int = 100
    """Channels inside the noise encoder."""

    def __post_init__(self) -> None:
        faults = self.cascade_faults()
        faults += [
            f"{n} must be at least 1, got {getattr(self, n)}"
            for n in ("noise", "encoder_width")
            if getattr(self, n) < 1
        ]
        if faults:
            raise ConfigError("CIMLEConfig: " + "; ".join(faults) + ".")


@dataclass(frozen=True)
class CIMLEOptions(CascadeOptions):
    """Training options; the defaults are the official ones. An epoch is `epoch_items` updates on `epoch_images` images, each of which keeps
    the noise of its nearest picture for the epoch. Steps are counted in batches as everywhere."""

    divisors: tuple[float, ...] = (1.0, 1.4, 1.8, 1.3, 2.2, 0.062)
    """As of CRN's GTA-5 network."""
    candidates: int = 10
    """Noises per image, of which the one is kept whose picture is the nearest."""
    epoch_images: int = 400
    """Images of an epoch, drawn anew for each; images may repeat."""
    epoch_items: int = 10_000
    """Pairs of an epoch, each a random one of its images."""
    restart_epoch: int = 6
    """From this epoch on (counted from 0) the rate is a tenth; there the noise encoder starts anew, and Adam with it. 0: never."""
    rarity: str = ""
    """Folder with the rebalancing files (`python -m zoo.data.rarity`): images are drawn by rare colours, and rare classes weigh more.
    Empty: images are drawn evenly (officially the files are needed)."""
    load_crn: str = ""
    """A finished CRN (id or folder) from which the cascade starts: its first picture, and noise where the code comes in (officially
    the GTA-5 one)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        names = ("candidates", "epoch_images", "epoch_items")
        faults = [f"{n} must be at least 1, got {getattr(self, n)}" for n in names if getattr(self, n) < 1]
        if self.restart_epoch < 0:
            faults.append(f"restart_epoch must not be negative, got {self.restart_epoch}")
        if self.load_crn and self.load_pretrain:
            faults.append("load_crn and load_pretrain both say where to start: give one")
        if faults:
            raise ConfigError("Training options: " + "; ".join(faults) + ".")


VARIANTS: dict[str, Variant] = {
    "gta5": Variant(
        CIMLEConfig(), CIMLEOptions(steps=160_000), "official GTA-5, 512 x 256 px, 99 M parameters; load_crn: a trained crn/gta5-256"
    ),
    "celeba-128": Variant(
        CIMLEConfig(
            label_space="celebamask-hq", resolution=128, aspect_ratio=1.0, widths=(192, 192, 160, 128, 64, 48), noise=8, encoder_width=24,
        ),
        CIMLEOptions(
            steps=8000, batch_size=4, lr=4e-4, precision="auto", channels_last=True, ema=0.999, dtype="float16", flip=True, zoom=0.15,
            candidates=4, epoch_images=200, epoch_items=2000, restart_epoch=0,
        ),
        "ours: 128 px, for a CPU",
    ),
}  # fmt: skip
