"""Options of a training run, without torch; each plugin's trainer adds its own fields and the official values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zoo.errors import ConfigError


@dataclass(frozen=True)
class TrainingOptions:
    """What the loop itself needs. The defaults are neutral; a plugin's subclass sets the paper's."""

    steps: int = 100_000
    """Batches to train on; learning rates that decay do so relative to this number."""
    minutes: float | None = None
    """Stop after this much training time (without validation and previews), that before a resume counted in; the run then ends
    as if it were done. Rates that decay follow `steps` alone: choose steps that fit the time."""
    batch_size: int = 1
    """Samples per micro-batch, over all processes together: a step has batch_size * accumulate of them, whatever the number of
    processes."""
    accumulate: int = 1
    """Micro-batches whose gradients are averaged before a step."""
    seed: int = 0
    """Decides the order of the data, augmentation, noise and the starting weights."""
    precision: Literal["fp32", "bf16", "auto"] = "fp32"
    """bf16: forward passes under autocast; parameters, gradients and losses stay float32. auto: bf16 where the device multiplies
    bfloat16 itself, else fp32 (processors without such instructions are about ten times slower in bf16); settled when a run begins,
    and kept when it is resumed."""
    channels_last: bool = False
    """Store convolution weights and images with channels last (about twice as fast together with bf16 on a CPU)."""
    ema: float = 0.0
    """Decay of the moving average of the parameters, 0: none. The average is what is validated and published."""
    ema_warmup: bool = True
    """The decay of the average grows to `ema` from 2/11, so that the start is soon forgotten; false: it is `ema` from the first
    step on, as in most papers' code."""
    clip: float = 0.0
    """Largest norm of each optimizer's gradient, 0: no limit."""
    flip: bool = False
    """Mirror half of the pairs; classes of the left and the right side change places."""
    zoom: float = 0.0
    """Crop windows of down to 1/(1 + zoom) of the picture's side."""
    preprocess: Literal[
        "resize", "resize_and_crop", "crop", "scale_width", "scale_width_and_crop", "scale_shortside",
        "scale_shortside_and_crop", "shorter_side_and_crop", "fixed", "none", "short_side", "short_side_range_and_crop",
    ] = "resize"  # fmt: skip
    """How pairs come to the resolution: resize (with `zoom`), or a mode of the SPADE family's `--preprocess_mode`, of MUNIT or of SDM
    (`zoo.data.preprocess`), whose result is resized to the resolution where it has another size."""
    load_size: int = 286
    """Side before a window is cut, in the modes of `preprocess` that have one; with short_side_range_and_crop the largest short side."""
    resample: Literal["bicubic", "bilinear", "lanczos"] = "bicubic"
    """How photos are resized in the modes of `preprocess`."""
    color: float = 0.0
    """Change brightness, contrast and saturation of the photos by up to this share."""
    turn: float = 0.0
    """Turn pairs by up to this many degrees to either side; beyond the border lies the mirrored picture."""
    squeeze: float = 0.0
    """Make pairs narrower, to as little as 1/(1 + squeeze) of the width; beside them lies the mirrored picture."""
    soften: float = 0.0
    """Shrink photos to as little as 1/(1 + soften) of their side and enlarge them again, as small and blurred photos look."""
    rare: float = 0.0
    """Show pairs with a class that fewer than this share of the pairs have more often: sqrt(rare / share) times; 0: each once."""
    log_every: int = 50
    """Steps between scalars in the log."""
    preview_every: int = 1000
    """Steps between picture grids in the log, 0: none."""
    validate_every: int = 1000
    """Steps between validations, 0: only at the end."""
    save_every: int = 500
    """Steps between checkpoints."""
    publish: Literal["best", "last"] = "best"
    """Which weights the finished model holds: those of the best validation (without validation data: the last), or the last ones."""
    dtype: Literal["float32", "float16"] = "float32"
    """How the finished model's parameters are stored (buffers always in float32)."""

    def __post_init__(self) -> None:
        faults = [f"{name} must be at least 1, got {value}" for name, value in self._counts().items() if value < 1]
        if self.minutes is not None and self.minutes <= 0:
            faults.append(f"minutes must be positive, got {self.minutes}")
        if not 0 <= self.ema < 1:
            faults.append(f"ema must lie in [0, 1), got {self.ema}")
        if self.seed < 0:
            faults.append(f"seed must be 0 or more, got {self.seed}")
        if self.zoom > 0 and self.preprocess != "resize":
            faults.append(f"zoom belongs to preprocess=resize, got {self.preprocess}: set zoom=0")
        if self.resample != "bicubic" and self.preprocess == "resize":
            faults.append(
                f"resample={self.resample} belongs to the other modes of preprocess, and preprocess is resize"
            )
        if not 0 <= self.rare <= 1:
            faults.append(f"rare must lie in 0..1, got {self.rare}")
        if min(self.zoom, self.color, self.clip, self.turn, self.squeeze, self.soften) < 0:
            faults.append("zoom, color, clip, turn, squeeze and soften must be 0 or more")
        faults += [f"{name} must be 0 or more, got {value}" for name, value in self._rates().items() if value < 0]
        faults += [
            f"{name} must lie in [0, 1), got {value}" for name, value in self._betas().items() if not 0 <= value < 1
        ]
        if faults:
            raise ConfigError("Training options: " + "; ".join(faults) + ".")

    def _rates(self) -> dict[str, float]:
        """The learning rates and decays of weights, whatever a subclass calls them: lr, lr_d, order_lr, weight_decay."""
        named = {n: v for n, v in vars(self).items() if "lr" in n.split("_") or n == "weight_decay"}
        return {n: v for n, v in named.items() if isinstance(v, int | float)}

    def _betas(self) -> dict[str, float]:
        """Of Adam: beta1, beta2, or both in `betas`."""
        pair = getattr(self, "betas", ())
        found = {n: v for n, v in vars(self).items() if n in ("beta1", "beta2") and v is not None}
        return found | {f"betas[{i}]": v for i, v in enumerate(pair if isinstance(pair, tuple) else ())}

    def _counts(self) -> dict[str, int]:
        return {
            "steps": self.steps,
            "batch_size": self.batch_size,
            "load_size": self.load_size,
            "accumulate": self.accumulate,
            "log_every": self.log_every,
            "save_every": self.save_every,
        }
