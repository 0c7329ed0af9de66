"""The config of a model folder and the sampling options of a call. No torch in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zoo.plugin import SIDE, Variant, at_most

MAX_STEPS = 1000  # noise levels that Stable Diffusion was trained with


@dataclass(frozen=True)
class ControlNetSegConfig:
    """What the zoo has to know of a wrapped pipeline; the networks' own configs lie beside their weights.

    Raises ValueError for sizes that no pipeline has.
    """

    label_space: str = "ade20k"
    """The vocabulary of the maps; the colours are those of ADE20K's 150 classes, so there is no other."""
    height: int = at_most(SIDE, 512)
    """Pixels; Stable Diffusion 1.5 was trained at 512 x 512."""
    width: int = at_most(SIDE, 512)

    def __post_init__(self) -> None:
        if self.label_space != "ade20k":
            raise ValueError(
                f"label_space must be ade20k, whose colours the ControlNet reads, got {self.label_space!r}"
            )
        for name in ("height", "width"):
            if getattr(self, name) < 8 or getattr(self, name) % 8:
                raise ValueError(f"{name} must be a multiple of 8, got {getattr(self, name)}")


@dataclass(frozen=True)
class ControlNetOptions:
    """Sampling options (`--opt key=value`). Raises ValueError for values out of range."""

    prompt: str = ""
    """What the picture shows, in words; the map alone says little about the look."""
    negative_prompt: str = ""
    """What it shall not show; has an effect where `guidance` is above 1."""
    steps: int = 20
    """Denoising steps: more take longer, and change little above 30 to 50."""
    guidance: float = 7.5
    """How strongly the prompt counts (classifier-free guidance); 1 or less leaves guidance out and halves the work."""
    conditioning_scale: float = 1.0
    """How strongly the map counts; 0 leaves it out."""
    scheduler: Literal["ddim", "unipc"] = "ddim"
    """The solver. `unipc` needs fewer steps (10 to 20)."""
    eta: float = 0.0
    """DDIM only: the share of new noise in each step (0 none, 1 as in DDPM)."""

    def __post_init__(self) -> None:
        faults = {
            f"steps must lie in 1..{MAX_STEPS}, got {self.steps}": not 1 <= self.steps <= MAX_STEPS,
            f"guidance must be 0 or more and finite, got {self.guidance}": not 0 <= self.guidance < float("inf"),
            f"conditioning_scale must be 0 or more and finite, got {self.conditioning_scale}": not (
                0 <= self.conditioning_scale < float("inf")
            ),
            f"scheduler must be ddim or unipc, got {self.scheduler!r}": self.scheduler not in ("ddim", "unipc"),
            f"eta must lie in 0..1, got {self.eta}": not 0 <= self.eta <= 1,
            "eta needs scheduler=ddim: unipc draws no noise": self.eta != 0 and self.scheduler != "ddim",
        }
        wrong = [text for text, bad in faults.items() if bad]
        if wrong:
            raise ValueError("; ".join(wrong) + ".")


VARIANTS: dict[str, Variant] = {"sd15": Variant(ControlNetSegConfig(), title="Stable Diffusion 1.5 at 512 x 512")}
