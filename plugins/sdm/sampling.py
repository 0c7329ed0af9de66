"""Sampling: the loop over a process's steps backwards, with guidance (docs/papers/sdm.md, "Inference")."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from zoo.plugin import Progress, UsageError
from zoo_plugins.sdm.config import SDMConfig, SDMSampling
from zoo_plugins.sdm.diffusion import Prediction, Process

Draw = Callable[[int], Tensor]
"""From a step of the trained process to its noise [B, 3, H, W]."""


class Denoiser(Protocol):
    """A network with its map in place: x_t [B, 3, H, W] and times [B] to its outputs with the map and, where `guided`, without it."""

    def __call__(self, x: Tensor, times: Tensor, guided: bool) -> tuple[Tensor, Tensor | None]: ...


class Stepped(NamedTuple):
    """After a step: x_{t-1}, and what was predicted of x_t (None where another library made the step)."""

    x: Tensor
    found: Prediction | None


def process_of(config: SDMConfig, options: SDMSampling) -> Process:
    """The steps that sampling takes. Raises UsageError for more steps than the model was trained with, and for an odd `spacing`."""
    if options.steps is not None and options.steps > config.diffusion_steps:
        raise UsageError(
            f"steps={options.steps}: this model was trained with {config.diffusion_steps}, so that is the most."
        )
    steps = options.steps or config.sampling_steps or config.diffusion_steps
    return Process.spaced(config, options.spacing or str(steps))


def guide(output: Tensor, empty: Tensor | None, scale: float) -> Tensor:
    """Classifier-free guidance: the first three channels lead away from the output of the empty map; the variance stays the map's."""
    if empty is None:
        return output
    told, without = output[:, :3], empty[:, :3]
    return torch.cat([without + scale * (told - without), output[:, 3:]], 1)


def steps_backwards(
    process: Process, denoise: Denoiser, x: Tensor, draw: Draw, options: SDMSampling
) -> Iterator[Stepped]:
    """Every step from pure noise x [B, 3, H, W] to the picture in [-1, 1], one at a time."""
    guided = options.guidance > 1
    for step in reversed(range(len(process))):
        t = torch.full((len(x),), step, dtype=torch.int64, device=x.device)
        output = guide(*denoise(x, process.times(t), guided), options.guidance)
        found = process.predict(output.float(), x, t, clip=options.clip)
        fresh = step > 0 and (options.sampler == "ddpm" or options.eta > 0)
        noise = draw(process.kept[step]).to(x) if fresh else None
        if options.sampler == "ddpm":
            x = process.ancestral(found, noise)
        else:
            x = process.implicit(found, x, t, noise, options.eta)
        yield Stepped(x, found)


Loop = Callable[[Process, Denoiser, Tensor, Draw, SDMSampling], Iterator[Stepped]]


def sample(
    process: Process, denoise: Denoiser, x: Tensor, draw: Draw, options: SDMSampling, progress: Progress | None = None,
    *, loop: Loop = steps_backwards,
) -> Tensor:  # fmt: skip
    """The last of `steps_backwards` (or of a `loop` of another library), float32 [B, 3, H, W], about [-1, 1].

    progress(done, steps): called before the first step and after each. What it raises ends the loop.
    """
    done, total = 0, len(process)
    if progress is not None:
        progress(done, total)
    for stepped in loop(process, denoise, x, draw, options):
        x, done = stepped.x, done + 1
        if progress is not None:
            progress(done, total)
    return x
