"""The two solvers, made anew for each call; what DDIM draws in its steps comes from the zoo's keyed streams."""

# pyright: reportPrivateImportUsage=false
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diffusers import DDIMScheduler, UniPCMultistepScheduler
from torch import Tensor

from zoo_controlnet_seg.config import ControlNetOptions

NOT_CLIPPED = {"clip_sample": False}
"""Of DDIM: the range of latents is not [-1, 1], and the configs of other solvers do not say so."""


class KeyedDDIM(DDIMScheduler):
    """DDIM whose noise of a step comes from `draw(number of the noise level)`: float [B, C, H, W], a stream per sample.

    diffusers would draw from one generator for the whole batch, and a sample would depend on its neighbours.
    """

    draw: Callable[[int], Tensor]

    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, model_output: Tensor, timestep: Any, sample: Tensor, eta: float = 0.0, return_dict: bool = True
    ) -> Any:
        """One step, as of `DDIMScheduler`."""
        noise = self.draw(int(timestep)).to(model_output) if eta > 0 else None
        return super().step(model_output, timestep, sample, eta=eta, variance_noise=noise, return_dict=return_dict)


def make_scheduler(options: ControlNetOptions, schedule: dict[str, Any], draw: Callable[[int], Tensor]) -> Any:
    """The solver that the options name, with the pipeline's noise schedule."""
    if options.scheduler == "unipc":
        return UniPCMultistepScheduler.from_config(schedule)
    scheduler: Any = KeyedDDIM.from_config(schedule, **NOT_CLIPPED)
    scheduler.draw = draw
    return scheduler
